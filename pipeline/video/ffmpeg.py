"""The one door to ffmpeg: whitelists, limits and a clock around every child that reads untrusted video.

A source is opened here (no link is followed, only regular files) and reaches ffmpeg as a file
descriptor, so that its name is never an argument. `-protocol_whitelist fd` keeps playlists from
opening anything else, `-format_whitelist` keeps text files from being playlists at all.
"""

import contextlib
import functools
import os
import re
import resource
import signal
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import ffmpeg
import imageio_ffmpeg
import numpy as np

from data_catalog.base.disk import raise_if_told_full
from data_catalog.base.errors import KilledError, LongdanceError, RejectedError
from pipeline.config import LimitsConfig
from pipeline.video.filters_file import filters_from_file
from pipeline.video.joints import is_joined

FORMATS = "mov,matroska,webm,avi,mpeg,mpegts,flv,asf,ogg,gif,m4v,h264,hevc,mjpeg,mxf,nut,rm,wtv,ivf,obu,dv,apng"
MAX_MESSAGES = 1 << 16
FRAMES_A_CLOCK = 36_000  # hours of footage take hours: `wall_s` begins again with so many frames
MAX_STREAMS = 8192  # unwanted ones are neither read nor decoded: 20,000 cost 1.3 s and 140 MB
CODECS = (
    "h264,hevc,vp8,vp9,av1,libdav1d,mpeg4,mpeg1video,mpeg2video,msmpeg4v2,msmpeg4,mjpeg,h263,flv,theora,"
    "wmv1,wmv2,wmv3,vc1,prores,dnxhd,ffv1,huffyuv,utvideo,rawvideo,gif,apng,png,dvvideo,cinepak,rv40,qtrle,svq3"
)


@functools.cache
def ffmpeg_exe() -> str:
    """Path of ffmpeg: $LONGDANCE_FFMPEG, or the one in imageio-ffmpeg's wheel."""
    chosen = os.environ.get("LONGDANCE_FFMPEG")
    if chosen and not os.access(chosen, os.X_OK):
        raise LongdanceError(f"LONGDANCE_FFMPEG names {chosen!r}, which cannot be run: name an ffmpeg or unset it.")
    return chosen or str(imageio_ffmpeg.get_ffmpeg_exe())


def open_source(path: bytes) -> int:
    """A read-only descriptor of a regular file.

    Raises:
        RejectedError: `not_regular` for a link, folder, device or pipe; `unreadable` otherwise.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        code = "not_regular" if error.errno == 40 else "unreadable"  # 40: ELOOP, a link
        raise RejectedError(code, f"The file cannot be opened ({error.strerror}).") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise RejectedError("not_regular", "A regular file was expected; links, folders and devices are refused.")
    return descriptor


def hardened_input(descriptor: int, limits: LimitsConfig, **options: object) -> ffmpeg.nodes.Stream:
    """A file as the input of an ffmpeg-python graph, all its streams; `codec_whitelist` among the options is another
    list than CODECS."""
    hardened = {
        "max_alloc": 268435456,
        "protocol_whitelist": "fd",
        "format_whitelist": FORMATS,
        "codec_whitelist": CODECS,
        "max_pixels": limits.max_pixels,
        "max_streams": MAX_STREAMS,
        "threads": limits.threads,
        "fd": descriptor,
        **({"err_detect": "explode"} if is_joined(descriptor) else {}),
    }
    return ffmpeg.input("fd:", **{**hardened, **options})


def source_input(descriptor: int, limits: LimitsConfig, stream: int, **options: object) -> ffmpeg.nodes.Stream:
    """One stream of a file, by its number among all of them (`Probe.stream`), nothing else."""
    return hardened_input(descriptor, limits, **options)[str(stream)]


def set_limits(pid: int, limits: LimitsConfig, max_file_bytes: int | None = None) -> None:
    """Bound memory, CPU time, file size and descriptors of a child from outside (no fork hooks)."""
    memory = limits.memory_mb << 20
    seconds = int(limits.wall_s * max(limits.threads, 1)) + 1
    with contextlib.suppress(ProcessLookupError):  # it may have ended already
        resource.prlimit(pid, resource.RLIMIT_AS, (memory, memory))
        resource.prlimit(pid, resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
        if max_file_bytes is not None:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (max_file_bytes, max_file_bytes))


Watch = Callable[[bytes], bool]
"""Sees every line that ffmpeg says; a line for which it is true is not kept."""


class Child:
    """A running ffmpeg with its stderr drained (an undrained pipe deadlocks) and a wall clock."""

    def __init__(
        self,
        graph: ffmpeg.nodes.OutputStream,
        descriptors: tuple[int, ...],
        limits: LimitsConfig,
        *,
        stdout: bool,
        max_file_bytes: int | None = None,
        level: str = "error",
        watch: Watch | None = None,
        max_messages: int = MAX_MESSAGES,
    ) -> None:
        # At a joint ffmpeg suspects whole packets: there only what cannot be decoded counts, and every bit of that.
        strict = ("-max_error_rate", "0") if is_joined(descriptors[0]) else ("-xerror",)
        graph = graph.global_args("-nostdin", "-hide_banner", "-nostats", "-loglevel", level, *strict)
        graph = graph.global_args(
            "-filter_complex_threads", str(limits.threads), "-filter_threads", str(limits.threads)
        )
        os.lseek(descriptors[0], 0, os.SEEK_SET)  # a child shares the offset that the one before left
        with filters_from_file(graph.compile(cmd=ffmpeg_exe(), overwrite_output=True)) as (command, more):
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if stdout else subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(*descriptors, *more),
            )
        set_limits(self.process.pid, limits, max_file_bytes)
        self.limits = limits
        self.timed_out = False
        self.frames = 0
        """How many it has given so far: a clock for each FRAMES_A_CLOCK of them."""
        self._clocks = 1
        self._watch, self._max_messages = watch, max_messages
        self._messages = bytearray()
        self._drain = threading.Thread(target=self._read_messages, daemon=True)
        self._drain.start()
        self._start_clock()

    def _start_clock(self) -> None:
        self._clock = threading.Timer(self.limits.wall_s, self._expire)
        self._clock.daemon = True
        self._clock.start()

    def _read_messages(self) -> None:
        assert self.process.stderr is not None
        while line := self.process.stderr.readline(MAX_MESSAGES):
            if self._watch is None or not self._watch(line):
                self._messages += line[: self._max_messages - len(self._messages)]

    def _expire(self) -> None:
        if self.process.poll() is None and self.frames >= self._clocks * FRAMES_A_CLOCK:
            self._clocks += 1
            longer = self.limits.model_copy(update={"wall_s": self._clocks * self.limits.wall_s})
            set_limits(self.process.pid, longer)
            self._start_clock()
            return
        self.timed_out = True
        self.process.kill()

    def close(self) -> None:
        """Stop at once, whatever it was doing, and leave nothing behind."""
        self.process.kill()
        self.process.wait()
        self._clock.cancel()
        self._drain.join()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def messages(self) -> bytes:
        """Wait for the end, clean or not; what was said and kept, `max_messages` bytes of it at most.

        Raises:
            KilledError: somebody else killed it; OSError: the disk is full.
        """
        code = self.process.wait()
        self._clock.cancel()
        self._drain.join()
        raise_if_told_full(self._messages.decode("utf-8", "replace"))
        if code < 0 and not self.timed_out and -code not in (signal.SIGXCPU, signal.SIGXFSZ):
            raise KilledError(f"ffmpeg was killed by signal {-code}.")
        return bytes(self._messages)

    def finish(self) -> None:
        """Wait for the end.

        Raises:
            RejectedError: `timeout` or `damaged`, with ffmpeg's first words.
        """
        messages = self.messages()
        code = self.process.returncode
        if self.timed_out:
            raise RejectedError("timeout", f"ffmpeg did not finish within {self.limits.wall_s:g} s.")
        if code != 0:
            raise RejectedError("damaged", f"ffmpeg stopped with exit code {code} ({first_words(messages)}).")


def first_words(messages: bytes) -> str:
    """ffmpeg's first error lines as one printable line, without addresses and the warnings about skipped audio."""
    lines = [re.sub(r"\[[^\]]*\] ", "", line).strip() for line in messages.decode("utf-8", "replace").splitlines()]
    kept = [line for line in lines if line and "not on whitelist" not in line and "message repeated" not in line]
    return "; ".join("".join(c if c.isprintable() else "?" for c in line) for line in kept[:2])[:240] or "no message"


@contextlib.contextmanager
def decode(
    graph_input: ffmpeg.nodes.Stream,
    descriptor: int,
    shape: tuple[int, int],
    limits: LimitsConfig,
    watch: Watch | None = None,
) -> Iterator[Iterator[tuple[float, np.ndarray]]]:
    """Frames of a filtered source as (presentation time in seconds, I420 picture).

    Args:
        graph_input: ffmpeg-python stream that ends at `shape`.
        shape: (height, width) of the luma plane, both even.
        watch: sees what ffmpeg says at level info; it lets errors alone be kept.

    Yields:
        An iterator of (pts_s, uint8 array (height * 3 // 2, width)). It raises RejectedError at its
        end if ffmpeg did not exit cleanly.
    """
    read_end, write_end = os.pipe()
    output = ffmpeg.output(
        graph_input, "pipe:1", format="rawvideo", pix_fmt="yuv420p", fps_mode="passthrough", enc_time_base="filter",
        threads=limits.threads,
        stats_enc_pre=f"pipe:{write_end}", stats_enc_pre_fmt="{pts} {tb}",
    )  # fmt: skip
    try:
        level = "level+info" if watch else "error"
        child = Child(output, (descriptor, write_end), limits, stdout=True, level=level, watch=watch)
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    with os.fdopen(read_end, "rb") as times:
        try:
            yield _frames(child, times, shape)
        finally:
            child.close()


def _frames(child: Child, times: IO[bytes], shape: tuple[int, int]) -> Iterator[tuple[float, np.ndarray]]:
    height, width = shape
    size = height * 3 // 2 * width
    assert child.process.stdout is not None
    while True:
        data = child.process.stdout.read(size)
        if len(data) < size:
            break
        pts, base = times.readline().split()
        numerator, denominator = base.split(b"/")
        child.frames += 1
        yield int(pts) * int(numerator) / int(denominator), np.frombuffer(data, np.uint8).reshape(-1, width)
    child.finish()


def encode(graph: ffmpeg.nodes.OutputStream, descriptor: int, limits: LimitsConfig, max_file_bytes: int) -> None:
    """Run a graph that reads the source behind `descriptor` and writes files of our own.

    Raises:
        RejectedError: as `Child.finish`.
    """
    child = Child(graph, (descriptor,), limits, stdout=False, max_file_bytes=max_file_bytes)
    try:
        child.finish()
    finally:
        child.close()


def file_url(path: Path) -> str:
    """An output name that ffmpeg takes as a plain file, whatever characters it holds."""
    return f"file:{path}"

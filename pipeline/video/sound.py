"""The sound of a source: through the one door, with audio codecs alone, on the clock that its pictures' times have."""

import contextlib
import re
from collections.abc import Iterator, Sequence

import ffmpeg
import numpy as np

from data_catalog.base.errors import RejectedError
from pipeline.config import LimitsConfig
from pipeline.video.ffmpeg import CODECS as VIDEO_CODECS
from pipeline.video.ffmpeg import Child, hardened_input

CODECS = (
    "aac,aac_latm,mp3float,mp3,mp2float,mp2,opus,libopus,vorbis,flac,alac,ac3,eac3,amrnb,amrwb,wmav1,wmav2,"
    "adpcm_ms,adpcm_ima_wav,adpcm_ima_qt,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_f32le,pcm_u8,"
    "pcm_alaw,pcm_mulaw"
)
START = re.compile(rb"^\[info\]   Duration: [^\n]*, start: (-?\d+\.\d+)", re.M)
NO_TRACK = b"does not contain any stream"
NOT_OPENED = re.compile(rb"\[dec:(\w+) @ [^\n]*Error while opening decoder")
REFUSED = re.compile(rb"Codec \((\w+)\) not on whitelist")
CHUNK = 1 << 15  # samples
BEYOND_S = 0.5
GAP_S = 0.03  # a gap or overlap beyond this is real; below, a container has rounded its times


def clock_shift(descriptor: int, limits: LimitsConfig) -> float:
    """Seconds that a source's sound must be moved by to be on its pictures' clock.

    ffmpeg counts from the earliest stream that it can make sense of, and a stream whose codec is not on a pass's list
    may make none: so the two passes may count from two moments. Raises RejectedError: `timeout`; KilledError.
    """
    return _start(descriptor, CODECS, limits) - _start(descriptor, VIDEO_CODECS, limits)


def _start(descriptor: int, codecs: str, limits: LimitsConfig) -> float:
    """The moment that a pass with these codecs counts from, on the container's own clock; 0 where it has none."""
    source = hardened_input(descriptor, limits, codec_whitelist=codecs)
    output = ffmpeg.output(source, "pipe:1", format="null", c="copy", t=0)
    child = Child(
        output, (descriptor,), limits, stdout=False, level="level+info", watch=lambda line: START.match(line) is None
    )
    try:
        messages = child.messages()
    finally:
        child.close()
    if child.timed_out:
        raise RejectedError("timeout", f"The header could not be read within {limits.wall_s:g} s.")
    found = START.search(messages)
    return float(found[1]) if found else 0.0


@contextlib.contextmanager
def decode_sound(
    descriptor: int, shift_s: float, stop_s: float, rate: int, channels: int, limits: LimitsConfig
) -> Iterator[Iterator[np.ndarray]]:
    """The samples of a source's sound; sample k is at k / rate seconds of the pictures' clock.

    Where the sound begins late or has a gap there is silence; where it ends early the samples end. The track is the
    one marked as default, else the one with most channels (ffmpeg's choice). It is decoded from its beginning, since
    a seek arrives where the container's rounded times say; what lies beyond `stop_s` is not decoded.

    Args:
        shift_s: as `clock_shift` finds it.

    Yields:
        An iterator of float32 (samples, channels), full scale 1. It raises RejectedError at its end: `no_sound`,
        `sound_codec`, `damaged`, `timeout`; and KilledError.
    """
    # First by time stamps, since a day of silence would stand before sound that is a day late; then by samples, so
    # that the resampler has seen what follows and the samples are the same wherever one stops.
    filters = (
        f"atrim=end={stop_s + BEYOND_S:.6f},"
        f"aresample={rate}:async=1:min_comp=0.00001:min_hard_comp={GAP_S}:first_pts=0:rematrix_maxval=1,"
        f"aformat=sample_fmts=flt:channel_layouts={'stereo' if channels == 2 else 'mono'},atrim=end={stop_s:.6f}"
    )
    source = hardened_input(descriptor, limits, codec_whitelist=CODECS, itsoffset=f"{shift_s:.6f}")
    output = ffmpeg.output(source, "pipe:1", af=filters, format="f32le", vn=None, sn=None, dn=None)
    refused = _RefusedCodecs()
    child = Child(output, (descriptor,), limits, stdout=True, watch=refused)
    try:
        yield _chunks(child, channels, refused)
    finally:
        child.close()


class _RefusedCodecs:
    """Watches for codecs that are not on the list: most are of streams that nobody asks for."""

    def __init__(self) -> None:
        self.names: set[bytes] = set()

    def __call__(self, line: bytes) -> bool:
        found = REFUSED.search(line)
        if found:
            self.names.add(found[1])
        return found is not None


def _chunks(child: Child, channels: int, refused: _RefusedCodecs) -> Iterator[np.ndarray]:
    assert child.process.stdout is not None
    while data := child.process.stdout.read(CHUNK * channels * 4):
        whole = len(data) // (4 * channels) * (4 * channels)  # it may have been stopped within a sample
        yield np.frombuffer(data[:whole], "<f4").reshape(-1, channels)
    try:
        child.finish()
    except RejectedError as error:
        raise _explained(child.messages(), refused.names, error) from error


def _explained(messages: bytes, refused: set[bytes], error: RejectedError) -> RejectedError:
    """What ffmpeg's failure means for sound."""
    if error.code == "timeout":
        return error
    if NO_TRACK in messages:
        return RejectedError("no_sound", "The file has no audio track.")
    wanted = NOT_OPENED.search(messages)
    if wanted and wanted[1] in refused:
        return RejectedError("sound_codec", f"The sound is {wanted[1].decode()}, which is none of {CODECS}.")
    return error


def read_sound(
    descriptor: int,
    shift_s: float,
    spans: Sequence[tuple[int, int]],
    rate: int,
    channels: int,
    limits: LimitsConfig,
) -> list[np.ndarray]:
    """Stretches [start, stop) of a source's samples, as float32 (stop - start, channels) each, decoded in one run.

    Silence where there is no sound, before the clock's zero and after the end, too. Raises as `decode_sound`.
    """
    sounds = [np.zeros((stop - start, channels), np.float32) for start, stop in spans]
    at, stop_s = 0, max(stop for _, stop in spans) / rate
    with decode_sound(descriptor, shift_s, stop_s, rate, channels, limits) as chunks:
        for chunk in chunks:
            for (start, stop), sound in zip(spans, sounds, strict=True):
                first, last = max(start, at), min(stop, at + len(chunk))
                if first < last:
                    sound[first - start : last - start] = chunk[first - at : last - at]
            at += len(chunk)
    return sounds

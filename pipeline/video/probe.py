"""What a source is: its header and its first frame, as ffmpeg itself reports them.

One short run through the hardened door: the container's line, the stream's line and `showinfo` of the
first decoded frame, which has the size after rotation. Lines are matched from their start, so that
text in a file's metadata cannot pose as one of them.
"""

import os
import re
from dataclasses import dataclass

import ffmpeg

from data_catalog.base.errors import RejectedError
from pipeline.config import LimitsConfig
from pipeline.video.ffmpeg import Child, first_words, source_input

HDR_TRANSFERS = ("smpte2084", "arib-std-b67")
PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"#EXT-X", b"<?xml", b"<MPD", b"[playlist]")
# Containers whose index leads to the exact frame; the others are decoded from their beginning.
SEEKABLE = re.compile(r"^\[info\] Input #0, (mov,mp4|matroska)", re.M)
DURATION = re.compile(r"^\[info\]   Duration: (\d+):(\d+):([\d.]+)", re.M)
STREAM = re.compile(r"^\[info\]   Stream #0:\d+\S*: Video: (\w+)[^\n]*?, ([a-z]\w+)(?:\(([^)]*)\))?, \d+x\d+", re.M)
RATE = re.compile(r"^\[info\]   Stream #0:\d+\S*: Video: [^\n]* ([\d.]+k?) fps", re.M)
ROTATION = re.compile(r"^\[info\]\s+[Dd]isplay[ m]?[Mm]?atrix: rotation of (-?[\d.]+) degrees", re.M)
FRAME = re.compile(r"^\[Parsed_showinfo\S+ @ \S+\] \[info\] n: +0 .* sar:(\d+)/(\d+) s:(\d+)x(\d+) i:(\w)", re.M)
TOO_LARGE = re.compile(rb"picture size [1-9]\d*x[1-9]\d* (is invalid|exceeds)", re.I)
MAX_PROBE_S = 60.0


@dataclass(frozen=True)
class Probe:
    """The first video stream. `width` and `height` are as displayed: rotated, pixels square."""

    width: int
    height: int
    rotation: int
    square: bool
    fps: float
    duration_s: float
    codec: str
    pix_fmt: str
    hdr: bool
    interlaced: bool
    foreign_colour: bool  # other than limited-range YUV of BT.709 (or untagged, which is taken for it)
    seekable: bool


def probe(descriptor: int, limits: LimitsConfig) -> Probe:
    """Read the header and decode one frame.

    Raises:
        RejectedError: empty_file, not_a_video, no_video_stream, picture_too_large, damaged, timeout.
    """
    if os.fstat(descriptor).st_size == 0:
        raise RejectedError("empty_file", "The file holds no bytes.")
    if os.pread(descriptor, 64, 0).lstrip(b"\xef\xbb\xbf \r\n").startswith(PLAYLISTS):
        raise RejectedError(
            "playlist_refused", "The file is a playlist, which names other files: give the videos themselves."
        )
    refuse_cut_short(descriptor)
    messages, failure = _first_frame(descriptor, limits)
    if TOO_LARGE.search(failure):
        raise RejectedError(
            "picture_too_large", f"At most {limits.max_pixels} pixels are decoded ({first_words(failure)})."
        )
    if not re.search(r"^\[info\] Input #0", messages, re.M):
        raise RejectedError("not_a_video", f"No video container that is allowed was found ({first_words(failure)}).")
    stream = STREAM.search(messages)
    frame = FRAME.search(messages)
    if stream is None and "Video:" not in messages:
        raise RejectedError("no_video_stream", "The file holds no video stream.")
    if frame is None or stream is None:
        raise RejectedError("damaged", f"The first frame could not be decoded ({first_words(failure)}).")
    return _describe(messages, stream, frame)


def refuse_cut_short(descriptor: int) -> None:
    """Walk the top-level boxes of an mp4 (ISO/IEC 14496-12, 4.2): all of them must lie within the file.

    Raises:
        RejectedError: `truncated`.
    """
    size, offset = os.fstat(descriptor).st_size, 0
    if os.pread(descriptor, 8, 0)[4:8] not in (b"ftyp", b"moov", b"mdat", b"wide", b"free"):
        return
    while offset + 8 <= size:
        header = os.pread(descriptor, 16, offset)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length == 0:  # to the end of the file
            return
        if length < 8:
            break
        offset += length
    if offset > size:
        raise RejectedError("truncated", f"The file has {size} bytes; its own index promises {offset}.")


def _first_frame(descriptor: int, limits: LimitsConfig) -> tuple[str, bytes]:
    """(ffmpeg's messages at level info, the error lines among them)."""
    picture = source_input(descriptor, limits).filter("showinfo", checksum=0)
    output = ffmpeg.output(picture, "pipe:1", format="null", **{"frames:v": 1})
    wall_s = min(limits.wall_s, MAX_PROBE_S)
    child = Child(output, (descriptor,), limits.model_copy(update={"wall_s": wall_s}), stdout=False, level="level+info")
    try:
        messages = child.messages()
    finally:
        child.close()
    if child.timed_out:
        raise RejectedError("timeout", f"The first frame could not be decoded within {wall_s:g} s.")
    errors = [line for line in messages.splitlines() if re.search(rb"\[(error|fatal|panic)\]", line)]
    return messages.decode("utf-8", "replace"), b"\n".join(errors)


def _describe(messages: str, stream: re.Match[str], frame: re.Match[str]) -> Probe:
    sar = int(frame[1]) / int(frame[2]) if int(frame[1]) and int(frame[2]) else 1.0
    duration, rate, rotation = DURATION.search(messages), RATE.search(messages), ROTATION.search(messages)
    seconds = int(duration[1]) * 3600 + int(duration[2]) * 60 + float(duration[3]) if duration else 0.0
    return Probe(
        width=round(int(frame[3]) * sar),
        height=int(frame[4]),
        square=sar == 1.0,
        rotation=round(float(rotation[1])) % 360 if rotation else 0,
        fps=float(rate[1].replace("k", "e3")) if rate else 0.0,
        duration_s=seconds,
        codec=stream[1],
        pix_fmt=stream[2],
        hdr=any(name in (stream[3] or "") for name in HDR_TRANSFERS),
        interlaced=frame[5] != "P",
        foreign_colour=_foreign_colour(stream[2], stream[3] or ""),
        seekable=bool(SEEKABLE.search(messages)),
    )


def _foreign_colour(pix_fmt: str, tags: str) -> bool:
    """Whether range or matrix must be converted, which costs swscale more than the scaling itself."""
    matrices = ("smpte170m", "bt470bg", "bt2020", "smpte240m", "fcc", "ycgco", "gbr")
    return (
        pix_fmt.startswith("yuvj") or not pix_fmt.startswith("yuv") or "pc" in tags or any(m in tags for m in matrices)
    )

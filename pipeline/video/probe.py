"""What a source is: its header and its first frame, as ffmpeg itself reports them.

Two short runs through the hardened door: the listing of the input, among whose streams the video is chosen, and
`showinfo` of its first decoded frame, which has the size after rotation. Lines are matched from their start, so
that text in a file's metadata cannot pose as one of them.
"""

import os
import re
from dataclasses import dataclass

import ffmpeg

from data_catalog.base.errors import RejectedError
from pipeline.config import LimitsConfig
from pipeline.video.boxes import refuse_cut_short
from pipeline.video.ffmpeg import MAX_STREAMS, Child, Watch, first_words, hardened_input, source_input
from pipeline.video.streams import VideoStream, choose_stream

HDR_TRANSFERS = ("smpte2084", "arib-std-b67")
PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"#EXT-X", b"<?xml", b"<MPD", b"[playlist]")
# Containers whose index leads to the exact frame; the others are decoded from their beginning.
SEEKABLE = re.compile(r"^\[info\] Input #0, (mov,mp4|matroska)", re.M)
# Containers without a header: their length is guessed from clocks, which may jump.
UNTIMED = re.compile(r"^\[info\] Input #0, (mpegts|mpeg),", re.M)
DURATION = re.compile(r"^\[info\]   Duration: (\d+):(\d+):([\d.]+)(?:, start: (-?[\d.]+))?", re.M)
FROM_ZERO = re.compile(
    r"^\[info\] Input #0, matroska", re.M
)  # their length counts from time 0, not from the first frame
PICTURE = re.compile(r": Video: \w+[^\n]*?, ([a-z]\w+)(?:\(([^)]*)\))?, \d+x\d+")
RATE = re.compile(r": Video: [^\n]* ([\d.]+k?) fps")
ROTATION = re.compile(r"^\[info\]\s+[Dd]isplay[ m]?[Mm]?atrix: rotation of (-?[\d.]+) degrees", re.M)
FRAME = re.compile(r"^\[Parsed_showinfo\S+ @ \S+\] \[info\] n: +0 .* sar:(\d+)/(\d+) s:(\d+)x(\d+) i:(\w)", re.M)
ERROR = re.compile(rb"\[(error|fatal|panic)\] (?!Codec \(\S+\) not on whitelist)")
TOO_MANY = re.compile(rb"exceeds max_streams")
TOO_LARGE = re.compile(rb"picture size [1-9]\d*x[1-9]\d* (is invalid|exceeds)", re.I)
MAX_PROBE_S = 60.0
MAX_LISTING = 8 << 20  # bytes: some 20,000 streams


@dataclass(frozen=True)
class Probe:
    """The video stream. `width` and `height` are as displayed: rotated, pixels square, bars cut off."""

    stream: int  # its number among all streams of the file
    width: int
    height: int
    rotation: int
    square: bool
    fps: float
    duration_s: float  # of the longest stream, as the header says; 0 where none does
    codec: str
    pix_fmt: str
    hdr: bool
    interlaced: bool
    foreign_colour: bool  # other than limited-range YUV of BT.709 (or untagged, which is taken for it)
    seekable: bool
    display_matrix: bool  # ffmpeg turns or mirrors the stored picture
    changes: bool = False  # other frames of the stream have another size or pixel format
    bars: tuple[int, int, int, int] = (0, 0, 0, 0)  # left, above, right, below the picture: what is cut off


def probe(descriptor: int, limits: LimitsConfig) -> Probe:
    """Read the header and decode one frame.

    Raises:
        RejectedError: empty_file, playlist_refused, truncated, not_a_video, too_many_streams, no_video_stream,
            codec_refused, picture_too_large, damaged, timeout.
    """
    if os.fstat(descriptor).st_size == 0:
        raise RejectedError("empty_file", "The file holds no bytes.")
    if os.pread(descriptor, 64, 0).lstrip(b"\xef\xbb\xbf \r\n").startswith(PLAYLISTS):
        raise RejectedError(
            "playlist_refused", "The file is a playlist, which names other files: give the videos themselves."
        )
    refuse_cut_short(descriptor)
    listing, failure = _run(hardened_input(descriptor, limits), "ffmetadata", descriptor, limits)
    _refuse_unreadable(listing, failure, limits)
    chosen = choose_stream(descriptor, listing, limits)
    picture = source_input(descriptor, limits, chosen.index).filter("showinfo", checksum=0)
    messages, failure = _run(picture, "null", descriptor, limits, _is_irrelevant)
    frame, tags = FRAME.search(messages), PICTURE.search(chosen.text)
    if frame is None or tags is None:
        _refuse_too_large(failure, limits)
        raise RejectedError("damaged", f"The first frame could not be decoded ({first_words(failure)}).")
    return _describe(listing, chosen, tags, frame)


def _run(
    source: ffmpeg.nodes.Stream, muxer: str, descriptor: int, limits: LimitsConfig, watch: Watch | None = None
) -> tuple[str, bytes]:
    """(ffmpeg's messages at level info, the error lines among them) of a run that takes one frame at most."""
    output = ffmpeg.output(source, "pipe:1", format=muxer, **{"frames:v": 1})
    wall_s = min(limits.wall_s, MAX_PROBE_S)
    child = Child(
        output, (descriptor,), limits.model_copy(update={"wall_s": wall_s}), stdout=False, level="level+info",
        watch=watch, max_messages=MAX_LISTING,
    )  # fmt: skip
    try:
        messages = child.messages()
    finally:
        child.close()
    if child.timed_out:
        raise RejectedError("timeout", f"The first frame could not be decoded within {wall_s:g} s.")
    errors = [line for line in messages.splitlines() if ERROR.search(line)]
    return messages.decode("utf-8", "replace"), b"\n".join(errors)


def _is_irrelevant(line: bytes) -> bool:
    """Whether a line says nothing of the first frame and is no error."""
    return not line.startswith(b"[Parsed_showinfo") and ERROR.search(line) is None


def _refuse_too_large(failure: bytes, limits: LimitsConfig) -> None:
    if TOO_LARGE.search(failure):
        raise RejectedError(
            "picture_too_large", f"At most {limits.max_pixels} pixels are decoded ({first_words(failure)})."
        )


def _refuse_unreadable(listing: str, failure: bytes, limits: LimitsConfig) -> None:
    if TOO_MANY.search(failure):  # what ffmpeg then reads of the file is not all of it
        raise RejectedError("too_many_streams", f"The file has more than {MAX_STREAMS} streams.")
    if not re.search(r"^\[info\] Input #0", listing, re.M):
        _refuse_too_large(failure, limits)
        raise RejectedError("not_a_video", f"No video container that is allowed was found ({first_words(failure)}).")


def _describe(listing: str, chosen: VideoStream, tags: re.Match[str], frame: re.Match[str]) -> Probe:
    sar = int(frame[1]) / int(frame[2]) if int(frame[1]) and int(frame[2]) else 1.0
    rate, rotation = RATE.search(chosen.text), ROTATION.search(chosen.text)
    return Probe(
        stream=chosen.index,
        width=round(int(frame[3]) * sar),
        height=int(frame[4]),
        square=sar == 1.0,
        rotation=round(float(rotation[1])) % 360 if rotation else 0,
        fps=float(rate[1].replace("k", "e3")) if rate else 0.0,
        duration_s=_duration(listing),
        codec=chosen.codec,
        pix_fmt=tags[1],
        hdr=any(name in (tags[2] or "") for name in HDR_TRANSFERS),
        interlaced=frame[5] != "P",
        foreign_colour=_foreign_colour(tags[1], tags[2] or ""),
        seekable=bool(SEEKABLE.search(listing)),
        display_matrix=rotation is not None,
    )


def _duration(listing: str) -> float:
    """Seconds from the first frame to the end of the longest stream, as the header says; 0 where it does not."""
    found = None if UNTIMED.search(listing) else DURATION.search(listing)
    if found is None:
        return 0.0
    seconds = int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])
    return max(0.0, seconds - float(found[4] or 0)) if FROM_ZERO.search(listing) else seconds


def _foreign_colour(pix_fmt: str, tags: str) -> bool:
    """Whether range or matrix must be converted, which costs swscale more than the scaling itself."""
    matrices = ("smpte170m", "bt470bg", "bt2020", "smpte240m", "fcc", "ycgco", "gbr")
    return (
        pix_fmt.startswith("yuvj") or not pix_fmt.startswith("yuv") or "pc" in tags or any(m in tags for m in matrices)
    )

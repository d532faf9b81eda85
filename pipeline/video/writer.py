"""Generated frames to video: segments that are encoded once each, joined into an mp4 that grows, and a GIF.

The same frames give the same bytes: one encoder thread, no dates. Every frame is coded by itself, at a constant
quantiser, so that a frame looks the same whatever is made of its neighbours.
"""

import contextlib
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import ffmpeg
import numpy as np

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import atomic, temp_name
from pipeline.config import LimitsConfig
from pipeline.video.ffmpeg import encode, file_url, open_source, source_input

QP, PRESET = 22, "veryfast"
MAX_BYTES = 2 << 30
GIF_TRIES = ((1.0, 384), (0.5, 320), (0.5, 256), (0.33, 192), (0.25, 160), (0.2, 128), (0.1, 96), (0.05, 64))
"""(share of the frames, most pixels a side), tried in turn until a GIF is small enough."""


def encode_segment(path: Path, frames_FHWC: np.ndarray, fps: Fraction) -> None:
    """Write uint8 RGB frames as a short H.264 mp4, atomically.

    Raises LongdanceError for frames of odd sides (4:2:0 has half the chroma samples), OSError where no room is left.
    """
    count, height, width = frames_FHWC.shape[:3]
    if height % 2 or width % 2:
        raise LongdanceError(f"Frames of {width}x{height} pixels cannot be encoded: both sides have to be even.")
    raw = temp_name(path.with_suffix(".rgb"))
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        raw.write_bytes(np.ascontiguousarray(frames_FHWC).tobytes())
        descriptor = open_source(bytes(raw))
        try:
            picture = ffmpeg.input(
                "fd:", fd=descriptor, protocol_whitelist="fd", format="rawvideo", pixel_format="rgb24",
                video_size=(width, height), framerate=str(fps),
            )  # fmt: skip
            picture = picture.filter("scale", out_range="tv", out_color_matrix="bt709", flags="bicubic+accurate_rnd")
            _encode(path, picture.filter("format", "yuv420p"), descriptor, count, fps)
        finally:
            os.close(descriptor)
    finally:
        raw.unlink(missing_ok=True)


def _encode(path: Path, picture: ffmpeg.nodes.Stream, descriptor: int, count: int, fps: Fraction) -> None:
    with atomic(path) as temp:
        output = ffmpeg.output(
            picture, file_url(temp), format="mp4", vcodec="libx264", preset=PRESET, qp=QP, g=1, bf=0,
            threads=1, r=str(fps), fps_mode="cfr", video_track_timescale=timescale(fps, above=10_000),
            colorspace="bt709", color_primaries="bt709", color_trc="bt709", color_range="tv", map_metadata=-1,
            fflags="+bitexact", **{"flags:v": "+bitexact", "frames:v": count},
        )  # fmt: skip
        encode(output, descriptor, LimitsConfig(), MAX_BYTES)


def timescale(fps: Fraction, above: int = 0) -> int:
    """Ticks a second of an mp4, of which every frame lasts a whole number: about 10,000 of them, and more than `above`.

    Files that are joined need more than 10,000: the muxer that copies them doubles what is less.
    """
    ticks = fps.numerator * max(1, 10_000 // fps.numerator)
    return ticks if ticks > above else ticks + fps.numerator


def join_segments(path: Path, segments: Sequence[Path]) -> None:
    """The segments one after the other as one mp4, without encoding again; atomic, and the same bytes every time.

    Until it is whole it lies beside the segments.
    """
    with atomic(path, segments[0].parent) as temp, av.open(str(temp), "w", format="mp4", options=_MUXER) as out:
        with av.open(str(segments[0])) as first:
            stream = out.add_stream_from_template(first.streams.video[0])
        start = 0
        for segment in segments:
            with av.open(str(segment)) as container:
                source = container.streams.video[0]
                packets = [packet for packet in container.demux(source) if packet.size]
                length = sum(packet.duration for packet in packets)  # before muxing, which changes their unit
                for packet in packets:
                    packet.pts, packet.dts = packet.pts + start, packet.dts + start
                    packet.stream = stream
                    out.mux(packet)
                start += length


_MUXER = {"movflags": "+faststart", "fflags": "+bitexact"}


class _TooLargeError(Exception):
    """A GIF that is not kept."""


def write_gif_within(
    path: Path, video: Path, frames: int, fps: Fraction, max_bytes: int, temps: Path | None = None
) -> tuple[float, int]:
    """A GIF of a video of ours that is at most `max_bytes` large; returns (share of the frames, pixels a side).

    Frames are left out and pictures shrunk until it fits; one that is there already stays until then. `temps`: as
    for `atomic`. Raises LongdanceError if nothing fits.
    """
    for share, side in GIF_TRIES:
        with contextlib.suppress(_TooLargeError), atomic(path, temps) as temp:
            _gif(temp, video, min(frames, round(1 / share)), side, fps)
            if temp.stat().st_size > max_bytes:
                raise _TooLargeError
            return share, side
    raise LongdanceError(f"A GIF of {frames} frames does not fit in {max_bytes} bytes: allow more, or fewer frames.")


def _gif(path: Path, video: Path, every: int, side: int, fps: Fraction) -> None:
    descriptor = open_source(bytes(video))
    palette = path.with_name(f"{path.stem}-palette.png")
    limits = LimitsConfig()
    try:
        picture = _thinned(descriptor, every, side, fps, limits)
        encode(
            ffmpeg.output(picture.filter("palettegen", stats_mode="diff"), file_url(palette), **{"update": 1}),
            descriptor, limits, MAX_BYTES,
        )  # fmt: skip
        picture = _thinned(descriptor, every, side, fps, limits)
        colours = ffmpeg.input(file_url(palette))
        joined = ffmpeg.filter([picture, colours], "paletteuse", dither="bayer", bayer_scale=3, diff_mode="rectangle")
        encode(ffmpeg.output(joined, file_url(path), format="gif", fflags="+bitexact"), descriptor, limits, MAX_BYTES)
    finally:
        os.close(descriptor)
        palette.unlink(missing_ok=True)


def _thinned(descriptor: int, every: int, side: int, fps: Fraction, limits: LimitsConfig) -> ffmpeg.nodes.Stream:
    stream = source_input(descriptor, limits, 0)
    if every > 1:
        stream = stream.filter("fps", str(fps / every))
    return stream.filter("scale", f"min(iw,{side})", -1, flags="lanczos")

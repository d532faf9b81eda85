"""ffmpeg filters that bring any picture to upright, square-pixel, progressive 8-bit SDR."""

from collections.abc import Mapping
from types import MappingProxyType

import ffmpeg

from pipeline.config import LimitsConfig
from pipeline.video.ffmpeg import source_input
from pipeline.video.probe import Probe

NO_OPTIONS: Mapping[str, object] = MappingProxyType({})


def upright(
    descriptor: int,
    probe: Probe,
    limits: LimitsConfig,
    options: Mapping[str, object] = NO_OPTIONS,
    *,
    counted: bool = False,
    watched: bool = False,
) -> ffmpeg.nodes.Stream:
    """A source's picture as displayed, without bars, `probe.width` x `probe.height` (ffmpeg has turned it already).

    Where the size changes within the stream, frames of other sizes are brought to this one.

    Args:
        options: more of ffmpeg's for the input.
        counted: filters that follow count frames. ffmpeg sets up its graph again where size, format or colour tags
            change, and all filters count from 0 again; so the graph is kept, and `scale`, which alone may meet other
            frames, brings them all to one size and format first. A picture that is turned or has oblong pixels goes
            through other filters before that, so there the graph is not kept.
        watched: let `showinfo` say what every decoded frame is.
    """
    keep = (counted or probe.changes) and probe.square and not probe.display_matrix
    stream = source_input(descriptor, limits, probe.stream, **options, **({"reinit_filter": 0} if keep else {}))
    if watched:
        stream = stream.filter("showinfo", checksum=0)
    left, above, right, below = probe.bars
    width, height = left + probe.width + right, above + probe.height + below
    if keep:
        stream = stream.filter("scale", width, height).filter("format", probe.pix_fmt)
    if probe.interlaced:
        stream = stream.filter("bwdif", mode="send_frame", deint="interlaced")
    if not probe.square:
        stream = stream.filter("scale", width, height, flags="bicubic")
    return stream.filter("crop", probe.width, probe.height, left, above) if any(probe.bars) else stream


def sized(stream: ffmpeg.nodes.Stream, probe: Probe, width: int, height: int, flags: str) -> ffmpeg.nodes.Stream:
    """Scale to limited-range BT.709 yuv420p; HDR is tone-mapped after the scaling, where it is cheap.

    The HDR chain is the one of ffmpeg's `tonemap` documentation (linear light, Hable's curve).
    """
    if not probe.hdr:
        convert = {"out_range": "tv", "out_color_matrix": "bt709"} if probe.foreign_colour else {}
        stream = stream.filter("scale", width, height, flags=flags, **convert)
        if not convert:  # say what it is, or ffmpeg would convert it to what the output asks for
            names = {"range": "tv", "colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709"}
            stream = stream.filter("setparams", **names)
        return stream.filter("setsar", 1).filter("format", "yuv420p")
    stream = stream.filter("scale", width, height, flags=flags).filter("setsar", 1)
    stream = stream.filter("zscale", transfer="linear", npl=100).filter("format", "gbrpf32le")
    stream = stream.filter("zscale", primaries="bt709").filter("tonemap", "hable", desat=0)
    stream = stream.filter("zscale", transfer="bt709", matrix="bt709", range="tv")
    return stream.filter("format", "yuv420p")


def proxy_shape(probe: Probe, longest: int) -> tuple[int, int]:
    """(height, width) of the analysed picture: even, the longest side `longest` or the source's if smaller."""
    scale = min(1.0, longest / max(probe.width, probe.height))
    return max(2, round(probe.height * scale / 2) * 2), max(2, round(probe.width * scale / 2) * 2)

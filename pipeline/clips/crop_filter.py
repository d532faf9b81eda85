"""A crop as a part of an ffmpeg graph: cut out, scaled to the clip, and filled where it reaches out of the picture."""

import ffmpeg
import numpy as np
from ffmpeg.nodes import Stream

from pipeline.clips.crop import Crop, Placement, placed
from pipeline.config import Fill
from pipeline.picture_size import PictureSize
from pipeline.video.filters import sized
from pipeline.video.probe import Probe

SOFT = 16  # pixels: what lies outside of the picture has no detail finer than this


def cropped(stream: Stream, crop: Crop, probe: Probe, size: PictureSize, fill: Fill, flags: str) -> Stream:
    """The upright picture through the crop, as limited-range BT.709 yuv420p of this size.

    Args:
        flags: how it is scaled; a moving crop's corners are those of the frames that come.
    """
    shape = (probe.height, probe.width)
    placement = placed(crop, shape, size)
    if len(crop.corners) > 1:
        return sized(_moving(stream, crop, shape), probe, size.width, size.height, flags)
    x0, y0, x1, y1 = (int(value) for value in placement.source[0])
    left, top, right, bottom = (int(value) for value in placement.picture[0])
    seen = sized(stream.filter("crop", x1 - x0, y1 - y0, x0, y0), probe, right - left, bottom - top, flags)
    return seen if placement.filled == 0 else filled(seen, placement, fill)


def _moving(stream: Stream, crop: Crop, shape: tuple[int, int]) -> Stream:
    """The window that glides, over the picture with as much of its edge drawn out on all sides as the window needs."""
    even = np.array([shape[1], shape[0]]) // 2 * 2
    before = np.maximum(-crop.corners.min(0), 0)
    after = np.maximum((crop.corners + crop.size).max(0) - even, 0)
    if before.any() or after.any():
        (left, top), (right, bottom) = before.tolist(), after.tolist()
        stream = stream.filter("crop", int(even[0]), int(even[1]), 0, 0)
        stream = stream.filter("pad", int(even[0]) + left + right, int(even[1]) + top + bottom, left, top)
        stream = stream.filter("fillborders", left=left, right=right, top=top, bottom=bottom, mode="smear")
    moved = Crop(crop.corners + before, crop.width, crop.height, crop.framing)
    return stream.filter("crop", crop.width, crop.height, *corner_expressions(moved))


def filled(seen: Stream, placement: Placement, fill: Fill) -> Stream:
    """The part of the picture that a clip shows, at its place, with the rest of the clip filled."""
    left, top, right, bottom = (int(value) for value in placement.picture[0])
    size = placement.size
    if fill == "mirror":
        return _mirrored(seen, (right - left, bottom - top), (left, top, size.width - right, size.height - bottom))
    parts = seen.filter_multi_output("split", 2)
    if fill == "blur":
        ground = parts[0].filter("scale", size.width, size.height, force_original_aspect_ratio="increase", flags="area")
        ground = ground.filter("crop", size.width, size.height).filter("setsar", 1)
    else:
        ground = parts[0].filter("pad", size.width, size.height, left, top)
        ground = ground.filter(
            "fillborders", left=left, top=top, right=size.width - right, bottom=size.height - bottom, mode="smear"
        )
    ground = ground.filter("scale", size.width // SOFT, size.height // SOFT, flags="area")
    ground = ground.filter("scale", size.width, size.height, flags="bicubic").filter("setsar", 1)
    return ffmpeg.filter([ground, parts[1]], "overlay", left, top, format="yuv420", shortest=1)


def _mirrored(stream: Stream, size: tuple[int, int], borders: tuple[int, int, int, int]) -> Stream:
    """Mirrored outwards, over and over: ffmpeg's `fillborders` mirrors no farther than the picture is wide."""
    (width, height), (left, top, right, bottom) = size, borders
    while left or top or right or bottom:
        step = [min(left, width), min(top, height), min(right, width), min(bottom, height)]
        width, height = width + step[0] + step[2], height + step[1] + step[3]
        stream = stream.filter("pad", width, height, step[0], step[1])
        names = dict(zip(("left", "top", "right", "bottom"), step, strict=True))
        stream = stream.filter("fillborders", **names, mode="mirror")
        left, top, right, bottom = left - step[0], top - step[1], right - step[2], bottom - step[3]
    return stream


def corner_expressions(crop: Crop) -> tuple[str, str]:
    """x and y of ffmpeg's `crop`: numbers, or sums of steps over the output frame number for a moving window."""
    texts = []
    for axis in (0, 1):
        path = crop.corners[:, axis]
        steps = [f"{int(d)}*gte(n,{n})" for n, d in enumerate(np.diff(path), start=1) if d]
        texts.append(balanced_sum([str(int(path[0])), *steps]))
    return texts[0], texts[1]


def balanced_sum(terms: list[str]) -> str:
    """The terms added up in halves: ffmpeg refuses what is nested more than 100 deep, as a long sum is."""
    if len(terms) == 1:
        return terms[0]
    half = len(terms) // 2
    return f"({balanced_sum(terms[:half])}+{balanced_sum(terms[half:])})"

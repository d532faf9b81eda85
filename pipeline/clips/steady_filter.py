"""A steadied picture's crop as a part of an ffmpeg graph: scaled once, then moved, turned and zoomed frame by frame."""

import numpy as np
from ffmpeg.nodes import Stream

from pipeline.clips.crop import Crop, placed
from pipeline.clips.crop_filter import balanced_sum, filled
from pipeline.clips.steadying.steady import Steady, chained, inverse, moved
from pipeline.config import Fill
from pipeline.picture_size import PictureSize
from pipeline.video.filters import sized
from pipeline.video.probe import Probe

AROUND = 4  # source pixels about what is shown: interpolation looks beyond it


def steadied(
    stream: Stream, frames: np.ndarray, steady: Steady, crop: Crop, probe: Probe, size: PictureSize, fill: Fill
) -> Stream:
    """The upright picture through a crop of the steadied one, as limited-range BT.709 yuv420p of this size.

    The part of the source that is needed is scaled to the clip's scale first, so that moving it is cheap.

    Args:
        frames: (n,) source frames that come.
    """
    placement = placed(crop, steady.shape, size)
    glides = len(crop.corners) > 1
    rows = np.broadcast_to(placement.source, (len(frames), 4)), np.broadcast_to(placement.picture, (len(frames), 4))
    first = np.zeros(2) if glides else rows[1][0, :2]
    shown = np.array(size) if glides else rows[1][0, 2:] - first
    to_source = chained(inverse(steady.at(frames)), _to_steady(*rows, first))
    low, high = _needed(to_source, shown, (probe.width, probe.height))
    scale = float(shown[1] / _span(to_source, shown)[1])
    inner = np.maximum(np.round((high - low) * scale / 2) * 2, shown).astype(int)
    part = stream.filter("crop", *(int(side) for side in high - low), *(int(side) for side in low))
    part = sized(part, probe, int(inner[0]), int(inner[1]), "bicubic")
    part = _warped(part, _to_scaled(to_source, low, inner / (high - low)), inner)
    part = part.filter("crop", int(shown[0]), int(shown[1]), 0, 0)
    return part if glides or placement.filled == 0 else filled(part, placement, fill)


def _to_steady(source: np.ndarray, picture: np.ndarray, first: np.ndarray) -> np.ndarray:
    """(n, 2, 3) from pixels of the clip, counted from `first`, to those of the steadied picture."""
    scale = (source[:, 2:] - source[:, :2]) / (picture[:, 2:] - picture[:, :2])
    affines = np.zeros((len(source), 2, 3))
    affines[:, 0, 0], affines[:, 1, 1] = scale.T
    affines[:, :, 2] = source[:, :2] + (first - picture[:, :2]) * scale
    return affines


def _span(to_source: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """(2,) how many source pixels wide and high the shown rectangle is, in the frame that sees it largest."""
    return np.asarray(np.linalg.norm(to_source[:, :, :2], axis=1).min(0) * shown)


def _needed(to_source: np.ndarray, shown: np.ndarray, picture: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Corners, even, of the part of the source that some frame shows."""
    corners = np.array([[0.0, 0.0], [shown[0], 0.0], [0.0, shown[1]], [*shown]])
    seen = moved(np.broadcast_to(corners, (len(to_source), 4, 2)), to_source).reshape(-1, 2)
    even = np.array(picture) // 2 * 2
    low = np.clip(np.floor((seen.min(0) - AROUND) / 2) * 2, 0, even - 2)
    high = np.clip(np.ceil((seen.max(0) + AROUND) / 2) * 2, low + 2, even)
    return low.astype(int), high.astype(int)


def _to_scaled(to_source: np.ndarray, low: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(n, 2, 3) between numbers of pixels, which lie half a pixel from the corners that places are counted from."""
    affines = to_source.copy()
    affines[:, :, 2] += to_source[:, :, :2] @ np.array([0.5, 0.5]) - low
    affines *= scale[:, None]
    affines[:, :, 2] -= 0.5
    return affines


def _warped(stream: Stream, affines: np.ndarray, size: np.ndarray) -> Stream:
    """`perspective`, which takes four places a frame for what comes into the corners. Its frames count from 1."""
    options: dict[str, str] = {}
    for number, (x, y) in enumerate([(0, 0), (size[0], 0), (0, size[1]), (size[0], size[1])]):
        places = affines @ np.array([x, y, 1.0])
        for name, values in (("x", places[:, 0]), ("y", places[:, 1])):
            terms = [f"{value:.2f}*eq(on,{n})" for n, value in enumerate(values, start=1)]
            options[f"{name}{number}"] = balanced_sum(terms)
    return stream.filter("perspective", **options, interpolation="cubic", sense="source", eval="frame")

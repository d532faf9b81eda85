"""`crop.fit=upper`: a crop that never leaves the picture: it moves, it shrinks, and at last it lets the legs go."""

import numpy as np

from data_catalog.base.errors import RejectedError
from pipeline.analysis.pose import pelvis
from pipeline.clips.body_extent import BODY, extent, pelvis_path
from pipeline.clips.crop import Crop
from pipeline.config import CropConfig

PELVIS_X = 0.5
MAX_SHIFT = 0.35  # a pelvis further from its place than this is not an alignment any more
UPPER_PELVIS = (0.5, 0.9)  # where the pelvis may lie when the legs do not fit


def upper_static(seen: np.ndarray, wanted: float, height: float, shape: tuple[int, int], config: CropConfig) -> Crop:
    """One crop for all frames; arguments as `upper_follow`'s, `height` the dancer's."""
    aspect = config.size.aspect
    low, high = extent(seen, height)
    centre = pelvis(seen).mean(0)
    room = 1 - 2 * config.margin
    needed = float(((high - low) / [aspect, 1]).max()) / room
    tall = min(float(np.clip(needed, wanted, wanted * config.max_grow)), _limit(shape, config))
    size = tall * np.array([aspect, 1])
    corner = centre - size * np.array([PELVIS_X, config.pelvis_y])
    framing = _framing(seen, tall, wanted)
    for axis in (0, 1):
        first, last = low[axis] - config.margin * size[axis], high[axis] + config.margin * size[axis]
        if last - first <= size[axis]:
            corner[axis] = np.clip(corner[axis], last - size[axis], first)
        elif framing == "upper" and axis == 1:  # keep the head, let the legs go
            corner[1] = np.clip(first, centre[1] - UPPER_PELVIS[1] * tall, centre[1] - UPPER_PELVIS[0] * tall)
        else:  # as much on either side
            corner[axis] = (first + last - size[axis]) / 2
    corner = np.clip(corner, 0, np.array([shape[1], shape[0]]) - size)
    return _checked(corner[None], tall, framing, (centre - corner) / size, config)


def upper_follow(
    seen: np.ndarray, landmarks: np.ndarray, wanted: float, shape: tuple[int, int], config: CropConfig
) -> Crop:
    """A window that glides after the pelvis.

    Args:
        seen: (n, 33, 4) landmarks of the frames that can be trusted; landmarks: of all frames.
        wanted: height of the crop that gives the dancer its size, in source pixels.
        shape: (height, width) of the source picture.
    """
    tall = min(wanted, _limit(shape, config))
    size = tall * np.array([config.size.aspect, 1])
    path = pelvis_path(landmarks, config.follow_speed * tall)
    path = np.clip(path - size * np.array([PELVIS_X, config.pelvis_y]), 0, np.array([shape[1], shape[0]]) - size)
    place = ((pelvis(landmarks) - path) / size).mean(0)
    return _checked(path, tall, _framing(seen, tall, wanted), place, config)


def _limit(shape: tuple[int, int], config: CropConfig) -> float:
    """The tallest crop of this aspect within the picture."""
    return min(float(shape[0]), shape[1] / config.size.aspect)


def _framing(seen: np.ndarray, tall: float, wanted: float) -> str:
    """`upper` where a shrunken crop cannot hold the body as it mostly stands."""
    spans = np.ptp(seen[:, BODY, 1], axis=1)
    return "upper" if tall < 0.8 * wanted and float(np.median(spans)) > 0.95 * tall else "full"


def _checked(corners: np.ndarray, tall: float, framing: str, place: np.ndarray, config: CropConfig) -> Crop:
    """Whole, even pixels, and a pelvis that is still near its place.

    Raises:
        RejectedError: crop_outside_picture, dancer_too_small.
    """
    limit = MAX_SHIFT if framing == "full" else max(MAX_SHIFT, UPPER_PELVIS[1] - config.pelvis_y)
    if np.abs(place - [PELVIS_X, config.pelvis_y]).max() > limit + 1e-6:  # a crop that was clamped lies on it
        raise RejectedError(
            "crop_outside_picture",
            f"Within the picture the pelvis would sit at {place[0]:.2f}, {place[1]:.2f} of the crop, "
            f"further than {limit:g} from its place.",
        )
    refuse_small(tall, config)
    even = np.floor(corners / 2).astype(np.int64) * 2
    return Crop(even, int(tall * config.size.aspect // 2 * 2), int(tall // 2 * 2), framing)


def refuse_small(tall: float, config: CropConfig) -> None:
    """Raise RejectedError, dancer_too_small, for a crop that would be enlarged too much."""
    if config.size.height / tall > config.max_upscale:
        raise RejectedError(
            "dancer_too_small",
            f"The crop is {tall:.0f} pixels tall and would be enlarged {config.size.height / tall:.1f} times; "
            f"at most {config.max_upscale:g} was expected.",
        )

"""From landmarks to a crop: pelvis and body size at the same place in every clip, the whole dance inside.

By default (`crop.fit=body`) a crop may reach out of the picture: what lies outside is filled, and weighs nothing.
Three wishes, in this order: the dance, as far as the picture shows it, is inside; pelvis and body size are at their
place; no more is filled than `crop.max_filled`, beyond which the crop closes in on the dancer. Shares are of the
crop's sides. y grows downwards.
"""

from collections.abc import Callable

import numpy as np

from data_catalog.base.errors import RejectedError
from pipeline.analysis.pose import pelvis
from pipeline.clips.body_extent import BODY, extent, pelvis_path, standing_height
from pipeline.clips.crop import Crop, placed
from pipeline.clips.upper_crop import MAX_SHIFT, PELVIS_X, refuse_small, upper_follow, upper_static
from pipeline.config import CropConfig

SNAP = 0.01  # a crop that reaches out by less than this share is moved, or shrunk, into the picture instead
CLOSING_STEPS = 24  # of a bisection


def plan_crop(landmarks: np.ndarray, known: np.ndarray, shape: tuple[int, int], config: CropConfig) -> Crop:
    """The crop of one clip.

    Args:
        landmarks: (frames, 33, 4) in source pixels.
        known: (frames,) frames whose landmarks can be trusted.
        shape: (height, width) of the source picture.

    Raises:
        RejectedError: no_dancer, dancer_too_small, crop_outside_picture.
    """
    if not known.any():
        raise RejectedError("no_dancer", "No dancer was followed through this clip.")
    seen = landmarks[known]
    height = standing_height(seen)
    wanted = height / config.body
    if config.size.height / wanted > config.max_upscale:
        raise RejectedError(
            "dancer_too_small",
            f"The dancer is {height:.0f} pixels tall and would be enlarged {config.size.height / wanted:.1f} times; "
            f"at most {config.max_upscale:g} was expected.",
        )
    if config.fit == "body":
        follows = config.mode == "follow"
        crop = _follow(seen, landmarks, wanted, shape, config) if follows else _static(seen, wanted, shape, config)
        return _checked(crop, seen, shape, config)
    if min(shape[0], shape[1] / config.size.aspect) < config.min_shrink * wanted:
        raise RejectedError(
            "crop_outside_picture",
            f"A crop of {wanted:.0f} pixels does not fit a {shape[1]}x{shape[0]} picture.",
        )
    if config.mode == "follow":
        return upper_follow(seen, landmarks, wanted, shape, config)
    return upper_static(seen, wanted, height, shape, config)


def _static(seen: np.ndarray, wanted: float, shape: tuple[int, int], config: CropConfig) -> Crop:
    """One crop that holds the dance, as far as the picture shows it."""
    picture, aspect = np.array([shape[1], shape[0]]) // 2 * 2, np.array([config.size.aspect, 1])
    low, high = (np.clip(corner, 0, picture) for corner in extent(seen, standing_height(seen)))
    centre = pelvis(seen).mean(0)
    least = float(((high - low) / aspect).max()) / (1 - 2 * config.margin)

    def corner_of(tall: float) -> np.ndarray:
        """(1, 2): the pelvis at its place, and then as little beside it as holds the dance and its margin."""
        size = tall * aspect
        first = np.clip(low - config.margin * size, 0, picture)
        last = np.clip(high + config.margin * size, 0, picture)
        corner = centre - size * np.array([PELVIS_X, config.pelvis_y])
        held = np.clip(corner, last - size, np.maximum(first, last - size))
        corner = np.where(last - first <= size, held, (first + last - size) / 2)
        return snapped(corner, size, picture)[None]

    tall = float(np.clip(least, wanted, wanted * config.max_grow))
    tall = _closed_in(tall, min(least, tall), corner_of, picture, config)
    return _whole(corner_of(tall), tall, config)


def _follow(seen: np.ndarray, landmarks: np.ndarray, wanted: float, shape: tuple[int, int], config: CropConfig) -> Crop:
    """A window that glides after the pelvis; it holds what the dancer spans in nearly every frame."""
    picture, aspect = np.array([shape[1], shape[0]]) // 2 * 2, np.array([config.size.aspect, 1])
    points = np.clip(seen[:, BODY, :2], 0, picture)
    spans = (np.ptp(points, axis=1) / aspect).max(1)
    least = float(np.quantile(spans, 0.995)) / (1 - 2 * config.margin)

    def corners_of(tall: float) -> np.ndarray:
        size = tall * aspect
        return pelvis_path(landmarks, config.follow_speed * tall) - size * np.array([PELVIS_X, config.pelvis_y])

    tall = _closed_in(wanted, min(least, wanted), corners_of, picture, config)
    return _whole(corners_of(tall), tall, config)


def _closed_in(
    tall: float, least: float, corners_of: Callable[[float], np.ndarray], picture: np.ndarray, config: CropConfig
) -> float:
    """The height nearest to `tall`, and not below `least`, of a crop with at most `max_filled` outside the picture.

    One that is hardly larger than the picture becomes as large.
    """
    aspect = np.array([config.size.aspect, 1])
    for edge in picture / aspect:
        if edge < tall <= edge * (1 + SNAP):
            tall = float(edge)

    def filled(height: float) -> float:
        size, corners = height * aspect, corners_of(height)
        seen = np.clip(corners + size, 0, picture) - np.clip(corners, 0, picture)
        return 1 - float((seen / size).prod(1).mean())

    if filled(tall) <= config.max_filled:
        return tall
    for _ in range(CLOSING_STEPS):
        middle = (least + tall) / 2
        least, tall = (middle, tall) if filled(middle) <= config.max_filled else (least, middle)
    return least


def snapped(corners: np.ndarray, size: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """(..., 2) corners, moved where the crop reaches out of the picture by next to nothing and has room to move."""
    inside = np.clip(corners, 0, np.maximum(picture - size, 0))
    near = (np.abs(inside - corners) <= SNAP * size) & (size <= picture)
    return np.asarray(np.where(near, inside, corners))


def _whole(corners: np.ndarray, tall: float, config: CropConfig) -> Crop:
    """The crop in whole, even pixels. Raises RejectedError, dancer_too_small."""
    refuse_small(tall, config)
    height = int(tall / 2 + 1e-6) * 2
    width = int(height * config.size.aspect / 2 + 1e-6) * 2
    return Crop(np.floor(corners / 2 + 1e-6).astype(np.int64) * 2, width, height, "full")


def _checked(crop: Crop, seen: np.ndarray, shape: tuple[int, int], config: CropConfig) -> Crop:
    """The crop, if it shows some of the picture in every frame and the dancer. Raises RejectedError."""
    place = (pelvis(seen).mean(0) - crop.corners.mean(0)) / crop.size
    off = np.abs(place - [PELVIS_X, config.pelvis_y]).max() > MAX_SHIFT
    if off or not placed(crop, shape, config.size).shows_enough:
        raise RejectedError(
            "crop_outside_picture", f"Next to nothing of the {shape[1]}x{shape[0]} picture lies around the dancer."
        )
    return crop

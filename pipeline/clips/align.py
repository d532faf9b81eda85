"""From landmarks to a square crop: pelvis and body size at the same place in every clip, the whole dance inside.

Shares are of the crop's side. y grows downwards.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d

from data_catalog.base.errors import RejectedError
from pipeline.analysis.pose import BODY_PER_HEIGHT, JOINTS, body_length, pelvis
from pipeline.config import CropConfig

BODY = [0, *range(7, JOINTS)]  # every landmark but the inner face
CROWN = 0.09  # from the nose to the top of the head, as a share of the standing height
PELVIS_X = 0.5
MAX_SHIFT = 0.35  # a pelvis further from its place than this is no alignment any more
FOLLOW_SIGMA = 15  # frames: half a second
UPPER_PELVIS = (0.5, 0.9)  # where the pelvis may lie when the legs do not fit


@dataclass(frozen=True)
class Crop:
    """A square window of the source, `side` pixels wide; corners (n, 2) per frame, one row if it stays still."""

    corners: np.ndarray
    side: int
    framing: str  # "full": head to feet; "upper": the picture is too narrow for the legs

    def row(self) -> dict[str, Any]:
        """The crop as JSON."""
        return {"corners": self.corners.tolist(), "side": self.side, "framing": self.framing}

    def at(self, frames: int) -> np.ndarray:
        """(frames, 2) corners."""
        return np.broadcast_to(self.corners, (frames, 2)) if len(self.corners) == 1 else self.corners


def to_crop(landmarks: np.ndarray, crop: Crop, size: int) -> np.ndarray:
    """(frames, 33, 4) landmarks from source pixels to pixels of the `size` x `size` clip."""
    scale = size / crop.side
    moved = landmarks.copy()
    moved[..., :2] = (landmarks[..., :2] - crop.at(len(landmarks))[:, None]) * scale
    moved[..., 2] = landmarks[..., 2] * scale
    return moved


def standing_height(landmarks: np.ndarray) -> float:
    """Pixels, from the median body length over frames (Winter's segment shares)."""
    return float(np.median(body_length(landmarks))) / BODY_PER_HEIGHT


def extent(landmarks: np.ndarray, height: float) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the box that holds the dance: all but the outermost half per cent of each joint's positions."""
    points = landmarks[:, BODY, :2]
    low = np.quantile(points, 0.005, axis=0).min(0)
    high = np.quantile(points, 0.995, axis=0).max(0)
    crown = float(np.quantile(landmarks[:, 0, 1], 0.005)) - CROWN * height
    return np.array([low[0], min(low[1], crown)]), high


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
    limit = min(shape)
    if config.size / wanted > config.max_upscale:
        raise RejectedError(
            "dancer_too_small",
            f"The dancer is {height:.0f} pixels tall and would be enlarged {config.size / wanted:.1f} times; "
            f"at most {config.max_upscale:g} was expected.",
        )
    if limit < config.min_shrink * wanted:
        raise RejectedError(
            "crop_outside_picture",
            f"A crop of {wanted:.0f} pixels does not fit a {shape[1]}x{shape[0]} picture.",
        )
    if config.mode == "follow":
        return _follow(seen, landmarks, wanted, shape, config)
    return _static(seen, wanted, height, shape, config)


def _static(seen: np.ndarray, wanted: float, height: float, shape: tuple[int, int], config: CropConfig) -> Crop:
    low, high = extent(seen, height)
    centre = pelvis(seen).mean(0)
    room = 1 - 2 * config.margin
    side = float(np.clip((high - low).max() / room, wanted, wanted * config.max_grow))
    side = min(side, min(shape))
    corner = centre - side * np.array([PELVIS_X, config.pelvis_y])
    framing = _framing(seen, side, wanted)
    for axis in (0, 1):
        first, last = low[axis] - config.margin * side, high[axis] + config.margin * side
        if last - first <= side:
            corner[axis] = np.clip(corner[axis], last - side, first)
        elif framing == "upper" and axis == 1:  # keep the head, let the legs go
            corner[1] = np.clip(first, centre[1] - UPPER_PELVIS[1] * side, centre[1] - UPPER_PELVIS[0] * side)
        else:  # as much on either side
            corner[axis] = (first + last - side) / 2
    corner = np.clip(corner, 0, np.array([shape[1], shape[0]]) - side)
    return _checked(corner[None], side, framing, (centre - corner) / side, config)


def _framing(seen: np.ndarray, side: float, wanted: float) -> str:
    """`upper` where a shrunken crop cannot hold the body as it mostly stands."""
    spans = np.ptp(seen[:, BODY, 1], axis=1)
    return "upper" if side < 0.8 * wanted and float(np.median(spans)) > 0.95 * side else "full"


def _follow(seen: np.ndarray, landmarks: np.ndarray, wanted: float, shape: tuple[int, int], config: CropConfig) -> Crop:
    """A window that glides after the pelvis: low pass, then a bounded speed, forwards and backwards."""
    side = min(wanted, *shape)
    most = config.follow_speed * side
    path = gaussian_filter1d(pelvis(landmarks), FOLLOW_SIGMA, axis=0, mode="nearest")
    path = (bounded_speed(path, most) + bounded_speed(path[::-1], most)[::-1]) / 2
    path = np.clip(path - side * np.array([PELVIS_X, config.pelvis_y]), 0, np.array([shape[1], shape[0]]) - side)
    place = ((pelvis(landmarks) - path) / side).mean(0)
    return _checked(path, side, _framing(seen, side, wanted), place, config)


def bounded_speed(path: np.ndarray, most: float) -> np.ndarray:
    """(n, 2) path that follows another, moving at most `most` a frame along each axis."""
    bounded = path.copy()
    for i in range(1, len(path)):
        bounded[i] = bounded[i - 1] + np.clip(path[i] - bounded[i - 1], -most, most)
    return bounded


def _checked(corners: np.ndarray, side: float, framing: str, place: np.ndarray, config: CropConfig) -> Crop:
    """Whole, even pixels (chroma is subsampled), and a pelvis that is still near its place."""
    limit = MAX_SHIFT if framing == "full" else max(MAX_SHIFT, UPPER_PELVIS[1] - config.pelvis_y)
    if np.abs(place - [PELVIS_X, config.pelvis_y]).max() > limit + 1e-6:  # a crop that was clamped lies on it
        raise RejectedError(
            "crop_outside_picture",
            f"Within the picture the pelvis would sit at {place[0]:.2f}, {place[1]:.2f} of the crop, "
            f"further than {limit:g} from its place.",
        )
    if config.size / side > config.max_upscale:
        raise RejectedError(
            "dancer_too_small",
            f"The crop is {side:.0f} pixels wide and would be enlarged {config.size / side:.1f} times; "
            f"at most {config.max_upscale:g} was expected.",
        )
    even = np.floor(corners / 2).astype(np.int64) * 2
    return Crop(even, int(side // 2 * 2), framing)

"""Seeded variants of a clip: a recipe is small, pure data, and the same recipe gives the same bytes."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_catalog.base.errors import RejectedError
from pipeline.analysis.pose import MIRROR
from pipeline.clips.align import plan_crop, snapped
from pipeline.clips.body_extent import extent, standing_height
from pipeline.clips.crop import Crop, placed
from pipeline.config import CropConfig, VariantConfig


@dataclass(frozen=True)
class Recipe:
    """What is done to a clip. v0 is the identity."""

    flip: bool = False
    tempo: float = 1.0
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    brightness: float = 0.0
    contrast: float = 1.0
    saturation: float = 1.0

    def row(self) -> dict[str, Any]:
        """The recipe as JSON for the catalog."""
        return {**self.__dict__, "shift": list(self.shift)}


def draw(clip_id: str, variant: int, config: VariantConfig) -> Recipe:
    """The recipe of a variant: a pure function of (seed, clip, variant)."""
    if variant == 0:
        return Recipe()
    seed = hashlib.sha256(f"{config.seed} {clip_id} {variant}".encode()).digest()
    random = np.random.Generator(np.random.Philox(key=int.from_bytes(seed[:16], "little")))
    u = random.uniform(-1, 1, 7)
    slow, fast = 1 - config.min_tempo, config.max_tempo - 1
    return Recipe(
        flip=bool(random.uniform() < config.flip),
        tempo=round(float(1 + (u[0] * fast if u[0] > 0 else u[0] * slow)), 4),
        zoom=round(float(1 + u[1] * config.zoom), 4),
        shift=(round(float(u[2] * config.shift), 4), round(float(u[3] * config.shift), 4)),
        brightness=round(float(u[4] * config.colour / 2), 4),
        contrast=round(float(1 + u[5] * config.colour), 4),
        saturation=round(float(1 + u[6] * config.colour), 4),
    )


def retimed(pts: np.ndarray, frames: np.ndarray, shot: tuple[int, int], tempo: float) -> np.ndarray | None:
    """Source frames of a clip at another tempo, around the same middle, within the same shot.

    Args:
        pts: (source frames,) seconds.
        frames: (n,) frames of the clip as it is.
        shot: [start, end) of its shot.

    Returns:
        (n,) true source frames, or None where one would have to be repeated or the shot is too short.
    """
    times = pts[frames]
    span = (times[-1] - times[0]) * tempo
    low, high = pts[shot[0]], pts[shot[1] - 1]
    if span > high - low + 1e-9:
        return None
    start = np.clip((times[0] + times[-1] - span) / 2, low, high - span)
    wanted = start + np.linspace(0, span, len(frames))
    right = np.clip(np.searchsorted(pts, wanted), 1, len(pts) - 1)
    nearest = np.where(wanted - pts[right - 1] <= pts[right] - wanted, right - 1, right)
    nearest = np.clip(nearest, shot[0], shot[1] - 1)
    return nearest if (np.diff(nearest) > 0).all() else None


def moved_crop(
    landmarks: np.ndarray, known: np.ndarray, shape: tuple[int, int], recipe: Recipe, config: CropConfig
) -> Crop | None:
    """The crop of a variant: aligned on its own frames, then zoomed and shifted as far as the dance stays inside.

    None where these frames cannot be aligned.
    """
    try:
        crop = plan_crop(landmarks, known, shape, config)
    except RejectedError:
        return None
    if recipe.zoom == 1.0 and recipe.shift == (0.0, 0.0):
        return crop
    moved = _moved(crop, landmarks[known], shape, recipe, config)
    return moved if placed(moved, shape, config.size).shows_enough else crop


def _moved(crop: Crop, seen: np.ndarray, shape: tuple[int, int], recipe: Recipe, config: CropConfig) -> Crop:
    """The crop zoomed and shifted. Along an axis on which it lies within the picture it stays there."""
    picture, aspect = np.array([shape[1], shape[0]]), config.size.aspect
    reaches_out = ((crop.corners < 0) | (crop.corners + crop.size > picture)).any(0)
    edges = [int(edge) // 2 * 2 for edge in np.array([shape[1] / aspect, shape[0]])[~reaches_out]]
    tall = min([int(crop.height / recipe.zoom) // 2 * 2, *edges])
    tall = max(tall, int(np.ceil(config.size.height / config.max_upscale / 2)) * 2)
    size = np.array([int(tall * aspect) // 2 * 2, tall])
    corners = crop.corners + (crop.size - size) / 2 + np.array(recipe.shift) * size
    low, high = extent(seen, standing_height(seen))
    if config.fit == "body":
        low, high = np.clip(low, 0, picture), np.clip(high, 0, picture)
    if len(crop.corners) == 1 and crop.framing == "full":
        if ((high - low) > size).any():
            return crop
        corners = np.clip(corners, high - size, low)
    if len(corners) == 1:  # a moving window would jerk
        corners = snapped(corners, size, picture // 2 * 2)
    corners = np.where(reaches_out, corners, np.clip(corners, 0, np.maximum(picture - size, 0)))
    return Crop(np.floor(corners / 2).astype(np.int64) * 2, int(size[0]), tall, crop.framing)


def flipped(landmarks: np.ndarray, width: int) -> np.ndarray:
    """Landmarks of a mirrored clip: x from the other side, left and right exchanged."""
    mirrored = landmarks[:, MIRROR].copy()
    mirrored[..., 0] = width - mirrored[..., 0]
    return mirrored


def flipped_picture(picture: np.ndarray, width: int) -> np.ndarray:
    """(n, 4) rectangles of a mirrored clip."""
    return np.stack([width - picture[:, 2], picture[:, 1], width - picture[:, 0], picture[:, 3]], 1)

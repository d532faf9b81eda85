"""Crops as tests look at them."""

import numpy as np

from data_catalog.base.errors import RejectedError
from pipeline.clips.align import plan_crop
from pipeline.clips.crop import Crop, placed
from pipeline.config import CropConfig
from pipeline.picture_size import PictureSize

SQUARE = PictureSize(512, 512)
ANYWHERE = (100_000, 100_000)


def square(corners: object, side: int, framing: str = "full") -> Crop:
    """A square crop; corners (n, 2)."""
    return Crop(np.array(corners), side, side, framing)


def in_clip(
    landmarks: np.ndarray, crop: Crop, shape: tuple[int, int] = ANYWHERE, size: PictureSize = SQUARE
) -> np.ndarray:
    """Landmarks in pixels of a clip of this size, of a source picture of this (height, width)."""
    return placed(crop, shape, size).landmarks(landmarks)


def planned(landmarks: np.ndarray, shape: tuple[int, int], config: CropConfig) -> Crop | None:
    """The crop, or None where it is rejected."""
    try:
        return plan_crop(landmarks, np.ones(len(landmarks), bool), shape, config)
    except RejectedError:
        return None

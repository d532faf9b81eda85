"""The warp with smooth outlines: done at twice the size and scaled down, so that an edge may lie within a pixel.

At the size of small latents' pictures, limbs of a few pixels would else have jagged edges, and carry a rim of the wall
they stood before.
"""

from __future__ import annotations

import cv2
import numpy as np

from model.pose.paint import behind, warp_picture
from model.pose.warp import reference_of, warp_field

SAMPLES = 2
"""To a pixel's side."""


def smoothly_warped(
    picture_HWC: np.ndarray, start: np.ndarray, dance: np.ndarray, outline_HW: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """A picture, uint8 RGB, in each pose of a dance, (F, H, W, 3), and the share of each pixel that is a guess.

    Who does not move stays as she is, to the bit. The shares are float32, (F, H, W).

    Args:
        start: (33, 4) landmarks in the picture's pixels; dance: (F, 33, 4) of them.
        outline_HW: where the person is, bool; None: wherever her parts are.
    """
    height, width = picture_HWC.shape[:2]
    large = _enlarged(picture_HWC)
    outline = None if outline_HW is None else _enlarged(outline_HW)
    reference = reference_of(_at_samples(start), (large.shape[0], large.shape[1]), outline)
    guessed, pictures, unknown = behind(large, reference), [], []
    for landmarks in dance:
        field = warp_field(reference, _at_samples(landmarks))
        pictures.append(cv2.resize(warp_picture(large, guessed, field), (width, height), interpolation=cv2.INTER_AREA))
        lacks = field.unknown_HW.astype(np.float32)
        unknown.append(cv2.resize(lacks, (width, height), interpolation=cv2.INTER_AREA))
    return np.stack(pictures), np.stack(unknown)


def _enlarged(picture: np.ndarray) -> np.ndarray:
    """Each pixel as so many equal ones: scaled down again it is the same."""
    return picture.repeat(SAMPLES, 0).repeat(SAMPLES, 1)


def _at_samples(landmarks: np.ndarray) -> np.ndarray:
    """Landmarks in pixels of the enlarged picture; whole numbers are the middles of pixels."""
    placed = np.array(landmarks, float)
    placed[..., :2] = (placed[..., :2] + 0.5) * SAMPLES - 0.5
    placed[..., 2] *= SAMPLES
    return placed

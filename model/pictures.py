"""Frames beside and below each other, as PNG and GIF, for those who watch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from data_catalog.base.files import atomic


def picture_rows(clips_FHWC: Sequence[np.ndarray]) -> np.ndarray:
    """Clips below each other, their frames side by side, shorter ones filled up with grey: uint8 (H, W, 3)."""
    longest = max(len(clip) for clip in clips_FHWC)
    rows = []
    for clip in clips_FHWC:
        filled = np.full((longest, *clip.shape[1:]), 128, np.uint8)
        filled[: len(clip)] = clip
        rows.append(np.concatenate(list(filled), axis=1))
    return np.concatenate(rows)


def write_png(path: Path, picture_HWC: np.ndarray) -> None:
    """Write a picture atomically."""
    with atomic(path) as temp:
        Image.fromarray(picture_HWC).save(temp, format="PNG")


def write_gif(path: Path, frames_FHWC: np.ndarray, fps: float = 8.0) -> None:
    """Write an endless GIF atomically."""
    pictures = [Image.fromarray(frame) for frame in frames_FHWC]
    with atomic(path) as temp:
        duration = round(1000 / fps)
        pictures[0].save(temp, format="GIF", save_all=True, append_images=pictures[1:], duration=duration, loop=0)

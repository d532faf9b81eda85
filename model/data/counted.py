"""Which latents count: those that see the source's picture alone, and nothing of what a clip fills beside it.

A latent sees its own block of `factor` x `factor` pixels and `reach` more on every side, as far as there are any. For
the embedded codec that is exact: its patches lap half a patch over each other. An `AutoencoderKL` sees a little of
everything: there a latent counts if its own block lies within the picture. What is not counted weighs nothing in a
loss. It is still a function of the true picture, because what is filled is (`pipeline.clips.fill`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model.data.codec import Codec
from pipeline.clips.fill import Rectangle
from pipeline.picture_size import PictureSize

Cells = tuple[int, int, int, int]
"""x0, y0, x1, y1 in latents; x1 and y1 are no part of it. They are a rectangle, as the picture is."""


def counted_cells(pictures: np.ndarray, clip: PictureSize, codec: Codec) -> tuple[Cells, ...]:
    """The latents that count, for each row of (n, 4) rectangles in pixels of a clip of this size; maybe none."""
    rows = []
    for x0, y0, x1, y1 in np.asarray(pictures).tolist():
        left, right = _within(x0, x1, clip.width, codec.picture.width, codec)
        top, bottom = _within(y0, y1, clip.height, codec.picture.height, codec)
        rows.append((left, top, right, bottom))
    return tuple(rows)


def _within(low: int, high: int, clip: int, picture: int, codec: Codec) -> tuple[int, int]:
    """First and end of the latents along one axis that see no pixel of the clip but those from `low` to `high`.

    Enlarging blends neighbours, so that a pixel of the clip then reaches one farther.
    """
    blends = picture if picture > clip else 0
    factor, reach = codec.factor, codec.reach
    inside = []
    for cell in range(picture // factor):
        first, last = factor * cell - reach, factor * (cell + 1) + reach
        starts = low == 0 or first * clip >= low * picture + blends
        ends = high == clip or last * clip <= high * picture - blends
        if starts and ends:
            inside.append(cell)
    return (inside[0], inside[-1] + 1) if inside else (0, 0)


def regions_of(pictures: Sequence[Rectangle], clip: PictureSize, size: PictureSize) -> np.ndarray:
    """(n, 4) rectangles in pixels of a clip, in pixels of the clip at another size: those that see nothing else."""
    scale = np.tile(np.array(size) / np.array(clip), 2)
    rows = np.array(pictures) * scale
    blends = np.where(np.tile(np.array(size) > np.array(clip), 2), scale, 0) * (rows > 0) * (rows < np.tile(size, 2))
    low, high = np.ceil(rows[:, :2] + blends[:, :2] - 1e-9), np.floor(rows[:, 2:] - blends[:, 2:] + 1e-9)
    return np.concatenate([low, high], 1).astype(np.int64)


def is_empty(cells: Sequence[Cells]) -> bool:
    """Whether some frame has no latent that counts."""
    return any(x1 <= x0 or y1 <= y0 for x0, y0, x1, y1 in cells)


def counted_mask(cells: Sequence[Cells], frames: Sequence[int], height: int, width: int) -> np.ndarray:
    """(F, H, W) bool of these frames' latents; one row of cells stands for all frames."""
    mask = np.zeros((len(frames), height, width), bool)
    for place, frame in zip(mask, frames):
        x0, y0, x1, y1 = cells[frame if len(cells) > 1 else 0]
        place[y0:y1, x0:x1] = True
    return mask

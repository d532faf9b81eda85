"""Capsules in a picture: which pixels a part covers, and where along and across its bone they lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.pose.body_parts import Capsules

MIN_BONE = 0.02
"""Of the standing height: a bone that points at the camera is as long as that."""


@dataclass(frozen=True)
class Cover:
    """One part in a window of a picture; all arrays are (h, w) of the window."""

    window: tuple[slice, slice]
    """Rows and columns of the picture."""
    outside: np.ndarray
    """Pixels to the part's edge; not above 0 within the part."""
    along: np.ndarray
    """Pixels along the bone from its start."""
    across: np.ndarray
    """Pixels across it, as shares of half the width there; the sign says which side of the body."""


def far_to_near(body: Capsules) -> list[int]:
    """Numbers of the parts that are known, the farthest from the camera first; of equals the trunk first."""
    known = np.flatnonzero(np.isfinite(body.start_P2[:, 0]))
    return sorted((int(number) for number in known), key=lambda number: (-body.depth_P[number], number))


def bone(body: Capsules, number: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Start, unit direction and length of a part; one without a direction hangs down, as limbs do."""
    vector = body.end_P2[number] - body.start_P2[number]
    length = float(np.linalg.norm(vector))
    direction = vector / length if length > 1e-6 else np.array([0.0, 1.0])
    return body.start_P2[number], direction, max(length, MIN_BONE * body.height)


def cover_of(body: Capsules, number: int, grid_HW2: np.ndarray, margin: float) -> Cover | None:
    """What lies within a part and `margin` pixels around it; None if nothing of the picture does.

    grid_HW2: x and y of the picture's pixels.
    """
    start, direction, length = bone(body, number)
    low_width, high_width = np.abs(body.width_P2[number])
    ends = np.stack([start, start + direction * (length + body.beyond_P[number])])
    reach = max(low_width, high_width) + margin + 1
    size = np.array(grid_HW2.shape[1::-1])
    low = np.floor(np.clip(ends.min(0) - reach, 0, size)).astype(int)
    high = np.ceil(np.clip(ends.max(0) + reach, 0, size)).astype(int)
    if (high <= low).any():
        return None
    window = (slice(low[1], high[1]), slice(low[0], high[0]))
    dx, dy = grid_HW2[window][..., 0] - start[0], grid_HW2[window][..., 1] - start[1]
    along = dx * direction[0] + dy * direction[1]
    across = dx * direction[1] - dy * direction[0]
    half = low_width + (high_width - low_width) * np.clip(along / length, 0, 1)
    past = np.maximum(np.maximum(-along, along - length - body.beyond_P[number]), 0)
    sign = -1.0 if body.width_P2[number, 0] < 0 else 1.0
    return Cover(window, np.hypot(across, past) - half, along, sign * across / half)

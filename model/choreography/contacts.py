"""Feet that stand still where they stand: what a curve through key poses lets slide is put back in its place."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from model.choreography.rig import DancerBody

FEET = (((27, 29, 31), 25), ((28, 30, 32), 26))
"""Ankle, heel and toes of each foot, and the knee above it."""
SLOW = 0.22
"""Standing heights a second below which a foot on the floor stands."""
NEAR = 0.06
"""Standing heights above the floor up to which a foot may stand."""
SHORTEST_S, EASE_S = 0.1, 0.1
"""Seconds that a stand lasts at least, and in which a foot eases into and out of it."""


def standing(landmarks: np.ndarray, fps: float, body: DancerBody) -> np.ndarray:
    """(frames, 2) bool: whether the left and the right foot stand on the floor."""
    found = [_stands(landmarks[:, list(foot), :2].mean(1), fps, body) for foot, _ in FEET]
    return np.stack(found, 1)


def planted(landmarks: np.ndarray, fps: float, body: DancerBody) -> np.ndarray:
    """The same landmarks with every standing foot kept in its place, its knee going half the way with it."""
    moved, stands = landmarks.copy(), standing(landmarks, fps, body)
    for side, (foot, knee) in enumerate(FEET):
        shift = _shift(landmarks[:, list(foot), :2].mean(1), stands[:, side], fps)
        moved[:, list(foot), :2] += shift[:, None]
        moved[:, knee, :2] += shift / 2
    return moved


def runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """[start, stop) of the stretches in which flags (frames,) are set."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _stands(place: np.ndarray, fps: float, body: DancerBody) -> np.ndarray:
    smooth = gaussian_filter1d(place, fps / 30, axis=0)
    speed = np.linalg.norm(np.gradient(smooth, axis=0), axis=-1) * fps / body.height
    flags = (speed < SLOW) & (place[:, 1] > body.floor - NEAR * body.height)
    kept = np.zeros_like(flags)
    for start, stop in runs(flags):
        kept[start:stop] = stop - start >= SHORTEST_S * fps
    return kept


def _shift(place: np.ndarray, stands: np.ndarray, fps: float) -> np.ndarray:
    """(frames, 2) by which a foot is moved: to the median of its stand, with eased ends between stands."""
    shift, weight = np.zeros_like(place), np.zeros(len(place))
    for start, stop in runs(stands):
        shift[start:stop] = np.median(place[start:stop], axis=0) - place[start:stop]
        weight[start:stop] = 1
    known = np.flatnonzero(weight)
    if not len(known):
        return shift
    ease = EASE_S * fps
    times = np.arange(len(place))
    nearest = _nearest(times, known)
    away = np.abs(times - nearest) / ease
    share = np.clip(1 - away, 0, 1)
    return np.asarray(shift[nearest] * (share * share * (3 - 2 * share))[:, None])


def _nearest(times: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The known time that is nearest to each."""
    right = np.clip(np.searchsorted(known, times), 0, len(known) - 1)
    left = np.clip(right - 1, 0, None)
    return np.where(np.abs(known[left] - times) <= np.abs(known[right] - times), known[left], known[right])

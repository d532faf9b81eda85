"""How far points travel along their paths, once jitter is left out.

Paths are (F, N, D): F frames of N points in D dimensions, NaN in frames where the points are unknown.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import convolve1d, median_filter
from scipy.special import ndtri

ORDER = 4
"""Of the differences in time that jitter is told by: they hardly see a movement that lasts several frames."""
GAIN = 70.0
"""Variance of the fourth differences of white noise over its own: the sum of (1, -4, 6, -4, 1) squared."""


def jitter(path_FND: np.ndarray, quantile: float) -> np.ndarray:
    """(N,) standard deviation of the white noise on each path, per dimension; 0 for a path of fewer than 5 frames.

    A difference-based estimate (Gasser, Sroka & Jennen-Steinmetz 1986; here of fourth order): a quantile of the
    absolute fourth differences, over that of a standard normal's. Movement can only add to it, so the smaller one of
    neighbouring frames and of every second frame counts, which repeated frames do not mislead.

    Args:
        quantile: 0.5 is robust where movement comes in bursts, more sees noise that comes and goes.
    """
    found = np.full((2, path_FND.shape[1]), np.inf)
    for lag in (1, 2):
        change = path_FND
        for _ in range(ORDER):
            change = change[lag:] - change[:-lag]
        change = change[np.isfinite(change).all((1, 2))]
        if len(change):
            found[lag - 1] = np.quantile(np.abs(change), quantile, axis=0).mean(-1)
    least = found.min(0) / np.sqrt(GAIN) / ndtri((1 + quantile) / 2)
    return np.where(np.isfinite(least), least, 0.0)


def smoothed(path_FND: np.ndarray) -> np.ndarray:
    """The paths without what lasts one frame (median of 3), and a binomial mean (1, 2, 1) of that; gaps are bridged."""
    steady = median_filter(bridged(path_FND), (3, 1, 1), mode="nearest")
    return np.asarray(convolve1d(steady, [0.25, 0.5, 0.25], axis=0, mode="nearest"))


def travel(path_FND: np.ndarray, radius_N: np.ndarray) -> np.ndarray:
    """(F, N) how far each point goes from the frame before, beyond a play of `radius`; NaN at a frame that is unknown,
    or follows one.

    A follower stands still as long as the point stays within `radius` of it, and is dragged along when the point
    leaves: the play operator of hysteresis (Krejci 1996, Hysteresis, Convexity and Dissipation, ch. II). What jitters
    within the radius travels nothing; a swing loses twice the radius at any speed, so half the speed is half the
    travel. The mean of both directions of time, so that a reversed path travels as far.
    """
    known = np.isfinite(path_FND).all((1, 2))
    steps = np.full(path_FND.shape[:2], np.nan)
    if not known.any():
        return steps
    path = bridged(path_FND)
    there = np.linalg.norm(np.diff(_dragged(path, radius_N), axis=0), axis=-1)
    back = np.linalg.norm(np.diff(_dragged(path[::-1], radius_N)[::-1], axis=0), axis=-1)
    steps[1:] = np.where((known[1:] & known[:-1])[:, None], (there + back) / 2, np.nan)
    return steps


def _dragged(path_FND: np.ndarray, radius_N: np.ndarray) -> np.ndarray:
    follower = path_FND[0]
    places = [follower]
    for point in path_FND[1:]:
        behind = follower - point
        share = radius_N / np.maximum(np.linalg.norm(behind, axis=-1), 1e-12)
        follower = np.where(share[:, None] < 1, point + behind * share[:, None], follower)
        places.append(follower)
    return np.stack(places)


def bridged(path_FND: np.ndarray) -> np.ndarray:
    """The paths with straight lines over the frames that are unknown."""
    known = np.isfinite(path_FND).all((1, 2))
    if known.all() or not known.any():
        return path_FND
    frames = np.flatnonzero(known)
    right = np.searchsorted(frames, np.arange(len(path_FND))).clip(max=len(frames) - 1)
    left = np.searchsorted(frames, np.arange(len(path_FND)), side="right").clip(min=1) - 1
    start, stop = frames[left], frames[right]
    share = (np.arange(len(path_FND)) - start) / np.maximum(stop - start, 1)
    line: np.ndarray = path_FND[start] + share[:, None, None] * (path_FND[stop] - path_FND[start])
    return line

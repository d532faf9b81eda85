"""Wipes before one wall, in what motion does not explain.

A wipe is a spike in a time that is later the farther its line has to go: for each way over the picture and each
duration the rows are shifted by that delay, and the spike is sought in their sum, and in parts of the picture alone.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.analysis.editing.surprise import BINS

FLOOR = 0.3  # levels that are no surprise in a still picture
AROUND = (2, 3, 4, 5, 6)  # steps to either side that a wipe must stand out from: its line may be two steps wide
DURATIONS = 20
LONGEST_S, SHORTEST_S = 2.0, 0.12
PARTS = 5  # of the picture along the way, as much surprise in each
RATIO, PART_RATIO = 3.3, 1.9  # times its neighbours: in all, and in all parts but one

AT_ONCE = 0.7  # of the line's surprise in one step


@dataclass(frozen=True)
class Sweep:
    """A line that goes over the picture between two steps."""

    start: int
    end: int
    ratio: float  # to its neighbours


def sweeps(rows: np.ndarray, rate: float) -> list[Sweep]:
    """The wipes in (steps, WAYS, BINS) rows of `rate` steps a second; one wipe may be found several times."""
    found = []
    places = (np.arange(BINS) + 0.5) / BINS
    for duration in np.geomspace(SHORTEST_S * rate, LONGEST_S * rate, DURATIONS):
        delays = np.floor(duration * places + 0.5).astype(int)
        starts = np.arange(len(rows) - delays[-1])
        if len(starts) <= 2 * max(AROUND):
            continue
        at = (starts[:, None] + delays) * BINS + np.arange(BINS)
        for way in range(rows.shape[1]):
            for towards in (rows[:, way], rows[:, way, ::-1]):
                lined = np.ascontiguousarray(towards).ravel()[at]
                ratios = _stands_out(lined.sum(1), FLOOR)
                for start in np.flatnonzero(ratios >= RATIO):
                    if _all_along(lined, int(start), delays):
                        found.append(Sweep(int(start), int(start + delays[-1]), float(ratios[start])))
    return found


def _stands_out(energy: np.ndarray, floor: float) -> np.ndarray:
    """(starts,) how many times each is its neighbours."""
    far = max(AROUND)
    ratios = np.zeros(len(energy))
    middle = slice(far, len(energy) - far)
    others = [energy[far + k : len(energy) - far + k] for d in AROUND for k in (d, -d)]
    ratios[middle] = energy[middle] / (np.max(others, 0) + floor)
    return ratios


def _all_along(lined: np.ndarray, start: int, delays: np.ndarray) -> bool:
    """Whether all parts of the way but one see the line pass, and not at once, as a caption changes."""
    share = np.cumsum(lined.mean(0))
    edges = np.unique(np.searchsorted(share, share[-1] * np.arange(PARTS) / PARTS))
    parts = np.add.reduceat(lined, edges, axis=1)
    ratios = [_stands_out(part, FLOOR / PARTS)[start] for part in parts.T]
    if len(ratios) < 2 or sorted(ratios)[1] < PART_RATIO:
        return False
    steps = np.bincount(delays, lined[start])
    return bool(steps.max() <= AT_ONCE * steps.sum())

"""Time in beats: a grid of key poses, so many a beat, that keeps to the music however its tempo wanders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

USUAL_TEMPO = 110.0
"""Beats a minute where nothing tells another."""
FEWEST = 4
"""Beats that tell a tempo."""
_GAP = 1.7
"""Steps from beat to beat beyond which some were not heard: the pulse goes on through a break."""


@dataclass(frozen=True)
class BeatGrid:
    """Where key poses lie in time; key 0 is at or before second 0."""

    seconds: np.ndarray
    """(keys,) ascending."""
    phases: np.ndarray
    """(keys,) place within the beat, 0 to keys_per_beat - 1."""
    heard: bool
    """Whether beats of music are behind it."""

    @property
    def tempo(self) -> float:
        """Beats a minute, the median."""
        per_beat = int(self.phases.max()) + 1
        return 60 / (float(np.median(np.diff(self.seconds))) * per_beat)


def beat_grid(beats: np.ndarray | None, seconds: float, keys_per_beat: int, tempo: float = USUAL_TEMPO) -> BeatGrid:
    """The grid of `seconds` of music with beats at those seconds; of a steady pulse at `tempo` without."""
    heard = beats is not None and len(beats) >= FEWEST
    pulse = (
        _through(np.asarray(beats, float), seconds) if heard else np.arange(-1, seconds * tempo / 60 + 2) * 60 / tempo
    )
    places = np.arange((len(pulse) - 1) * keys_per_beat + 1)
    times = np.interp(places / keys_per_beat, np.arange(len(pulse)), pulse)
    first = int(np.searchsorted(times, 1e-9, side="right")) - 1
    last = int(np.searchsorted(times, seconds, side="left"))
    kept = slice(first, last + 1)
    return BeatGrid(times[kept], places[kept] % keys_per_beat, heard)


def _through(beats: np.ndarray, seconds: float) -> np.ndarray:
    """The beats with what was not heard filled in: breaks, and from before second 0 to beyond the end."""
    steps = np.diff(beats)
    usual = float(np.median(steps))
    filled = [beats[:1]]
    for start, end, step in zip(beats[:-1], beats[1:], steps, strict=True):
        count = max(1, round(step / usual)) if step > _GAP * usual else 1
        filled.append(np.linspace(start, end, count + 1)[1:])
    inner = np.concatenate(filled)
    before, after = int(np.ceil(max(inner[0], 0) / usual)) + 1, int(np.ceil(max(seconds - inner[-1], 0) / usual)) + 2
    return np.concatenate(
        [inner[0] - usual * np.arange(before, 0, -1), inner, inner[-1] + usual * np.arange(1, after + 1)]
    )


def at_keys(values: np.ndarray, fps: float, grid: BeatGrid) -> np.ndarray:
    """(keys, ...) of a curve (frames, ...) at a grid's moments; beyond its ends it stays as it is there."""
    from scipy.interpolate import CubicSpline

    times = np.arange(len(values)) / fps
    return np.asarray(CubicSpline(times, values)(np.clip(grid.seconds, 0, times[-1])))


def at_frames(keys: np.ndarray, grid: BeatGrid, frames: int, fps: float) -> np.ndarray:
    """(frames, ...) of a curve that goes through key poses (keys, ...)."""
    from scipy.interpolate import CubicSpline

    times = np.clip(np.arange(frames) / fps, grid.seconds[0], grid.seconds[-1])
    return np.asarray(CubicSpline(grid.seconds, keys)(times))

"""Which source frames a clip takes: exactly n of them, evenly spaced in time, none twice, within one shot."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from data_catalog.base.errors import RejectedError
from pipeline.config import ClipConfig

STANDARD = [Fraction(n, d) for n in (24, 30, 48, 60, 120) for d in (1,)] + [
    Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001), Fraction(120000, 1001),
    Fraction(25), Fraction(50), Fraction(100), Fraction(240), Fraction(15), Fraction(20),
]  # fmt: skip
FALLBACK = (Fraction(30), Fraction(25), Fraction(24), Fraction(20))
MAX_GRID_ERROR = 0.8  # of a step: at 20 per second this forgives a source at 30 every single dropped frame
RATE_TOLERANCE = 0.2  # steps within this share of the median are a constant rate (containers round to milliseconds)


@dataclass(frozen=True)
class FrameGrid:
    """One clip's frames: `frames` (n,) source frame numbers, at `fps` frames per second of the clip."""

    shot: int
    frames: np.ndarray
    fps: Fraction


def native_rate(pts: np.ndarray) -> tuple[Fraction, bool]:
    """(frames per second, whether it is constant) of ascending presentation times in seconds."""
    steps = np.diff(pts)
    median = float(np.quantile(steps, 0.5, method="lower"))
    usual = np.abs(steps - median) < RATE_TOLERANCE * median + 0.0011
    constant = bool(usual.all())
    rate = 1 / float(steps[usual].mean())  # a mean sees through times that were rounded to milliseconds
    near = min(STANDARD, key=lambda known: abs(float(known) / rate - 1))
    snap = 0.001 if constant else 0.02
    return (near if abs(float(near) / rate - 1) < snap else Fraction(rate).limit_denominator(1000)), constant


def candidate_rates(native: Fraction, constant: bool, config: ClipConfig) -> list[Fraction]:
    """Clip rates to try, best first.

    Raises:
        RejectedError: `low_rate`, a clip would need repeated frames.
    """
    wanted = Fraction(config.fps) if config.fps else None
    least = float(wanted) if wanted else config.min_fps
    if float(native) < 0.99 * least:
        raise RejectedError(
            "low_rate",
            f"The source has {float(native):.4g} frames per second; at least {least:g} were expected.",
        )
    if wanted:
        return [wanted]
    step = math.ceil(float(native) / (config.max_fps * 1.001))
    whole = [native / step] if float(native) / step >= 0.99 * config.min_fps else []
    if constant and whole:
        return whole
    return whole + [rate for rate in FALLBACK if config.min_fps <= rate < min(native, *whole, native)]


def grid(pts: np.ndarray, rate: Fraction, native: Fraction, constant: bool) -> np.ndarray:
    """Frames nearest to an even grid that starts at the first one, none twice; -1 where none is within MAX_GRID_ERROR.

    A constant rate whose k-th part is asked for gives every k-th frame exactly.
    """
    step = native / rate
    if constant and step.denominator == 1:
        return np.arange(0, len(pts), int(step))
    count = int((pts[-1] - pts[0]) * float(rate) + 1e-6) + 1
    times = pts[0] + np.arange(count) / float(rate)
    right = np.clip(np.searchsorted(pts, times), 1, len(pts) - 1)
    nearest = np.where(times - pts[right - 1] <= pts[right] - times, right - 1, right)
    frames, last = np.full(count, -1), -1
    for place, near in enumerate(nearest):
        frame = max(int(near), last + 1)
        if frame < len(pts) and abs(pts[frame] - times[place]) < MAX_GRID_ERROR / float(rate):
            frames[place] = last = frame
    return frames


def tile(frames: np.ndarray, length: int) -> list[np.ndarray]:
    """Windows of `length` side by side in each stretch without a missing frame (-1); the rest is cut at both ends."""
    windows = []
    missing = frames < 0
    for stretch in np.split(frames, np.flatnonzero(missing[1:] | missing[:-1]) + 1):
        count = len(stretch) // length if stretch[0] >= 0 else 0
        start = (len(stretch) - count * length) // 2
        windows += [stretch[start + i * length : start + (i + 1) * length] for i in range(count)]
    return windows


def frame_grids(pts: np.ndarray, shots: list[tuple[int, int]], config: ClipConfig) -> list[FrameGrid]:
    """All clips' frames of a source, at the candidate rate that gives most clips; none where all shots are too short.

    Raises:
        RejectedError: `low_rate`.
    """
    native, constant = native_rate(pts)
    best: list[FrameGrid] = []
    for rate in candidate_rates(native, constant, config):
        found = [
            FrameGrid(shot, start + window, rate)
            for shot, (start, end) in enumerate(shots)
            if end - start >= config.frames
            for window in tile(grid(pts[start:end], rate, native, constant), config.frames)
        ]
        best = max(best, found, key=len)  # the first of equals: rates are tried best first
    return best

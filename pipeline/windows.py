"""Which source frames a clip takes: exactly n of them, evenly spaced in time, none twice, within one shot."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from pipeline.config import ClipConfig
from pipeline.errors import RejectedError

STANDARD = [Fraction(n, d) for n in (24, 30, 48, 60, 120) for d in (1,)] + [
    Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001), Fraction(120000, 1001),
    Fraction(25), Fraction(50), Fraction(100), Fraction(15), Fraction(20),
]  # fmt: skip
FALLBACK = (Fraction(30), Fraction(25), Fraction(24), Fraction(20))
EVEN = 0.2  # steps within this share of the median are a constant rate (containers round to milliseconds)


@dataclass(frozen=True)
class Window:
    """One clip's frames: `frames` (n,) source frame numbers, at `fps` frames per second of the clip."""

    shot: int
    frames: np.ndarray
    fps: Fraction


def native_rate(pts: np.ndarray) -> tuple[Fraction, bool]:
    """(frames per second, whether it is constant) of ascending presentation times in seconds."""
    steps = np.diff(pts)
    median = float(np.median(steps))
    constant = bool((np.abs(steps - median) < EVEN * median + 0.0011).all())
    mean = (len(pts) - 1) / float(pts[-1] - pts[0])
    rate = mean if constant else 1 / median
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
    step = next(k for k in range(1, 1000) if float(native) / k <= config.max_fps * 1.001)
    whole = [native / step] if float(native) / step >= 0.99 * config.min_fps else []
    if constant and whole:
        return whole
    return whole + [rate for rate in FALLBACK if config.min_fps <= rate < min(native, *whole, native)]


def grid(pts: np.ndarray, rate: Fraction, native: Fraction, constant: bool) -> np.ndarray:
    """Frames nearest to an even grid that starts at the first one.

    A constant rate whose k-th part is asked for gives every k-th frame exactly.
    """
    step = native / rate
    if constant and step.denominator == 1:
        return np.arange(0, len(pts), int(step))
    count = int((pts[-1] - pts[0]) * float(rate) + 1e-6) + 1
    times = pts[0] + np.arange(count) / float(rate)
    right = np.clip(np.searchsorted(pts, times), 1, len(pts) - 1)
    return np.where(times - pts[right - 1] <= pts[right] - times, right - 1, right)


def tile(frames: np.ndarray, length: int) -> list[np.ndarray]:
    """Windows of `length` side by side in each stretch without a repeated frame; the rest is cut at both ends."""
    windows = []
    for stretch in np.split(frames, np.flatnonzero(np.diff(frames) == 0) + 1):
        count = len(stretch) // length
        start = (len(stretch) - count * length) // 2
        windows += [stretch[start + i * length : start + (i + 1) * length] for i in range(count)]
    return windows


def windows_of(pts: np.ndarray, shots: list[tuple[int, int]], config: ClipConfig) -> list[Window]:
    """All clips' frames of a source, at the candidate rate that gives most clips.

    Raises:
        RejectedError: `low_rate`, or `too_short` where no shot holds a clip.
    """
    native, constant = native_rate(pts)
    best: list[Window] = []
    for rate in candidate_rates(native, constant, config):
        found = [
            Window(shot, start + window, rate)
            for shot, (start, end) in enumerate(shots)
            if end - start >= config.frames
            for window in tile(grid(pts[start:end], rate, native, constant), config.frames)
        ]
        best = max(best, found, key=len)  # the first of equals: rates are tried best first
    if not best:
        longest = max(end - start for start, end in shots)
        raise RejectedError(
            "too_short",
            f"The longest shot has {longest} frames at {float(native):.4g} per second; "
            f"a clip takes {config.frames} evenly spaced ones at {config.min_fps:g} to {config.max_fps:g}.",
        )
    return best

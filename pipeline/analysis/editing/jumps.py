"""Jump cuts before one wall: the picture stays, the dancer leaps.

What motion leaves unexplained stands out from the frames around it; then a better flow looks again, and the dancer's
own joints must have leapt, too, further than the camera has and than the time between the frames allows. A quick dance
leaves much unexplained, but in several frames on end; a caption that changes and a turn that shows another side leave
it at once, but no joint leaps.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.analysis.editing.jerks import camera_shift
from pipeline.analysis.editing.surprise import Region, new_flow, part_yuv, unexplained

NEAR = 4  # steps to either side that a leap must stand out from
FLOOR = 0.25  # levels that are no surprise in a still picture
WORTH = 1.5  # times its neighbours: from here on it is worth another look
LIKELY, LEAP = 1.8, 2.5  # times its neighbours by the better flow, and by the joints
CLEAR, CLEAR_LEAP = 3.0, 1.6  # the same
FINE = 256  # pixels of the longer side
FAINT = 0.15  # levels
JITTER = 0.012  # body lengths by which a still dancer's joints are found elsewhere


class DancerJoints(NamedTuple):
    """The dancer in a frame."""

    joints: np.ndarray  # (n, 3): x, y in pixels of the frame, visibility
    size: float  # body length, pixels


Find = Callable[[np.ndarray, Region], DancerJoints | None]  # of I420 planes: whoever is nearest to its middle


def leaps(energy: np.ndarray) -> np.ndarray:
    """(steps,) how many times each step's unexplained change is that of its neighbours; 0 where these are not known."""
    ratios = np.zeros(len(energy))
    if len(energy) > 2 * NEAR:
        middle = slice(NEAR, len(energy) - NEAR)
        others = [energy[NEAR + k : len(energy) - NEAR + k] for k in range(-NEAR, NEAR + 1) if k]
        ratios[middle] = energy[middle] / np.maximum(np.max(others, 0), FLOOR)
    return ratios


def is_jump(frames: list[np.ndarray], times: list[float], region: Region, find: Find) -> bool:
    """Whether the dancer leaps from the second to the third of four frames (uint8 I420 planes, in order; seconds)."""
    rates = np.median(np.diff(times)) / np.diff(times)
    flow = new_flow(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    parts = [part_yuv(frame, region, FINE) for frame in frames]
    left = [(unexplained(a, b, flow) + unexplained(b, a, flow)) / 2 for a, b in pairwise(parts)]
    picture = _ratio([float(part.mean()) * rate for part, rate in zip(left, rates)], FAINT)
    if picture < LIKELY:
        return False
    people = [find(frame, region) for frame in frames]
    shifts = [camera_shift(a, b, region) for a, b in pairwise(frames)]
    moved = [_moved(a, b, shift) * rate for (a, b), shift, rate in zip(pairwise(people), shifts, rates)]
    joints = _ratio(moved, JITTER)
    return joints >= (LEAP if picture < CLEAR else CLEAR_LEAP)


def _ratio(steps: list[float], least: float) -> float:
    """How many times its neighbours the middle one of three steps is; 0 where it is not known (NaN)."""
    around = [step for step in (steps[0], steps[2]) if np.isfinite(step)]
    return steps[1] / max(least, *around) if around and np.isfinite(steps[1]) else 0.0


def _moved(one: DancerJoints | None, two: DancerJoints | None, shift: np.ndarray) -> float:
    """Body lengths by which the joints that are seen lie elsewhere than the camera's shift (2,) has carried them, in
    the mean; NaN where nobody is found."""
    if one is None or two is None:
        return np.nan
    seen = np.minimum(one.joints[:, 2], two.joints[:, 2])
    far = np.linalg.norm(one.joints[:, :2] + shift - two.joints[:, :2], axis=1) / max(one.size, two.size, 1.0)
    return float((far * seen).sum() / max(float(seen.sum()), 1e-3))

"""Jump cuts before one wall: the picture stays, the dancer leaps.

What motion leaves unexplained stands out from the frames around it; then a better flow looks again, and the dancer's
own joints are a second witness. A quick dance leaves much unexplained, but in several frames on end.
"""

from itertools import pairwise

import cv2
import numpy as np

from pipeline.analysis.editing.surprise import Region, part_yuv, unexplained
from pipeline.analysis.pose import MAIN, PoseFinder, body_length, pelvis

NEAR = 4  # steps to either side that a leap must stand out from
FLOOR = 0.25  # levels that are no surprise in a still picture
WORTH = 1.5  # times its neighbours: from here on it is worth another look
LIKELY, LEAP = 1.8, 2.5  # times its neighbours by the better flow, and by the joints
CLEAR, CLEAR_LEAP = 3.0, 1.6  # the same
PATCH = 0.06  # body lengths around a joint
FINE = 256  # pixels of the longer side
FAINT = 0.15  # levels
JITTER = 0.012  # body lengths by which a still dancer's joints are found elsewhere


def leaps(energy: np.ndarray) -> np.ndarray:
    """(steps,) how many times each step's unexplained change is that of its neighbours; 0 where these are not known."""
    ratios = np.zeros(len(energy))
    if len(energy) > 2 * NEAR:
        middle = slice(NEAR, len(energy) - NEAR)
        others = [energy[NEAR + k : len(energy) - NEAR + k] for k in range(-NEAR, NEAR + 1) if k]
        ratios[middle] = energy[middle] / np.maximum(np.max(others, 0), FLOOR)
    return ratios


def is_jump(frames: list[np.ndarray], region: Region, finder: PoseFinder) -> bool:
    """Whether the dancer leaps from the second to the third of four frames (uint8 I420 planes, in order)."""
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    parts = [part_yuv(frame, region, FINE) for frame in frames]
    left = [(unexplained(a, b, flow) + unexplained(b, a, flow)) / 2 for a, b in pairwise(parts)]
    picture = _ratio([float(part.mean()) for part in left], FAINT)
    if picture < LIKELY:
        return False
    people = [_nearest(finder.find(cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_I420)), region) for frame in frames]
    joints = _ratio([_moved(a, b) for a, b in pairwise(people)], JITTER)
    if joints >= (LEAP if picture < CLEAR else CLEAR_LEAP):
        return True
    return picture >= CLEAR and _everywhere(left, [one for one in people[1:3] if one is not None], region)


def _ratio(steps: list[float], least: float) -> float:
    """How many times its neighbours the middle one of three steps is; 0 where it is not known (NaN)."""
    around = [step for step in (steps[0], steps[2]) if np.isfinite(step)]
    return steps[1] / max(least, *around) if around and np.isfinite(steps[1]) else 0.0


def _everywhere(left: list[np.ndarray], people: list[np.ndarray], region: Region) -> bool:
    """Whether most of her joints look other, wherever they are: so is another dress, and no caption that changes."""
    if not people:
        return False
    rows, columns = left[0].shape
    scale = np.array([columns / (region[2] - region[0]), rows / (region[3] - region[1])])
    side = 2 * max(2, round(PATCH * float(body_length(people[0])) * float(scale[0]))) + 1
    patches = np.array([cv2.blur(part, (side, side)) for part in left])
    at = np.concatenate([(one[MAIN, :2] - region[:2]) * scale for one in people]).round().astype(int)
    x, y = np.clip(at, 0, [columns - 1, rows - 1]).T
    ratios = patches[1, y, x] / np.maximum(FAINT, np.maximum(patches[0, y, x], patches[2, y, x]))
    return bool(np.median(ratios) >= CLEAR)


def _nearest(people: np.ndarray, region: Region) -> np.ndarray | None:
    """The person whose pelvis is nearest to the middle of the region."""
    middle = np.array([region[0] + region[2], region[1] + region[3]]) / 2
    return min(people, key=lambda one: float(np.linalg.norm(pelvis(one) - middle)), default=None)


def _moved(one: np.ndarray | None, two: np.ndarray | None) -> float:
    """Body lengths by which the main joints that are seen lie elsewhere, in the mean; NaN where nobody is found."""
    if one is None or two is None:
        return np.nan
    size = max(float(body_length(one)), float(body_length(two)), 1.0)
    seen = np.minimum(one[MAIN, 3], two[MAIN, 3])
    far = np.linalg.norm(one[MAIN, :2] - two[MAIN, :2], axis=1) / size
    return float((far * seen).sum() / max(float(seen.sum()), 1e-3))

"""Jump cuts before one wall: the picture stays, the dancer leaps.

What motion leaves unexplained stands out from the frames around it; then a better flow looks again, and the dancer's
own joints are a second witness. A quick dance leaves much unexplained, but in several frames on end.
"""

import cv2
import numpy as np

from pipeline.analysis.editing.surprise import Region, part_yuv, unexplained
from pipeline.analysis.pose import MAIN, PoseFinder, body_length, pelvis

NEAR = 4  # steps to either side that a leap must stand out from
FLOOR = 0.25  # levels that are no surprise in a still picture
WORTH = 1.5  # times its neighbours: from here on it is worth another look
SURE = 3.0  # times its neighbours by the better flow: enough alone
LIKELY, LEAP = 1.8, 2.5  # times its neighbours by the better flow, and by the joints
FINE = 256  # pixels of the longer side
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
    left = [
        float(unexplained(a, b, flow).mean() + unexplained(b, a, flow).mean()) / 2 for a, b in zip(parts, parts[1:])
    ]
    ratio = left[1] / max(0.15, left[0], left[2])
    if ratio >= SURE or ratio < LIKELY:
        return ratio >= SURE
    people = [_nearest(finder.find(cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_I420)), region) for frame in frames]
    moved = [np.nan if a is None or b is None else _moved(a, b) for a, b in zip(people, people[1:])]
    around = [step for step in (moved[0], moved[2]) if np.isfinite(step)]
    return bool(around and moved[1] / max(JITTER, *around) >= LEAP)


def _nearest(people: np.ndarray, region: Region) -> np.ndarray | None:
    """The person whose pelvis is nearest to the middle of the region."""
    middle = np.array([region[0] + region[2], region[1] + region[3]]) / 2
    return min(people, key=lambda one: float(np.linalg.norm(pelvis(one) - middle)), default=None)


def _moved(one: np.ndarray, two: np.ndarray) -> float:
    """Body lengths by which the main joints that are seen lie elsewhere, in the mean."""
    size = max(float(body_length(one)), float(body_length(two)), 1.0)
    seen = np.minimum(one[MAIN, 3], two[MAIN, 3])
    far = np.linalg.norm(one[MAIN, :2] - two[MAIN, :2], axis=1) / size
    return float((far * seen).sum() / max(float(seen.sum()), 1e-3))

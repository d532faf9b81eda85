"""What a dancer's landmarks say about a video: is someone there, whose body is it, how does it move.

Landmarks are (frames, 33, 4) in pixels of the picture, NaN where nobody was found; lengths are stated for a picture
of 512 pixels.
"""

from pathlib import Path

import cv2
import numpy as np

from pipeline.analysis.paths import jitter, smoothed, travel
from pipeline.analysis.pose import (
    JOINTS,
    LEFT_ANKLE,
    LEFT_ELBOW,
    LEFT_HIP,
    LEFT_KNEE,
    LEFT_SHOULDER,
    LEFT_WRIST,
    LIMBS,
    MAIN,
    NOSE,
    RIGHT_ANKLE,
    RIGHT_ELBOW,
    RIGHT_HIP,
    RIGHT_KNEE,
    RIGHT_SHOULDER,
    RIGHT_WRIST,
    PoseFinder,
    body_length,
    box,
    pelvis,
)
from pipeline.config import AnalysisConfig

REFERENCE = 512
MIN_SIDE_PX = 256
"""Smaller pictures are enlarged before detection: mediapipe's detector sees little below that."""
WINDOW, STRIDE = 12, 4
"""Frames of a window of pose motion, and between two windows."""
BONES = (
    ((LEFT_SHOULDER, RIGHT_SHOULDER),),
    ((LEFT_HIP, RIGHT_HIP),),
    ((LEFT_SHOULDER, LEFT_HIP), (RIGHT_SHOULDER, RIGHT_HIP)),
    ((LEFT_SHOULDER, LEFT_ELBOW), (RIGHT_SHOULDER, RIGHT_ELBOW)),
    ((LEFT_ELBOW, LEFT_WRIST), (RIGHT_ELBOW, RIGHT_WRIST)),
    ((LEFT_HIP, LEFT_KNEE), (RIGHT_HIP, RIGHT_KNEE)),
    ((LEFT_KNEE, LEFT_ANKLE), (RIGHT_KNEE, RIGHT_ANKLE)),
)
MOVING = [NOSE, *LIMBS]
LEAST_FOUND = 0.5
"""Share of the frames in which a dancer is found, below which nothing is said about how she moves."""
JITTERS = 3.0
"""Standard deviations of its jitter that a smoothed joint may be off without moving."""
BURSTS = 0.9
"""Quantile that jitter is told by: a hidden forearm may be guessed wrongly for a second alone."""
LEAST_SWING = 0.01
"""Body lengths that no joint moves within: the width of a finger, less than the detector tells apart."""


class DancerFinder:
    """The largest person of each picture, at any size of the picture."""

    def __init__(self, model: Path) -> None:
        analysis = AnalysisConfig()
        self._finder = PoseFinder(model, 1, analysis.min_pose_confidence)

    def find(self, picture_HWC: np.ndarray) -> np.ndarray:
        """(33, 4) landmarks in pixels of the picture; NaN if nobody is found."""
        scale = max(1.0, MIN_SIDE_PX / min(picture_HWC.shape[:2]))
        if scale > 1:
            picture_HWC = cv2.resize(picture_HWC, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        people = self._finder.find(np.ascontiguousarray(picture_HWC))
        if not len(people):
            return np.full((JOINTS, 4), np.nan, np.float32)
        landmarks = people[0].copy()
        landmarks[:, :3] /= scale
        return landmarks

    def close(self) -> None:
        """Free the networks."""
        self._finder.close()


def proportions(landmarks: np.ndarray) -> np.ndarray:
    """(..., bones) lengths of the bones in three dimensions, as shares of their sum: nobody's build changes."""
    points = landmarks[..., :3]
    lengths = [
        np.mean([np.linalg.norm(points[..., a, :] - points[..., b, :], axis=-1) for a, b in sides], axis=0)
        for sides in BONES
    ]
    stacked = np.stack(lengths, -1)
    return stacked / stacked.sum(-1, keepdims=True)


def proportion_change(landmarks: np.ndarray, first: np.ndarray) -> float:
    """Mean absolute log ratio of the proportions of (33, 4) landmarks to those of the first; 0.1 is about 10 %."""
    now, then = proportions(landmarks), proportions(first)
    return float(np.abs(np.log(np.maximum(now, 1e-3) / np.maximum(then, 1e-3))).mean())


def joint_distance(landmarks: np.ndarray, other: np.ndarray, side: int) -> float:
    """Mean distance of the main joints of two (33, 4) landmarks, in pixels at 512; NaN if either is unknown."""
    apart = np.linalg.norm(landmarks[MAIN, :2] - other[MAIN, :2], axis=-1)
    return float(apart.mean()) * REFERENCE / side


def joints_right(landmarks: np.ndarray, other: np.ndarray, height: float) -> float:
    """Share of the main joints of (33, 4) landmarks that lie within a tenth of a standing height of the others.

    PCK at 0.1 (Yang and Ramanan 2013, section 6), of the height and not of a box; 0 where nobody was found.
    """
    apart = np.linalg.norm(landmarks[MAIN, :2] - other[MAIN, :2], axis=-1)
    return float((apart <= 0.1 * height).mean())


def dancer_mask(landmarks: np.ndarray, shape: tuple[int, int], margin: float = 0.35) -> np.ndarray:
    """(H, W) bool: the box around the main joints, `margin` of its longer side wider; none for an unknown dancer."""
    mask = np.zeros(shape, bool)
    if not np.isnan(landmarks).any():
        x0, y0, x1, y1 = box(landmarks)
        grow = margin * max(x1 - x0, y1 - y0) / 2
        top, left = max(0, int(y0 - grow)), max(0, int(x0 - grow))
        mask[top : max(0, int(y1 + grow) + 1), left : max(0, int(x1 + grow) + 1)] = True
    return mask


def joint_travel(landmarks: np.ndarray, points_FND: np.ndarray) -> np.ndarray:
    """(F, N) how far points of a body go from the frame before, in body lengths (torso + thigh + shin, the median over
    the frames), without the detector's jitter; NaN where one of the two frames has no dancer.

    The paths are smoothed, and move when they leave a play of JITTERS times their own jitter, or LEAST_SWING
    (`pipeline.analysis.paths`).

    Args:
        landmarks: (F, 33, 4), for the size of the body.
        points_FND: in pixels, of the same frames.
    """
    sizes = body_length(landmarks)
    if not np.isfinite(sizes).any():
        return np.full(points_FND.shape[:2], np.nan)
    points = points_FND.astype(float) / np.nanmedian(sizes)
    steady = smoothed(points)
    steady[~np.isfinite(points).all((1, 2))] = np.nan
    return travel(steady, np.maximum(JITTERS * jitter(points, BURSTS), LEAST_SWING))


def joint_motion(landmarks: np.ndarray, fps: float) -> np.ndarray:
    """(F,) speed of the main joints of (F, 33, 4) landmarks, in body lengths a second, mean over the joints: what
    `joint_travel` leaves of their paths. NaN at frame 0 and where one of the two frames has no dancer; everywhere where
    a dancer is found in less than LEAST_FOUND of the frames: what a detector finds now and then is no path."""
    if np.isfinite(landmarks).all((1, 2)).mean() < LEAST_FOUND:
        return np.full(len(landmarks), np.nan)
    return fps * joint_travel(landmarks, landmarks[:, MAIN, :2]).mean(1)


def motion_features(landmarks: np.ndarray) -> np.ndarray:
    """(windows, 18): of each window the speed of nose, wrists, elbows, knees and ankles relative to the pelvis, mean
    and spread over time, in body lengths a frame without jitter (`joint_travel`). Windows with an unknown frame are
    left out."""
    speed = joint_travel(landmarks, landmarks[:, MOVING, :2] - pelvis(landmarks)[:, None])[1:]
    starts = range(0, len(speed) - WINDOW + 1, STRIDE)
    windows = [speed[start : start + WINDOW] for start in starts]
    rows = [np.concatenate([w.mean(0), w.std(0)]) for w in windows if np.isfinite(w).all()]
    return np.array(rows).reshape(-1, 2 * len(MOVING))

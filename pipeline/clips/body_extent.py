"""How tall the dancer is and how far the dance reaches, from landmarks. y grows downwards."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from pipeline.analysis.pose import BODY_PER_HEIGHT, JOINTS, body_length, pelvis

BODY = [0, *range(7, JOINTS)]  # every landmark but the inner face
CROWN = 0.09  # from the nose to the top of the head, as a share of the standing height
FOLLOW_SIGMA = 15  # frames: half a second


def standing_height(landmarks: np.ndarray) -> float:
    """Pixels, from the median body length over frames (Winter's segment shares)."""
    return float(np.median(body_length(landmarks))) / BODY_PER_HEIGHT


def extent(landmarks: np.ndarray, height: float) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the box that holds the dance: all but the outermost half per cent of each joint's positions."""
    points = landmarks[:, BODY, :2]
    low = np.quantile(points, 0.005, axis=0).min(0)
    high = np.quantile(points, 0.995, axis=0).max(0)
    crown = float(np.quantile(landmarks[:, 0, 1], 0.005)) - CROWN * height
    return np.array([low[0], min(low[1], crown)]), high


def pelvis_path(landmarks: np.ndarray, most: float) -> np.ndarray:
    """(frames, 2) a path that glides after the pelvis: low pass, then a bounded speed, forwards and backwards."""
    path = gaussian_filter1d(pelvis(landmarks), FOLLOW_SIGMA, axis=0, mode="nearest")
    return np.asarray((bounded_speed(path, most) + bounded_speed(path[::-1], most)[::-1]) / 2)


def bounded_speed(path: np.ndarray, most: float) -> np.ndarray:
    """(n, 2) path that follows another, moving at most `most` a frame along each axis."""
    bounded = path.copy()
    for i in range(1, len(path)):
        bounded[i] = bounded[i - 1] + np.clip(path[i] - bounded[i - 1], -most, most)
    return bounded

"""Camera motion: feature tracks on the background and a robust similarity fit."""

import cv2
import numpy as np

MAX_FEATURES = 120
MIN_TRACKS = 10
MIN_SPREAD = 0.4  # of the picture: a shadow or a sign is not the background
MIN_INLIERS = 0.5  # a background moves as one: fewer tracks that agree are somebody's limbs


def background_mask(shape: tuple[int, int], boxes: np.ndarray, grow: float = 0.15) -> np.ndarray:
    """255 where features may lie: outside every person's box, grown by a share of its larger side.

    Args:
        shape: (height, width) in pixels.
        boxes: (people, 4) x0, y0, x1, y1 in pixels.
    """
    mask = np.full(shape, 255, np.uint8)
    for x0, y0, x1, y1 in boxes:
        pad = grow * max(x1 - x0, y1 - y0)
        left, top = max(0, int(x0 - pad)), max(0, int(y0 - pad))
        mask[top : max(0, int(y1 + pad)), left : max(0, int(x1 + pad))] = 0
    return mask


def camera_step(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The similarity that carries background points of `before` to `after` (uint8 luma pictures).

    Pyramidal Lucas-Kanade tracks from corners outside the mask, kept when the way back returns to its
    start; RANSAC similarity fit (Fischler and Bolles 1981).

    Returns:
        (2, 3) float64 affine in pixels; NaN where too little background can be tracked.
    """
    unknown = np.full((2, 3), np.nan)
    corners = cv2.goodFeaturesToTrack(before, MAX_FEATURES, 0.01, 8, mask=mask)
    if corners is None or len(corners) < MIN_TRACKS:
        return unknown
    there, found, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, None, winSize=(15, 15), maxLevel=3)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(after, before, there, None, winSize=(15, 15), maxLevel=3)
    returned = np.linalg.norm((back - corners).reshape(-1, 2), axis=1) < 0.7
    good = (found.ravel() == 1) & (found_back.ravel() == 1) & returned
    if good.sum() < MIN_TRACKS:
        return unknown
    affine, inliers = cv2.estimateAffinePartial2D(corners[good], there[good], ransacReprojThreshold=0.7)
    if affine is None or inliers.sum() < max(MIN_TRACKS, MIN_INLIERS * good.sum()):
        return unknown
    spread = np.ptp(corners[good][inliers.ravel() == 1].reshape(-1, 2), axis=0) / before.shape[::-1]
    if spread.max() < MIN_SPREAD:
        return unknown
    return np.asarray(affine, np.float64)


def decompose(affines: np.ndarray, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Motion of the picture at a point.

    Args:
        affines: (n, 2, 3) similarities.
        centre: (2,) the point at which translation is measured, in their pixels.

    Returns:
        translation (n, 2) in pixels, zoom (n,) as natural log of the scale, rotation (n,) in degrees.
    """
    linear = affines[:, :, :2]
    translation = linear @ centre + affines[:, :, 2] - centre
    zoom = np.log(np.maximum(np.hypot(linear[:, 0, 0], linear[:, 1, 0]), 1e-6))
    rotation = np.degrees(np.arctan2(linear[:, 1, 0], linear[:, 0, 0]))
    return translation, zoom, rotation

"""Camera motion: feature tracks on the background and a robust similarity fit."""

from collections.abc import Iterator

import cv2
import numpy as np

TILES, TILE_FEATURES = (8, 5), 3  # along the longer and the shorter side of the picture, corners in each tile
APART = 9  # pixels, odd
WEAKEST, FAINT = 0.01, 1e-4  # corner strength: as a share of what three tiles of four exceed, and where noise begins
MIN_TRACKS = 10
PAIR_S = 1 / 34  # motion is measured from a frame to the next of 20 to 33 frames per second
KEPT = 0.5  # of the corners that were found: with fewer left, new ones are sought
MIN_SPREAD = 0.4  # of the picture: a shadow or a sign is not the background
WINDOW, LEVELS = (15, 15), 3  # of Lucas and Kanade
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


class CameraTracker:
    """Follows background corners from picture to picture; new ones are sought when the mask changes or many are lost.

    Seeking corners costs more than following them.
    """

    def __init__(self, mask: np.ndarray) -> None:
        self._mask = mask
        self._corners: np.ndarray | None = None
        self._sought = 0
        self._seen: np.ndarray | None = None  # the picture that the corners lie in

    def follow(self, before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where corners of `before` lie in it and in `after` (uint8 luma pictures): float32 (n, 2) pixels each.

        Pyramidal Lucas-Kanade tracks from corners outside the mask, kept when the way back returns to its start.
        """
        if self._seen is not before:
            self._corners = None
        if self._corners is None or len(self._corners) < KEPT * self._sought:
            self._corners = spread_corners(before, self._mask)
            self._sought = len(self._corners)
        corners, there = _tracks(before, after, self._corners)
        self._seen, self._corners = after, there
        return corners[:, 0], there[:, 0]


def spread_corners(luma: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(n, 1, 2) float32 corners, the strongest of each tile of the picture where the mask is not 0.

    Tile by tile, since letters have corners a thousand times as strong as a wall's: the strongest of all would be
    captions alone. Strength is the smaller eigenvalue of Shi and Tomasi 1994.
    """
    strength = cv2.cornerMinEigenVal(luma, 3)
    highest = cv2.dilate(strength, np.ones((APART, APART), np.uint8))
    y, x = np.nonzero((strength == highest) & (mask > 0) & (strength > FAINT))
    if not len(x):
        return np.empty((0, 1, 2), np.float32)
    height, width = luma.shape
    across, down = TILES if width > height else TILES[::-1]
    tile = (y * down // height) * across + x * across // width
    order = np.lexsort((-strength[y, x], tile))
    tile, x, y = tile[order], x[order], y[order]
    starts = np.flatnonzero(np.diff(tile, prepend=-1))
    rank = np.arange(len(tile)) - np.repeat(starts, np.diff([*starts, len(tile)]))
    usual = float(np.quantile(strength[y[starts], x[starts]], 0.25))
    kept = (rank < TILE_FEATURES) & (strength[y, x] > WEAKEST * usual)
    return np.stack([x[kept], y[kept]], 1).astype(np.float32)[:, None]


def _tracks(before: np.ndarray, after: np.ndarray, corners: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """(n, 1, 2) places before and after of the corners whose way back returns to its start."""
    if corners is None or not len(corners):
        return np.empty((0, 1, 2), np.float32), np.empty((0, 1, 2), np.float32)
    there, found, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, None, winSize=WINDOW, maxLevel=LEVELS)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(after, before, there, None, winSize=WINDOW, maxLevel=LEVELS)
    returned = np.linalg.norm((back - corners).reshape(-1, 2), axis=1) < 0.7
    good = (found.ravel() == 1) & (found_back.ravel() == 1) & returned
    return corners[good], there[good]


def background_step(corners: np.ndarray, there: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The similarity that carries the background of one picture to the next: RANSAC (Fischler and Bolles 1981).

    Args:
        corners, there: (n, 2) places of background points before and after.
        shape: (height, width) of the picture that they lie in, in the same pixels.

    Returns:
        (2, 3) float64 affine in pixels; NaN where too little background was tracked.
    """
    unknown = np.full((2, 3), np.nan)
    if len(corners) < MIN_TRACKS:
        return unknown
    affine, inliers = cv2.estimateAffinePartial2D(corners, there, ransacReprojThreshold=0.7)
    if affine is None or inliers.sum() < max(MIN_TRACKS, MIN_INLIERS * len(corners)):
        return unknown
    spread = np.ptp(corners[inliers.ravel() == 1], axis=0) / shape[::-1]
    if spread.max() < MIN_SPREAD:
        return unknown
    return np.asarray(affine, np.float64)


class PicturePairs:
    """Keeps pictures in pairs about one clip frame apart, `rate` pairs a second."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._open: tuple[int, float, np.ndarray] | None = None
        self._waiting: list[tuple[int, np.ndarray, int, np.ndarray]] = []
        self._next = -np.inf

    def add(self, number: int, pts: float, luma: np.ndarray) -> None:
        """Take the next frame."""
        kept = None
        if self._open is not None and pts >= self._open[1] + PAIR_S:
            kept = luma.copy()
            first, _, before = self._open
            self._waiting.append((first, before, number, kept))
            self._open = None
        if self._open is None and pts >= self._next:
            self._next = next_due(self._next, pts, self._rate)
            self._open = (number, pts, luma.copy() if kept is None else kept)

    def taken(self) -> Iterator[tuple[int, np.ndarray, int, np.ndarray]]:
        """The pairs that are whole, each once: frame and picture before, frame and picture after."""
        pairs, self._waiting = self._waiting, []
        yield from pairs


def next_due(before: float, now: float, rate: float) -> float:
    """The time of the next sample: on a steady grid, without making up for what a gap has swallowed."""
    return max(before + 1 / rate, now + 0.5 / rate) if np.isfinite(before) else now + 1 / rate - 1e-6


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

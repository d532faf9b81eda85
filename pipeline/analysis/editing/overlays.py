"""Overlays: what is burnt into a video and stays where it is, whatever the camera and the dancer do.

Two witnesses. Text is found in single pictures by a network, and counts where it stands still: so a print on a shirt
does not. Anything else, a logo, shows by its corners that stay while the scene moves under them; before a camera
that stands still nothing tells a logo without letters from a poster on the wall.
"""

import cv2
import numpy as np

STILL_LEVELS, STILL_SHARE = 12, 0.6  # a line stands still where most of its edges change by no more than coding does
EDGE = 60.0  # Sobel units: about 15 levels a pixel
AGREE = 0.9  # length of the mean direction of an edge that stays
CORNER = 0.12  # smaller over larger eigenvalue, squared: an edge alone seems to stay while a camera moves along it
STANDS = 0.2  # share of the edges that stay beyond which it is the camera that stands
LEAST_EDGE = 24  # pixels of edge of the smallest overlay
NEAR = 7  # pixels within which edges of two directions make a corner
JOIN = 25  # pixels, odd: corners no further apart are one overlay's


def standing(boxes: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(n,) bool: which (n, 4) boxes hold the same edges in two uint8 luma pictures a fraction of a second apart."""
    return np.array([_stands(_part(before, box), _part(after, box)) for box in boxes], bool)


def _part(luma: np.ndarray, box: np.ndarray) -> np.ndarray:
    x0, y0, x1, y1 = (round(float(side)) for side in box)
    return luma[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]


def _stands(before: np.ndarray, after: np.ndarray) -> bool:
    steps = np.hypot(cv2.Sobel(before, cv2.CV_32F, 1, 0), cv2.Sobel(before, cv2.CV_32F, 0, 1))
    edges = steps >= np.quantile(steps, 0.75)
    return bool((cv2.absdiff(before, after)[edges] <= STILL_LEVELS).mean() >= STILL_SHARE)


def standing_marks(lumas: np.ndarray) -> np.ndarray:
    """Boxes around corners that stay while the rest moves; none where most of the picture stays.

    Args:
        lumas: (n, height, width) uint8 luma of one shot at some times, a second or so apart.

    Returns:
        float32 (marks, 4): x0, y0, x1, y1 in pixels.
    """
    stay, share = _staying_edges(lumas)
    if share > STANDS:
        return np.empty((0, 4), np.float32)
    return _marks(*stay)


def _staying_edges(lumas: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], float]:
    """((x, y) of unit steps where an edge is there in every picture, in one direction, else 0; their share)."""
    x: np.ndarray = np.zeros(lumas.shape[1:], np.float32)
    y = x.copy()
    always, edges = np.ones(lumas.shape[1:], bool), 0
    for luma in lumas:
        dx, dy = cv2.Sobel(luma, cv2.CV_32F, 1, 0), cv2.Sobel(luma, cv2.CV_32F, 0, 1)
        size = cv2.magnitude(dx, dy)
        strong = size > EDGE
        edges += int(strong.sum())
        always &= strong
        size[size == 0] = 1
        x += dx / size
        y += dy / size
    x, y = x / len(lumas), y / len(lumas)
    always &= np.hypot(x, y) >= AGREE
    return (np.where(always, x, 0), np.where(always, y, 0)), float(always.sum()) * len(lumas) / max(edges, 1)


def _marks(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(marks, 4) boxes around edges of more than one direction (the structure tensor of Foerstner and Guelch 1987)."""
    side = (2 * NEAR + 1,) * 2
    xx, yy, xy = (cv2.boxFilter(part, -1, side, normalize=False) for part in (x * x, y * y, x * y))
    round_ = xx * yy - xy * xy > CORNER * (xx + yy) ** 2
    edge = ((x != 0) | (y != 0)) & round_
    joined = cv2.dilate(edge.astype(np.uint8), np.ones((JOIN, JOIN), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined)
    pixels = np.bincount(labels[edge], minlength=count)
    large = np.flatnonzero(pixels >= LEAST_EDGE)
    x0, y0, wide, tall = stats[large[large > 0], :4].T + np.array([[JOIN // 2]] * 2 + [[1 - JOIN]] * 2)
    return np.stack([x0, y0, x0 + wide, y0 + tall], 1).astype(np.float32).reshape(-1, 4)

"""Bars are not the picture: flat or blurred borders that editing programmes put around a video, found and measured.

A bar ends in a straight line across the picture that stays where it is. Beyond that line everything is one flat
colour that never changes (black, white, or any colour that lies on both sides), or it is so blurred that nothing
sharp is left (on both sides). Text that stands still may lie in a bar. A plain wall or a white studio is none: the
dancer's outline is no straight line.
"""

from typing import NamedTuple

import numpy as np

FLAT, FLAT_MOST = 4.0, 20.0  # mean and largest distance from a flat bar's colour, 8-bit levels
STILL = 16.0  # levels over which text in a bar may flicker where it is coded anew
BLACK, WHITE = 24.0, 225.0  # luma of limited range: 16 and 235, and what coding makes of it
SAME = 4.0  # levels by which two bars of one colour may differ
STEP = 3.0  # levels over three rows that count as the edge of a picture
MIN_EDGE = 0.35  # share of the line at which the picture begins with a step
MAX_BAR = 0.42  # of a side: the dance is at least a sixth of it
BLURRED = 0.28  # sharpness of a blurred bar, as a share of the picture's
SHARP_FLOOR, SHARP_MOST = 1.0, 2.25  # levels: rounding alone, and what nobody would call blurred
GUARD = 3  # rows beside an edge that are neither bar nor picture, once scaled and coded


class Rect(NamedTuple):
    """Pixels [x0, x1) by [y0, y1)."""

    x0: int
    y0: int
    x1: int
    y1: int


def picture_proper(lumas: np.ndarray) -> Rect:
    """The picture without bars, a pixel or two within its border; all of it where there are none.

    Args:
        lumas: (n, height, width) uint8 luma of limited range: one shot at some times, a second or so apart.
    """
    height, width = lumas.shape[1:]
    rect = Rect(0, 0, width, height)
    for _ in range(3):  # bars within bars
        inside = lumas[:, rect.y0 : rect.y1, rect.x0 : rect.x1]
        above, below = _bars(inside)
        left, right = _bars(inside.transpose(0, 2, 1))
        if not (above or below or left or right):
            break
        rect = Rect(rect.x0 + left, rect.y0 + above, rect.x1 - right, rect.y1 - below)
    return rect


def _bars(lumas: np.ndarray) -> tuple[int, int]:
    """Rows to cut off above and below."""
    if min(lumas.shape[1:]) < 16 * GUARD:
        return 0, 0
    flipped = lumas[:, ::-1]
    (above, ink), (below, other) = _flat_bar(lumas), _flat_bar(flipped)
    paired = bool(above and below and abs(ink - other) <= SAME)
    above, below = (n if paired or not BLACK < c < WHITE else 0 for n, c in ((above, ink), (below, other)))
    if not (above or below):
        above, below = _blurred_bar(lumas), _blurred_bar(flipped)
        if not (above and below):
            return 0, 0
    return _border(lumas, above), _border(flipped, below)


def _flat_bar(lumas: np.ndarray) -> tuple[int, float]:
    """(rows, luma) of the flat bar above; no rows where there is none."""
    part = lumas[:, : int(MAX_BAR * lumas.shape[1])]
    low, high = part.min(0).astype(np.float32), part.max(0).astype(np.float32)
    ink = float(np.median(low[:2]))
    off = np.maximum(high - ink, ink - low)
    flat = off <= FLAT_MOST
    flat[flat] = np.abs(part[:, flat] - np.float32(ink)).mean(0) <= FLAT
    moves = ~flat & (high - low > STILL)
    share, still = flat.mean(1), moves.mean(1) <= 0.02
    rows = len(still) if still.all() else int(np.argmin(still))
    for row in range(min(rows, len(share) - 2), 1, -1):
        if share[row - 1] >= 0.9 and share[row + 1] <= 0.6 and share[:row].mean() >= 0.5:
            return row, ink
    return 0, ink


def _blurred_bar(lumas: np.ndarray) -> int:
    """Rows of the blurred bar above; 0 where there is none."""
    height = lumas.shape[1]
    sharp = _sharpness(lumas[:, : height // 2])
    inner = float(np.mean(sharp[height // 4 :]))
    limit = min(SHARP_MOST, max(SHARP_FLOOR, BLURRED * inner))
    smooth = np.maximum.accumulate(_upper_decile(sharp)) <= limit
    rows = int(np.argmin(smooth)) if not smooth.all() else len(smooth)
    last = min(rows + GUARD + 1, int(MAX_BAR * height))
    if last <= 2 * GUARD:
        return 0
    edge = _edge(lumas[:, : last + 2 * GUARD])[:last]
    return int(edge.argmax()) if edge.max() >= MIN_EDGE else 0


def _sharpness(lumas: np.ndarray) -> np.ndarray:
    """(rows,) how sharp the picture is along each row: second differences over two pixels, levels.

    Four fifths of a row are at most as sharp, so that a word in a bar does not count.
    """
    wide = lumas.astype(np.int16)
    second = np.abs(wide[:, :, 4:] - 2 * wide[:, :, 2:-2] + wide[:, :, :-4])
    return np.quantile(second.mean(0), 0.8, axis=1)


def _upper_decile(values: np.ndarray) -> np.ndarray:
    """(n,) the value that a tenth of the values up to each place exceed."""
    return np.array([np.quantile(values[: n + 1], 0.9) for n in range(len(values))])


def _edge(lumas: np.ndarray) -> np.ndarray:
    """(rows,) share of the columns in which a picture begins at that row, after rows that were smooth."""
    rows = lumas.astype(np.int16)
    over_three = np.abs(rows[:, 3:] - rows[:, :-3])
    step, before = over_three[:, GUARD:], over_three[:, :-GUARD]
    found = ((step > STEP) & (step > 2 * before)).mean((0, 2))
    edge = np.zeros(lumas.shape[1])
    edge[GUARD + 2 : GUARD + 2 + len(found)] = found
    return edge


def _border(lumas: np.ndarray, near: int) -> int:
    """The first row that is all picture, beside the largest step near a row; 0 for 0."""
    if not near:
        return 0
    start = max(0, near - GUARD)
    rows = lumas[:, start : near + GUARD + 1].astype(np.int16)
    return start + int(np.abs(np.diff(rows, axis=1)).mean((0, 2)).argmax()) + 2

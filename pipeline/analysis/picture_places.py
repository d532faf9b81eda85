"""From passages to a source's arrays: the bars of each shot, and all that was measured in pixels, within the picture.

Outside of this module a shot's picture begins at its own corner: what lies around it is nobody's business any more.
"""

import cv2
import numpy as np

from pipeline.analysis.passages import Passage

THUMB = 32
WIDE = 0.25  # share of the picture under bars from which it is worth another look at what lies between them


def bars_of_shots(
    passages: list[Passage], cuts: np.ndarray, shape: tuple[int, int], source: tuple[int, int]
) -> np.ndarray:
    """What is cut off around the picture of each shot.

    Args:
        shape, source: (height, width) of the analysed and of the source's picture.

    Returns:
        (shots, 5) int64: first frame, source pixels to the left, above, to the right and below; even, so that the
        chroma of what is left is whole. (0, 5) where no shot has any.
    """
    starts = np.array([0, *cuts])
    rows = np.zeros((len(starts), 5), np.int64)
    rows[:, 0] = starts
    scale = np.array([source[1] / shape[1], source[0] / shape[0]])
    for passage in passages:
        shot = np.searchsorted(starts, passage.start, "right") - 1
        x0, y0, x1, y1 = passage.picture
        margins = np.array([x0, y0, shape[1] - x1, shape[0] - y1]) * np.tile(scale, 2)
        rows[shot, 1:] = np.maximum(rows[shot, 1:], np.ceil(margins / 2 - 1e-6).astype(np.int64) * 2)
    odd = rows[:, 3:] > 0
    rows[:, 3:] += odd * (np.array([source[1], source[0]]) % 2)  # an odd side's last pixel goes with a bar beside it
    return rows if rows[:, 1:].any() else np.empty((0, 5), np.int64)


def common_bars(parts: list[np.ndarray], source: tuple[int, int]) -> tuple[int, int, int, int]:
    """Source pixels to the left, above, to the right and below that are bars in all shots; zeros where it is little.

    Args:
        parts: of `bars_of_shots` each, of a picture of the same size.
        source: (height, width) of the picture, bars and all.
    """
    if not all(len(bars) for bars in parts):
        return 0, 0, 0, 0
    left, above, right, below = (int(side) for side in np.concatenate(parts)[:, 1:].min(0))
    height, width = source
    between = (height - above - below) * (width - left - right)
    return (left, above, right, below) if between <= (1 - WIDE) * height * width else (0, 0, 0, 0)


def bars_from(starts: list[int], parts: list[np.ndarray]) -> list[np.ndarray]:
    """The bars of parts that begin at some frames, as they are in the whole; if any has rows, each has."""
    barred = any(len(bars) for bars in parts)
    rows = [bars if len(bars) or not barred else np.zeros((1, 5), np.int64) for bars in parts]
    return [bars + np.array([start, 0, 0, 0, 0]) for start, bars in zip(starts, rows, strict=True)]


def corners_at(bars: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """(n, 2) x, y of the picture's corner at each of (n,) frames."""
    if not len(bars):
        return np.zeros((len(frames), 2), np.int64)
    return np.asarray(bars[np.searchsorted(bars[:, 0], frames, "right") - 1, 1:3])


def from_corner(affines: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(n, 2, 3) similarities of the whole picture as those of one that begins at (n, 2) corners."""
    moved = affines.copy()
    moved[..., 2] += np.einsum("nij,nj->ni", affines[..., :2], corners.astype(float)) - corners
    return moved


def thumbs_within(
    thumbs: np.ndarray, frames: np.ndarray, bars: np.ndarray, source: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """(n, 32, 32) thumbs of the picture alone, and (n,) which of them have lost bars."""
    cut = np.zeros(len(thumbs), bool)
    if not len(bars):
        return thumbs, cut
    within = thumbs.copy()
    per_pixel = np.tile([THUMB / source[1], THUMB / source[0]], 2)
    for number, row in enumerate(bars[np.searchsorted(bars[:, 0], frames, "right") - 1]):
        left, above, right, below = np.ceil(row[1:] * per_pixel).astype(int)
        part = thumbs[number, above : THUMB - below, left : THUMB - right]
        cut[number] = row[1:].any() and part.size > 0
        if cut[number]:
            within[number] = cv2.resize(part, (THUMB, THUMB), interpolation=cv2.INTER_LINEAR)
    return within, cut


def brightness(luma: np.ndarray) -> np.ndarray:
    """Mean luma of (..., height, width) pictures, 0 to 1; limited range, ITU-R BT.709."""
    return np.asarray(np.clip((luma.mean((-2, -1)) - 16) / 219, 0, 1))


def looks_within(
    passages: list[Passage], bars: np.ndarray, scale: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """((looks,) frames, (looks,) ends, (boxes, 4)): look l's overlays are boxes ends[l - 1] to ends[l].

    In source pixels from the picture's corner.
    """
    looks = [look for passage in passages for look in passage.looks]
    frames = np.array([frame for frame, _ in looks], np.int64)
    counts = np.array([len(boxes) for _, boxes in looks], np.int64)
    boxes = np.concatenate([np.empty((0, 4)), *[boxes for _, boxes in looks]]) * np.tile(scale, 2)
    corners = np.repeat(corners_at(bars, frames), counts, axis=0)
    return frames, np.cumsum(counts, dtype=np.int64), (boxes - np.tile(corners, 2)).astype(np.float32)

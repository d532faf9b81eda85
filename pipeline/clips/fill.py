"""What lies outside of the picture, made again from the picture alone: pixels go in and out, no video is read.

A stored clip's filled area has been through a lossy codec together with its picture; this one has not, so what is
computed from a frame that was filled here depends on the true pixels, and on nothing else.
"""

import cv2
import numpy as np

from pipeline.clips.crop_filter import SOFT

Rectangle = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels; x1 and y1 are no part of it."""


def fill_outside(frame: np.ndarray, picture: Rectangle) -> np.ndarray:
    """A copy of the frame (H, W, 3) with the softened edge of its picture all around it: `crop.fill=edge`."""
    height, width = frame.shape[:2]
    left, top, right, bottom = picture
    seen = frame[top:bottom, left:right]
    if seen.shape == frame.shape:
        return frame
    drawn = cv2.copyMakeBorder(seen, top, height - bottom, left, width - right, cv2.BORDER_REPLICATE)
    small = cv2.resize(drawn, (max(1, width // SOFT), max(1, height // SOFT)), interpolation=cv2.INTER_AREA)
    filled = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    filled[top:bottom, left:right] = seen
    return filled


def refill(frames: np.ndarray, pictures: np.ndarray) -> np.ndarray:
    """(F, H, W, 3) frames, each with what lies outside of its picture filled again.

    Args:
        pictures: (n, 4) rectangles of the frames, or one row for all.
    """
    rows = np.broadcast_to(pictures, (len(frames), 4))
    return np.stack([fill_outside(frame, rectangle(row)) for frame, row in zip(frames, rows, strict=True)])


def rectangle(row: np.ndarray) -> Rectangle:
    """From (4,) numbers."""
    return int(row[0]), int(row[1]), int(row[2]), int(row[3])


def common(pictures: np.ndarray) -> Rectangle:
    """What lies within every one of (n, 4) rectangles; its sides may be negative where nothing does."""
    low, high = pictures[:, :2].max(0), pictures[:, 2:].min(0)
    return rectangle(np.concatenate([low, high]))

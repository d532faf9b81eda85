"""A camera that jerks: the picture goes elsewhere from one frame to the next, and shows the same."""

from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.analysis.editing.surprise import Region, new_flow, part_yuv

EXPLAINED = 0.7  # of the change is left at most, by moving the picture
USUAL = 2.5  # times what is left between the frames around, at most
FLOOR = 1.0  # 8-bit levels: what coding and scaling leave in a still picture
NEAR = 4  # frames around
FINE = 256  # pixels of the longer side
OUTSIDE = 0.1  # of the picture: with less around the dancers nothing is known of the camera


def is_jerk(lumas: Sequence[np.ndarray], at: int) -> bool:
    """Whether the picture `at` is the one before, moved, as far as a dance lets it.

    Args:
        lumas: (rows, columns) uint8 small pictures around it, one a frame.
    """
    change, left = _changes(lumas[at - 1], lumas[at])
    around = [n for n in range(max(1, at - NEAR), min(len(lumas), at + NEAR + 1)) if n != at]
    usual = [_changes(lumas[n - 1], lumas[n])[1] for n in around]
    return bool(usual) and left <= EXPLAINED * change and left <= USUAL * max(float(np.median(usual)), FLOOR)


def _changes(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Mean levels by which a picture differs from the one before, as it is and moved by the median of the flow."""
    x, y = np.median(new_flow(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(before, after, None), axis=(0, 1))
    margin = int(np.ceil(max(abs(x), abs(y)))) + 1
    one, two = before.astype(np.float32), after.astype(np.float32)
    if margin >= min(one.shape) // 4:  # so far a camera does not go from one frame to the next
        change = float(np.abs(one - two).mean())
        return change, change
    inner = (slice(margin, -margin), slice(margin, -margin))
    change = float(np.abs(one - two)[inner].mean())
    moved = cv2.warpAffine(one, np.array([[1, 0, x], [0, 1, y]]), one.shape[::-1])
    return change, float(np.abs(moved - two)[inner].mean())


def camera_shift(before: np.ndarray, after: np.ndarray, dancers: Region) -> np.ndarray:
    """(2,) pixels by which what lies around the dancers goes, the median of its flow; zeros where that is unknown.

    Args:
        before, after: uint8 I420 planes.
    """
    height, width = before.shape[0] * 2 // 3, before.shape[1]
    one, two = (part_yuv(frame, (0, 0, width, height), FINE)[..., 0].copy() for frame in (before, after))
    flow = new_flow(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(one, two, None)
    around, scale = np.ones(one.shape, bool), one.shape[1] / width
    x0, y0, x1, y1 = (round(side * scale) for side in dancers)
    around[y0:y1, x0:x1] = False
    return np.median(flow[around], axis=0) / scale if around.mean() >= OUTSIDE else np.zeros(2)

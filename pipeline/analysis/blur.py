"""How blurred a picture is, without another to compare it with."""

import cv2
import numpy as np

from pipeline.analysis.pose import box


def perceptual_blur(luma: np.ndarray) -> float:
    """How little a strong blur changes the picture: 0 sharp, 1 blurred.

    Crete et al. 2007, "The blur effect: perception and estimation with a new no-reference perceptual blur
    metric", equations 1 to 6, with their 9-tap filter.
    """
    picture = luma.astype(np.float32)
    worst = 0.0
    for axis, kernel in ((0, (1, 9)), (1, (9, 1))):
        blurred = cv2.blur(picture, kernel)
        sharp_steps = np.abs(np.diff(picture, axis=axis))
        lost = np.maximum(0, sharp_steps - np.abs(np.diff(blurred, axis=axis)))
        total = float(sharp_steps.sum())
        worst = max(worst, 1.0 if total == 0 else (total - float(lost.sum())) / total)
    return worst


def largest_box(people: np.ndarray, luma: np.ndarray) -> np.ndarray:
    """The picture around the largest person, or all of it where nobody is."""
    if not len(people):
        return luma
    x0, y0, x1, y1 = max(box(people), key=lambda b: float((b[2:] - b[:2]).prod())).astype(int)
    part = luma[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    return part if min(part.shape) >= 24 else luma

"""How blurred a picture is, without another to compare it with."""

import cv2
import numpy as np


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

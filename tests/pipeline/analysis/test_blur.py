"""The blur metric rises with blur, along either axis."""

import cv2
import numpy as np

from pipeline.analysis.blur import perceptual_blur


def test_blur_rises_with_blur_and_lies_between_0_and_1() -> None:
    rng = np.random.default_rng(0)
    sharp = cv2.resize(rng.integers(0, 255, (60, 60)).astype(np.uint8), (240, 240), interpolation=cv2.INTER_NEAREST)
    values = [perceptual_blur(sharp)] + [perceptual_blur(cv2.GaussianBlur(sharp, (0, 0), s)) for s in (1, 2, 4)]
    assert (np.diff(values) > 0).all()
    assert 0 < values[0] < 0.4
    assert 0.6 < values[-1] <= 1
    assert perceptual_blur(np.full((50, 50), 7, np.uint8)) == 1


def test_blur_along_one_axis_counts() -> None:
    sharp = np.random.default_rng(0).integers(0, 255, (120, 120)).astype(np.uint8)
    assert perceptual_blur(cv2.GaussianBlur(sharp, (31, 1), 4)) > perceptual_blur(sharp) + 0.2

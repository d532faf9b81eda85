"""Text in a picture: PP-OCRv4's small detector, a network of differentiable binarization, run by OpenCV."""

import functools
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.analysis.editing.text_model import text_model_path

MOST_PIXELS = 512 * 288  # a look at a larger picture would cost more and find no more
TEXT, SURE = 0.3, 0.75  # least probability of a pixel of text, and its mean over a line
UNCLIP = 1.6  # the network marks a line's core: Liao et al. 2020, "Real-time scene text detection with
# differentiable binarization", section 3.5, moves its outline out by area x 1.6 / perimeter
THIN = 3  # pixels of the network: a thinner line is none
TALL = 0.14  # of the picture's longer side: a taller line is somebody's torso


class TextFinder:
    """The network, loaded at the first picture: much work needs none."""

    def __init__(self, model: Path) -> None:
        self._model = model
        self._network: Any = None

    def find(self, bgr: np.ndarray) -> np.ndarray:
        """Boxes of lines of text in a uint8 picture (H, W, 3) in blue, green, red.

        Returns:
            float32 (lines, 4): x0, y0, x1, y1 in pixels of the picture, within it.
        """
        if self._network is None:
            self._network = cv2.dnn.readNetFromONNX(str(self._model))
        height, width = bgr.shape[:2]
        scale = min(1.0, math.sqrt(MOST_PIXELS / (height * width)))
        size = [max(32, round(side * scale / 32) * 32) for side in (width, height)]
        self._network.setInput(cv2.dnn.blobFromImage(bgr, 1 / 127.5, size, (127.5,) * 3))
        return lines(self._network.forward()[0, 0], (height, width))


def lines(probability: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(lines, 4) boxes in a picture of a shape (height, width), from the network's map of probabilities."""
    rows, columns = probability.shape
    count, labels, stats, _ = cv2.connectedComponentsWithStats((probability > TEXT).astype(np.uint8))
    unit = np.array([shape[1] / columns, shape[0] / rows] * 2)
    found = []
    for number in range(1, count):
        x, y, wide, tall, _ = stats[number]
        sure = probability[labels == number].mean() >= SURE
        out = wide * tall * UNCLIP / (2 * (wide + tall))
        box = np.array([x - out, y - out, x + wide + out, y + tall + out]) * unit
        if sure and min(wide, tall) >= THIN and min(box[2:] - box[:2]) <= TALL * max(shape):
            found.append(np.clip(box, 0, [shape[1], shape[0]] * 2))
    return np.array(found, np.float32).reshape(-1, 4)


@functools.cache
def text_finder() -> TextFinder:
    """This process's finder."""
    return TextFinder(text_model_path())

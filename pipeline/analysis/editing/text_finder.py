"""Text in a picture: PP-OCRv4's small detector, a network of differentiable binarization, and its reader, by OpenCV."""

import functools
import math
import zipfile
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
READ_HEIGHT, MOST_WIDE = 48, 640  # pixels that the reader is given: of its training, and what suffices of a long line
CHARACTERS, LEGIBLE = 2, 0.7  # fewest of a line, and their least mean probability


class TextFinder:
    """Two networks, each loaded at its first picture: much work needs none."""

    def __init__(self, model: Path) -> None:
        self._model = model
        self._networks: dict[str, Any] = {}

    def find(self, bgr: np.ndarray) -> np.ndarray:
        """Boxes of what may be lines of text in a uint8 picture (H, W, 3) in blue, green, red.

        Returns:
            float32 (lines, 4): x0, y0, x1, y1 in pixels of the picture, within it.
        """
        height, width = bgr.shape[:2]
        scale = min(1.0, math.sqrt(MOST_PIXELS / (height * width)))
        size = [max(32, round(side * scale / 32) * 32) for side in (width, height)]
        return lines(self._run("detector.onnx", bgr, size)[0], (height, width))

    def legible(self, bgr: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """(n,) bool: which of (n, 4) boxes hold characters; a row of books looks like a line and reads as none."""
        return np.array([self._is_legible(bgr, box) for box in boxes], bool)

    def _is_legible(self, bgr: np.ndarray, box: np.ndarray) -> bool:
        x0, y0 = np.maximum(np.floor(box[:2]).astype(int) - 1, 0)
        x1, y1 = np.ceil(box[2:]).astype(int) + 1
        line = bgr[y0:y1, x0:x1]
        wide = round(line.shape[1] * READ_HEIGHT / line.shape[0] / 8) * 8
        size = [min(max(wide, READ_HEIGHT), MOST_WIDE), READ_HEIGHT]
        return reads_as_text(self._run("reader.onnx", cv2.resize(line, size, interpolation=cv2.INTER_CUBIC), size))

    def _run(self, name: str, bgr: np.ndarray, size: list[int]) -> np.ndarray:
        """A network's answer to a picture that is brought to a size, width and height."""
        if name not in self._networks:
            with zipfile.ZipFile(self._model) as bundle:
                self._networks[name] = cv2.dnn.readNetFromONNX(np.frombuffer(bundle.read(name), np.uint8))
        self._networks[name].setInput(cv2.dnn.blobFromImage(bgr, 1 / 127.5, size, (127.5,) * 3))
        return np.asarray(self._networks[name].forward()[0])


def reads_as_text(probability: np.ndarray) -> bool:
    """Whether a line's (places, characters) probabilities spell something; character 0 is the blank between others.

    Greedy decoding of connectionist temporal classification (Graves et al. 2006): repeats are one character.
    """
    best = probability.argmax(1)
    spelled = (best != 0) & (np.diff(best, prepend=0) != 0)
    return bool(spelled.sum() >= CHARACTERS and probability.max(1)[spelled].mean() >= LEGIBLE)


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

"""What small pictures show, whatever their light: detail without its blur, compared part by part."""

import cv2
import numpy as np

BLOCK, BLUR = 8, 9  # pixels of the small pictures: of a part that is compared, and of the light that is taken out
TEXTURE = 2.0  # 8-bit levels: a flatter part shows nothing to compare
ALIKE = 0.5  # correlation of parts that show the same


def light(luma: np.ndarray) -> np.ndarray:
    """A picture's light: its blur."""
    return np.asarray(cv2.blur(luma.astype(np.float32), (BLUR, BLUR)))


def detail(luma: np.ndarray) -> np.ndarray:
    """What is left of a picture without its light."""
    return np.asarray(luma - light(luma))


def blocks(picture: np.ndarray) -> np.ndarray:
    """(parts, pixels) of a (rows, columns) picture."""
    rows, columns = (side // BLOCK for side in picture.shape)
    whole = picture[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    return whole.transpose(0, 2, 1, 3).reshape(rows * columns, -1)


def parts_alike(one: np.ndarray, two: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """((parts,) which have any texture, (parts,) which correlate) of two pictures' details."""
    a, b = blocks(one), blocks(two)
    strong = np.maximum(a.std(1), b.std(1)) >= TEXTURE
    return strong, (a * b).mean(1) / np.maximum(a.std(1) * b.std(1), 1e-6) >= ALIKE

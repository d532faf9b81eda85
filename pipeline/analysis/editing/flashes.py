"""Flashes, strobes and lamps: light that changes on one shot, which a detector of cuts takes for cuts.

A picture before and one soon after show the same scene, part by part, whatever its light; and in between there is that
scene or nothing at all. A shot that is put in between, or a dancer who is elsewhere afterwards, is a cut.
"""

from collections.abc import Sequence

import cv2
import numpy as np

REACH = 24  # frames before and after within which a flash has come and gone
LIGHT, WHERE = (
    5.0,
    0.65,
)  # 8-bit levels by which light changes, at least, over a third of the picture: a dancer is smaller
BLOCK, BLUR = 8, 9  # pixels of the small pictures: of a part that is compared, and of the light that is taken out
TEXTURE = 2.0  # levels: a flatter part shows nothing to compare
ALIKE, LEAST, MOST = 0.5, 0.7, 0.85  # correlation of parts that show the same; share of the parts that do: of any
# dance, and what is enough; in between as large a share as she leaves in as many frames without a flash
MARGIN = 0.05  # of that share
FLAT, FAINT = 0.35, 0.2  # of the scene's texture: less is no picture; correlation with a scene that is lit too much


def is_light(lumas: Sequence[np.ndarray], at: int) -> bool:
    """Whether the picture `at` differs from the one before by its light alone.

    Args:
        lumas: (rows, columns) uint8 small pictures around it, one a frame.
    """
    if np.quantile(np.abs(_light(lumas[at]) - _light(lumas[at - 1])), WHERE) < LIGHT:
        return False
    details = {n: _detail(lumas[n]) for n in range(max(0, at - REACH), min(len(lumas), at + REACH))}
    for before in range(at - 1, min(details) - 1, -1):
        for after in range(at, max(details) + 1):
            if after - before > REACH:
                break
            earlier = details.get(2 * before - after)
            usual = _alike(earlier, details[before]) if earlier is not None else 1.0
            if _alike(details[before], details[after]) >= min(MOST, max(LEAST, usual - MARGIN)):
                return all(_lit(details[before], details[n]) for n in range(before + 1, after))
    return False


def _light(luma: np.ndarray) -> np.ndarray:
    """A picture's light: its blur."""
    return np.asarray(cv2.blur(luma.astype(np.float32), (BLUR, BLUR)))


def _detail(luma: np.ndarray) -> np.ndarray:
    """What is left of a picture without its light."""
    return np.asarray(luma - _light(luma))


def _blocks(detail: np.ndarray) -> np.ndarray:
    """(parts, pixels) of a picture."""
    rows, columns = (side // BLOCK for side in detail.shape)
    whole = detail[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    return whole.transpose(0, 2, 1, 3).reshape(rows * columns, -1)


def _alike(one: np.ndarray, two: np.ndarray) -> float:
    """Share of the parts with any texture that correlate."""
    a, b = _blocks(one), _blocks(two)
    strong = np.maximum(a.std(1), b.std(1)) >= TEXTURE
    both = (a * b).mean(1) / np.maximum(a.std(1) * b.std(1), 1e-6)
    return float((both[strong] >= ALIKE).mean()) if strong.any() else 0.0


def _lit(scene: np.ndarray, picture: np.ndarray) -> bool:
    """Whether a picture is a scene under other light, as far as it shows anything."""
    size = float(picture.std())
    return size <= FLAT * scene.std() or float((scene * picture).mean()) >= FAINT * size * float(scene.std())

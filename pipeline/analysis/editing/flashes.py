"""Flashes, strobes and lamps: light that changes on one shot, which a detector of cuts takes for cuts.

A picture before and one soon after show the same scene, part by part, whatever its light; and in between there is that
scene or nothing at all. A shot that is put in between, or a dancer who is elsewhere afterwards, is a cut.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.analysis.editing.detail import detail, light, parts_alike

REACH = 24  # frames before and after within which a flash has come and gone
LIGHT, WHERE = 5.0, 0.3  # 8-bit levels by which light changes; share of the picture: a dancer is smaller
LEAST, MOST = 0.7, 0.85  # share of the parts that show the same: of any dance, and what is enough; in between as large
# a share as she leaves in as many frames without a flash
MARGIN = 0.05  # of that share
FLAT, FAINT = 0.35, 0.2  # of the scene's texture: less is no picture; correlation with a scene that is lit too much


def is_light(lumas: Sequence[np.ndarray], at: int) -> bool:
    """Whether the picture `at` differs from the one before by its light alone.

    Args:
        lumas: (rows, columns) uint8 small pictures around it, one a frame.
    """
    if not changes(light(lumas[at - 1]), light(lumas[at])):
        return False
    details = {n: detail(lumas[n]) for n in range(max(0, at - REACH), min(len(lumas), at + REACH))}
    for before in range(at - 1, min(details) - 1, -1):
        for after in range(at, max(details) + 1):
            if after - before > REACH:
                break
            earlier = details.get(2 * before - after)
            usual = _alike(earlier, details[before]) if earlier is not None else 1.0
            if _alike(details[before], details[after]) >= min(MOST, max(LEAST, usual - MARGIN)):
                return all(_lit(details[before], details[n]) for n in range(before + 1, after))
    return False


def changes(one: np.ndarray, two: np.ndarray) -> bool:
    """Whether the light of two pictures differs where no dancer alone could make a difference."""
    return bool((np.abs(two - one) >= LIGHT).mean() >= WHERE)


def _alike(one: np.ndarray, two: np.ndarray) -> float:
    """Share of the parts with any texture that correlate."""
    strong, alike = parts_alike(one, two)
    return float(alike[strong].mean()) if strong.any() else 0.0


def _lit(scene: np.ndarray, picture: np.ndarray) -> bool:
    """Whether a picture is a scene under other light, as far as it shows anything."""
    size = float(picture.std())
    return size <= FLAT * scene.std() or float((scene * picture).mean()) >= FAINT * size * float(scene.std())

"""Dances as stick figures, for those who watch a training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from data_catalog.base.files import make_folder
from model.choreography.rig import DancerBody, to_landmarks
from model.pictures import picture_rows, write_gif, write_png
from pipeline.analysis.pose import MAIN

SIDE = 96
LIMBS = (
    ((11, 13), (13, 15), (11, 23), (23, 25), (25, 27), (27, 31)),
    ((12, 14), (14, 16), (12, 24), (24, 26), (26, 28), (28, 32)),
    ((11, 12), (23, 24), (0, 11), (0, 12)),
)
COLOURS = ((64, 176, 255), (255, 160, 64), (230, 230, 230))
"""RGB of her left, her right, and what joins them."""


def drawn_pose(landmarks: np.ndarray, side: int = SIDE) -> np.ndarray:
    """A (33, >=2) pose in pixels of a square of that side: uint8 (side, side, 3)."""
    picture = np.full((side, side, 3), 24, np.uint8)
    points = np.round(landmarks[:, :2] * 8).astype(int)
    for bones, colour in zip(LIMBS, COLOURS, strict=True):
        for one, other in bones:
            ends = (tuple(points[one].tolist()), tuple(points[other].tolist()))
            cv2.line(picture, *ends, colour, 2, cv2.LINE_AA, 3)
    assert len(MAIN) == 13
    return picture


def write_dance_pictures(base: Path, dances: Sequence[np.ndarray], usual_bones: np.ndarray) -> None:
    """`base`.png, a row of every other key pose for each dance (K, SIZE), and `base`.gif of the second."""
    height = 0.7 * SIDE
    body = DancerBody(height, usual_bones * height, SIDE / 2, 0.88 * SIDE)
    rows = [np.stack([drawn_pose(pose) for pose in to_landmarks(dance, body)]) for dance in dances]
    make_folder(base.parent)
    write_png(base.with_suffix(".png"), picture_rows([row[::2] for row in rows]))
    write_gif(base.with_suffix(".gif"), rows[1])

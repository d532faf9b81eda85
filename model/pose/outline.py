"""Which pixels of a picture are the dancer's: grown from her bones by colour."""

import cv2
import numpy as np

from model.pose.body_parts import capsules
from model.pose.cover import cover_of, far_to_near
from model.pose.warp import FRINGE

CORE = 0.4
"""Share of a part's half width around its bone that is hers for certain."""
ROUNDS = 4


def outline_of(picture_HWC: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(H, W) bool of the person with these (33, 4) landmarks in a uint8 RGB picture, by GrabCut.

    Rother, Kolmogorov and Blake 2004, as OpenCV does it: near her bones she is, beyond her parts' fringe she is not,
    and between them the colours decide.
    """
    shape, body = (picture_HWC.shape[0], picture_HWC.shape[1]), capsules(landmarks)
    ys, xs = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    guess = np.full(shape, cv2.GC_BGD, np.uint8)
    for level, value in ((FRINGE * body.height, cv2.GC_PR_BGD), (0.0, cv2.GC_PR_FGD)):
        for number in far_to_near(body):
            cover = cover_of(body, number, np.stack([xs, ys], -1), FRINGE * body.height)
            if cover is not None:
                guess[cover.window][cover.outside <= level] = value
    for number in far_to_near(body):
        cover = cover_of(body, number, np.stack([xs, ys], -1), 0.0)
        if cover is not None:
            guess[cover.window][(cover.outside <= 0) & (np.abs(cover.across) <= CORE)] = cv2.GC_FGD
    if not (guess == cv2.GC_FGD).any() or not (guess == cv2.GC_BGD).any():
        return np.ones(shape, bool)
    cv2.setRNGSeed(0)  # its first clusters are drawn
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(np.ascontiguousarray(picture_HWC), guess, None, *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    return np.asarray((guess == cv2.GC_FGD) | (guess == cv2.GC_PR_FGD))

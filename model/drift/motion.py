"""How much a picture moves, with grain, flicker and the codec's noise left out."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.analysis.paths import jitter, travel

TILES = 8
"""Tiles a side: the mean of so many pixels has little of the grain, and an arm still changes it."""
JITTERS = 3.0
"""Standard deviations of its jitter that a tile's colour may be off without anything having moved."""
LEAST_CHANGE = 3.0
"""8-bit levels, as a distance in RGB, within which no tile moves: more than codecs change a picture that stands."""
USUAL = 0.5
"""Quantile that jitter is told by: in most frames nothing passes a tile."""


def tile_colours(frame_HWC: np.ndarray) -> np.ndarray:
    """(TILES * TILES, 3) float32 mean colours of a frame's tiles, in 8-bit levels."""
    tiles = cv2.resize(frame_HWC.astype(np.float32), (TILES, TILES), interpolation=cv2.INTER_AREA)
    return np.asarray(tiles, np.float32).reshape(-1, 3)


def tile_travel(colours: Sequence[np.ndarray], steady: bool = True) -> np.ndarray:
    """(F,) how far the tiles' colours go from the frame before, mean over the tiles, in 8-bit levels; NaN at frame 0.

    Of every frame the median change of all tiles since frame 0 is taken off first: flicker, and colours that drift.
    A tile moves when its colour leaves a play of LEAST_CHANGE, or of JITTERS times its own jitter
    (`pipeline.analysis.paths`).

    Args:
        steady: False for frames too few, or too far apart, to tell jitter from movement: LEAST_CHANGE alone counts.
    """
    path_FND = np.stack(colours).astype(float)
    path_FND -= np.median(path_FND - path_FND[:1], axis=1, keepdims=True)
    noise = jitter(path_FND, USUAL) if steady else np.zeros(path_FND.shape[1])
    moved: np.ndarray = travel(path_FND, np.maximum(JITTERS * noise, LEAST_CHANGE)).mean(1)
    return moved

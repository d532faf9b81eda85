"""A sample's hands: 21 points of each in every frame, as one array."""

import io

import numpy as np

from data_catalog.base.errors import LongdanceError
from pipeline.analysis.hands.hand_finder import HANDS, POINTS
from pipeline.clips.crop import Placement
from pipeline.clips.steadying.steady import moved

VERSION = 1  # raise it when the same frames would give other hands
SHAPE = (HANDS, POINTS, 4)


def hands_in_clip(
    hands: np.ndarray, placement: Placement, flip: bool, to_steady: np.ndarray | None = None
) -> np.ndarray:
    """(frames, 2, 21, 4) hands from source pixels to those of a sample; a flip makes the left one the right one.

    Args:
        placement: where the clip shows the source, or its steadied picture, before a flip.
        to_steady: (frames, 2, 3) from the source to the steadied picture, if there is one.
    """
    points = hands.reshape(len(hands), -1, 4)
    if to_steady is not None:
        points = moved(points, to_steady)
    inside = placement.landmarks(points).reshape(-1, *SHAPE)
    if flip:
        inside = inside[:, ::-1].copy()
        inside[..., 0] = placement.size.width - inside[..., 0]
    return np.where(inside[..., 3:] > 0, inside, 0.0)


def found_hands(hands: np.ndarray) -> np.ndarray:
    """(2,) in what share of (frames, 2, 21, 4) each hand was found."""
    return np.asarray((hands[:, :, 0, 3] > 0).mean(0))


def write_hands(hands: np.ndarray) -> bytes:
    """npy, float32."""
    buffer = io.BytesIO()
    np.save(buffer, hands.astype(np.float32), allow_pickle=False)
    return buffer.getvalue()


def read_hands(npy: bytes) -> np.ndarray:
    """(frames, 2, 21, 4) as `write_hands` was given them. Raises LongdanceError: it holds no such array."""
    try:
        hands = np.load(io.BytesIO(npy), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise LongdanceError("A member `hands.npy` is damaged: run `longdance verify`.") from error
    if hands.shape[1:] != SHAPE:
        raise LongdanceError(
            f"A member `hands.npy` has shape {hands.shape}, expected (frames, {HANDS}, {POINTS}, 4): run "
            "`longdance verify`."
        )
    return np.asarray(hands)

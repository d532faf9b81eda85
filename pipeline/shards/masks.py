"""The dancer's mask in every frame of a sample, as one small picture: which pixels are hers."""

from dataclasses import dataclass

import cv2
import numpy as np

from data_catalog.base.errors import LongdanceError
from pipeline.clips.crop import Placement
from pipeline.picture_size import PictureSize

SCALE = 4
"""Pixels of the clip, along each side, to one of the mask."""


@dataclass(frozen=True)
class FrameMask:
    """Which pixels of a part of the source are hers: bool (h, w), each `pixel` (2,) source pixels wide and high."""

    mask: np.ndarray
    corner: np.ndarray
    pixel: np.ndarray


def mask_shape(size: PictureSize) -> tuple[int, int]:
    """(height, width) of the masks of clips of this size."""
    return size.height // SCALE, size.width // SCALE


def masks_in_clip(
    masks: list[FrameMask | None], placement: Placement, flip: bool, to_steady: np.ndarray | None = None
) -> np.ndarray:
    """Masks of a sample's frames, bool (frames, H / SCALE, W / SCALE); of a frame in which she was not found, none.

    Args:
        masks: of each frame, in the source.
        placement: where the clip shows the source, or its steadied picture, before a flip.
        to_steady: (frames, 2, 3) from the source to the steadied picture, if there is one.
    """
    size = mask_shape(placement.size)[::-1]
    source, picture = (np.broadcast_to(rows, (len(masks), 4)) for rows in (placement.source, placement.picture))
    moves = np.broadcast_to(np.eye(2, 3), (len(masks), 2, 3)) if to_steady is None else to_steady
    drawn = [_in_clip(mask, move, shown, at, size) for mask, move, shown, at in zip(masks, moves, source, picture)]
    return np.stack(drawn)[..., :: -1 if flip else 1]


def _in_clip(
    mask: FrameMask | None, move: np.ndarray, source: np.ndarray, picture: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """One frame's, by area: a pixel is hers if she covers half of it or more."""
    if mask is None:
        return np.zeros(size[::-1], bool)
    scale = (picture[2:] - picture[:2]) / (source[2:] - source[:2]) / SCALE  # source pixels to those of the mask
    spread = [max(1, round(1 / float(side))) for side in mask.pixel * scale]
    soft = cv2.blur(mask.mask.astype(np.float32), spread, borderType=cv2.BORDER_CONSTANT)
    linear = scale[:, None] * move[:, :2] * mask.pixel
    # Both grids' whole numbers are middles of pixels, half a pixel from the corner that places are counted from.
    shift = (move @ [*mask.corner, 1.0] - source[:2]) * scale + picture[:2] / SCALE + linear @ [0.5, 0.5] - 0.5
    moved = cv2.warpAffine(soft, np.column_stack([linear, shift]), size)
    rows, columns = np.ogrid[: size[1], : size[0]]
    low, high = picture[:2] / SCALE, picture[2:] / SCALE  # beyond lies what is filled
    inside = (columns + 0.5 > low[0]) & (columns + 0.5 < high[0]) & (rows + 0.5 > low[1]) & (rows + 0.5 < high[1])
    return np.asarray((moved >= 0.5) & inside)


def write_masks(masks: np.ndarray) -> bytes:
    """A black and white PNG, the frames one below the other: (frames, h, w) bool, as (frames * h, w) pixels."""
    stacked = masks.reshape(-1, masks.shape[-1]).astype(np.uint8) * 255
    done, png = cv2.imencode(".png", stacked, [cv2.IMWRITE_PNG_BILEVEL, 1])
    assert done
    return png.tobytes()


def read_masks(png: bytes, frames: int) -> np.ndarray:
    """(frames, h, w) bool, as `write_masks` was given them. Raises LongdanceError: it holds no such picture."""
    stacked = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    if stacked is None or stacked.shape[0] % frames:
        raise LongdanceError(f"A member `mask.png` does not hold the masks of {frames} frames: run `longdance verify`.")
    return np.asarray(stacked.reshape(frames, -1, stacked.shape[1]) > 127)

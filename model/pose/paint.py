"""A picture painted by a field of the warp: what it shows, moved; and behind that, what is guessed.

Two things lie behind what a picture shows of a dancer: the wall, and parts of hers under others, as a trunk under the
arm that lies before it. A part that is hidden in places is guessed from where it is seen, so that an arm that lay
before her body does not stay there once it has moved.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from model.pose.warp import BACKGROUND, Field, Reference


@dataclass(frozen=True)
class Behind:
    """What is guessed behind what a picture shows; all are pictures like it."""

    background_HWC: np.ndarray  # noqa: N815
    """The picture without its dancer."""
    parts: dict[int, np.ndarray]
    """By number in `PARTS`: the picture in which a part is whole that others hide in places."""


def behind(picture_HWC: np.ndarray, reference: Reference) -> Behind:
    """What lies behind a picture's dancer, uint8 RGB or float32 of any channels.

    Of uint8 the wall is filled from the hole's edge (Telea 2004, as OpenCV does it), of float32 by the nearest place.
    """
    parts = {}
    for number, hidden_HW in reference.hidden.items():
        window, inside = reference.covers[number]
        hidden = hidden_HW[window]
        own = inside & (reference.shown_HW[window] == number) & ~hidden
        if reference.outline_HW is not None:
            own &= reference.outline_HW[window]
        if own.any():  # the outline may leave nothing of it
            whole = picture_HWC.copy()
            whole[window] = _filled(whole[window], hidden, own)
            parts[number] = whole
    return Behind(_wall(picture_HWC, reference.hole_HW), parts)


def warp_picture(picture_HWC: np.ndarray, guessed: Behind, field: Field) -> np.ndarray:
    """The picture in the target's pose: what the field knows, and her parts, from the picture, the rest from what is
    behind it. Both are uint8 or float32, (H, W, C), of the field's height and width.
    """
    moved = _taken(picture_HWC, field.source_HW2)
    from_picture = (field.part_HW != BACKGROUND) | ~field.unknown_HW
    painted = np.where(from_picture[..., None], moved, guessed.background_HWC)
    for number, whole in guessed.parts.items():
        places = (field.part_HW == number) & field.unknown_HW
        if places.any():
            painted[places] = _taken(whole, field.source_HW2[places][:, None])[:, 0]
    return painted


def _taken(picture_HWC: np.ndarray, places: np.ndarray) -> np.ndarray:
    taken = cv2.remap(picture_HWC, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return taken.reshape(*places.shape[:2], picture_HWC.shape[2])


def _wall(picture_HWC: np.ndarray, hole_HW: np.ndarray) -> np.ndarray:
    if not hole_HW.any() or hole_HW.all():
        return picture_HWC
    if picture_HWC.dtype == np.uint8:
        return np.asarray(cv2.inpaint(picture_HWC, hole_HW.astype(np.uint8), 3, cv2.INPAINT_TELEA))
    return _filled(picture_HWC, hole_HW, ~hole_HW)


def _filled(picture_HWC: np.ndarray, hidden_HW: np.ndarray, known_HW: np.ndarray) -> np.ndarray:
    """The picture with every hidden place as the nearest known one, blurred a little among themselves."""
    how = cv2.DIST_L2, cv2.DIST_MASK_5, cv2.DIST_LABEL_PIXEL
    _, labels = cv2.distanceTransformWithLabels((~known_HW).astype(np.uint8), how[0], how[1], labelType=how[2])
    values = np.zeros((labels.max() + 1, picture_HWC.shape[2]), picture_HWC.dtype)
    values[labels[known_HW]] = picture_HWC[known_HW]
    nearest = np.where(known_HW[..., None], picture_HWC, values[labels])
    smooth = cv2.blur(nearest, (3, 3)).reshape(nearest.shape) if picture_HWC.dtype == np.uint8 else nearest
    return np.where(hidden_HW[..., None], smooth, picture_HWC)

"""A dancer moved part by part to another pose: which place of a picture each place of the new one comes from.

For every target pixel the nearest part that covers it says where in the source it lies: along the bone in proportion,
across it in proportion to the width. What no part covers is background and stays where it is. No weights are
involved: it is the baseline that a network has to beat.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from model.pose.body_parts import PARTS, Capsules, capsules
from model.pose.cover import Cover, bone, cover_of, far_to_near

BACKGROUND = -1
SNAP = 64
"""Source places are whole 64ths of a pixel, so that a pose moved to itself gives the picture to the bit."""
FRINGE = 0.02
"""How far around her parts a dancer is taken out of the background, in standing heights: clothes and hair. Where a
part moves by less than that, its fringe moves with it: what is seen there is hers, or a wall that hardly moved."""
CLOTHES = 0.08
"""How far around her parts what she wears reaches, in standing heights: within the outline, skirts and hair go with the
part that is nearest."""
STILL = 0.5
"""Pixels: what moves less is where it was."""
_ENDS = [{*part.start, *part.end} for part in PARTS]
GUESSED = frozenset(number for number, part in enumerate(PARTS) if part.name == "trunk" or part.name.endswith("thigh"))
"""Parts so wide that limbs lie before them: what these hide is guessed. Which of a forearm and the trunk beside it is
before the other a detector's depths are too noisy to say, and the rim alone is no forearm."""
JOINED = np.array([[bool(a & b) for b in _ENDS] + [False] for a in _ENDS])
"""(parts, parts + 1): parts that share a joint show each other where they meet; the last column is background."""


@dataclass(frozen=True)
class Reference:
    """A picture's dancer: her parts, which of them is seen where, and what she hides."""

    body: Capsules
    shown_HW: np.ndarray  # noqa: N815
    """Number in `PARTS` of the part, or of its clothes, that is seen at a pixel, or BACKGROUND; int8."""
    nearest_HW: np.ndarray  # noqa: N815
    """Number of the part that is nearest to a pixel, or BACKGROUND far from all; int8."""
    hole_HW: np.ndarray  # noqa: N815
    """Where the dancer covers the background; bool."""
    outline_HW: np.ndarray | None  # noqa: N815
    """Where the dancer is; bool. None: nobody looked, and she may be anywhere."""
    grid_HW2: np.ndarray  # noqa: N815
    """x and y of each pixel, float32."""
    covers: dict[int, tuple[tuple[slice, slice], np.ndarray]]
    """Of each part that is known a window of the picture, and which of its pixels the part covers, seen or not."""
    hidden: dict[int, np.ndarray]
    """Of each of GUESSED that others hide in places, where they do, and a fringe around that: bool (H, W)."""


@dataclass(frozen=True)
class Field:
    """Where each pixel of the target comes from."""

    source_HW2: np.ndarray  # noqa: N815
    """x and y in the source, float32."""
    part_HW: np.ndarray  # noqa: N815
    """Number in `PARTS` of the part that is seen there, or BACKGROUND; int8."""
    unknown_HW: np.ndarray  # noqa: N815
    """True where the source does not show this place, and what is put there is a guess."""


def reference_of(
    landmarks: np.ndarray, shape: tuple[int, int], outline_HW: np.ndarray | None = None, min_visibility: float = 0.0
) -> Reference:
    """The dancer of a picture of that height and width.

    Args:
        landmarks: (33, 4) in pixels of the picture; NaN where a joint is not known.
        outline_HW: where the dancer is, bool: what of her parts lies outside is wall, and does not move; what lies in
            it beside her parts is worn, and moves with them. None: all of her parts, and nothing else.
        min_visibility: joints that are less visible than that count as unknown.
    """
    body = capsules(landmarks, min_visibility)
    ys, xs = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    grid = np.stack([xs, ys], -1)
    shown, hole = np.full(shape, BACKGROUND, np.int8), np.zeros(shape, bool)
    nearest, apart = shown.copy(), np.full(shape, np.inf)
    covers = {}
    for number in far_to_near(body):
        cover = cover_of(body, number, grid, (CLOTHES + FRINGE) * body.height)
        if cover is not None:
            covers[number] = cover.window, cover.outside <= 0
            shown[cover.window][cover.outside <= 0] = number
            hole[cover.window] |= cover.outside <= FRINGE * body.height
            nearer = cover.outside < apart[cover.window]
            nearest[cover.window][nearer] = number
            apart[cover.window][nearer] = cover.outside[nearer]
    kernel = _fringe_kernel(body)
    hidden = _hidden(covers, shown, kernel)
    if outline_HW is not None:
        worn = outline_HW & (apart <= CLOTHES * body.height)  # beyond, it is no clothes
        shown = np.where((shown == BACKGROUND) & worn, nearest, shown)
        hole = cv2.dilate(worn.astype(np.uint8), kernel).astype(bool)
    return Reference(body, shown, nearest, hole, outline_HW, grid, covers, hidden)


def _fringe_kernel(body: Capsules) -> np.ndarray:
    radius = 0 if np.isnan(body.height) else max(1, round(FRINGE * body.height))
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def _hidden(
    covers: dict[int, tuple[tuple[slice, slice], np.ndarray]], shown_HW: np.ndarray, kernel: np.ndarray
) -> dict[int, np.ndarray]:
    found = {}
    for number, (window, inside) in covers.items():
        whole = np.zeros(shown_HW.shape, np.uint8)
        whole[window] = inside & ~JOINED[number, shown_HW[window]]
        if number in GUESSED and whole.any():
            found[number] = cv2.dilate(whole, kernel).astype(bool)
    return found


def warp_field(reference: Reference, landmarks: np.ndarray, min_visibility: float = 0.0) -> Field:
    """The field that moves the reference's dancer to (33, 4) landmarks in pixels of the same picture.

    A part whose joints the reference lacks is unknown where it should be; one that the target lacks is not drawn.
    """
    body = capsules(landmarks, min_visibility)
    places, unknown = reference.grid_HW2.copy(), reference.hole_HW.copy()
    parts = np.full(unknown.shape, BACKGROUND, np.int8)
    fringe = FRINGE * body.height
    around = fringe if reference.outline_HW is None else fringe + CLOTHES * body.height
    for number in far_to_near(body):
        cover = cover_of(body, number, reference.grid_HW2, around)
        if cover is None:
            continue
        here, there, lacks = places[cover.window], parts[cover.window], unknown[cover.window]
        covered = cover.outside <= 0
        if np.isnan(reference.body.start_P2[number, 0]):
            lacks[covered & (there == BACKGROUND)] = True  # what is not known hides nothing that is
            continue
        at = _source_places(reference.body, body, number, cover)
        if reference.outline_HW is not None:
            worn = ~covered & (_at(reference.shown_HW, at, BACKGROUND) == number)
            covered = (covered | worn) & _at(reference.outline_HW, at, True)
        moved = np.abs(at - reference.grid_HW2[cover.window]).max(-1)
        stays = (cover.outside <= fringe) & (moved <= fringe)
        stays |= (moved <= STILL) & (reference.nearest_HW[cover.window] == number)
        free = ~covered & stays & (there == BACKGROUND) & lacks
        here[covered], there[covered] = at[covered], number
        lacks[covered] = ~JOINED[number, _at(reference.shown_HW, at[covered], BACKGROUND)]
        here[free], lacks[free] = at[free], False
    _mark_left_behind(reference, Field(places, parts, unknown), _fringe_kernel(body))
    return Field(places, parts, unknown)


def _mark_left_behind(reference: Reference, field: Field, kernel: np.ndarray) -> None:
    """Mark as unknown, in place, what lay at the edge of a part that hid it and has moved away: clothes are wider than
    parts, and what is left of a sleeve is no trunk."""
    for number, hidden in reference.hidden.items():
        own = field.part_HW == number
        others = ~own & (field.part_HW != BACKGROUND) & ~JOINED[number, field.part_HW]
        beside = cv2.dilate(others.astype(np.uint8), kernel).astype(bool)
        at_edge = own & ~beside & ~field.unknown_HW
        field.unknown_HW[at_edge] = _at(hidden, field.source_HW2[at_edge], False)


def _source_places(here: Capsules, there: Capsules, number: int, cover: Cover) -> np.ndarray:
    """Where a part's target pixels lie in the source, (h, w, 2) float32, in whole 64ths of a pixel."""
    start, direction, length = bone(here, number)
    _, _, reached = bone(there, number)
    scale = here.height / there.height
    inside = np.clip(cover.along, 0, reached)
    along = inside * (length / reached) + (cover.along - inside) * scale
    low, high = np.abs(here.width_P2[number])
    half = low + (high - low) * (inside / reached)
    across = cover.across * half * (-1.0 if here.width_P2[number, 0] < 0 else 1.0)
    x = start[0] + along * direction[0] + across * direction[1]
    y = start[1] + along * direction[1] - across * direction[0]
    # A place far outside says no more than one just outside, and float32 would lose the 64ths of it.
    return np.clip(np.round(np.stack([x, y], -1) * SNAP) / SNAP, -(2**14), 2**14).astype(np.float32)


def _at(values_HW: np.ndarray, places: np.ndarray, elsewhere: int | bool) -> np.ndarray:
    """(...) values of a picture at (..., 2) places, the nearest pixel's; `elsewhere` outside of it."""
    height, width = values_HW.shape
    column, row = (np.round(places[..., axis]).astype(int) for axis in (0, 1))
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    return np.where(inside, values_HW[row.clip(0, height - 1), column.clip(0, width - 1)], elsewhere)

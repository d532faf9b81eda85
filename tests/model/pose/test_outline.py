"""The outline of a drawn dancer, grown by colour from her bones, is hers."""

import dataclasses

import numpy as np

from model.pose.outline import outline_of
from model.pose.warp import BACKGROUND, reference_of
from tests.model.pose.dancers import drawn

SHADOW = 20
"""8-bit levels by which a shadow changes the floor at most; she changes more."""


def overlaps(seed: int) -> tuple[float, float]:
    """Intersection over union with the truth: of the outline, and of her bare parts as the baseline."""
    shot, landmarks = drawn(seed, size=256)
    picture, empty = shot.draw(0), dataclasses.replace(shot, figures=(), places=()).draw(0)
    hers = np.abs(picture.astype(int) - empty).max(-1) > SHADOW
    parts = reference_of(landmarks[0], hers.shape).shown_HW != BACKGROUND
    both = outline_of(picture, landmarks[0]), parts
    outline, bare = (float((hers & found).sum() / (hers | found).sum()) for found in both)
    return outline, bare


def test_the_outline_of_drawn_dancers_is_nearer_to_the_truth_than_their_parts_are() -> None:
    measured = [overlaps(seed) for seed in range(7100, 7106)]
    assert np.mean([outline for outline, _ in measured]) > 0.8
    assert all(outline > bare for outline, bare in measured)


def test_the_same_picture_gives_the_same_outline_and_nobody_gives_no_bound() -> None:
    shot, landmarks = drawn(7100, size=256)
    assert np.array_equal(outline_of(shot.draw(0), landmarks[0]), outline_of(shot.draw(0), landmarks[0]))
    assert outline_of(shot.draw(0), np.full((33, 4), np.nan)).all()

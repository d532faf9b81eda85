"""Flashes, strobes and lamps on drawn dancers are no cuts; a cut is one, with a flash over it, too."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from pipeline.analysis.cuts import CutFinder
from pipeline.config import AnalysisConfig
from pipeline.synthetic.body.brush import Picture
from tests.pipeline.transitions import FLASHES, Light, Stage, cut, drawn, flashed

UNSEEN_SEED = 71300  # nothing was tuned on it
SIZES = ((256, 144), (144, 256), (200, 200))
FRAMES, AT = 60, 22


def stage(number: int, wall: int = 0) -> Stage:
    """A dancer: small or large, quick or not."""
    size, standing = SIZES[number % 3], (0.36, 0.55)[number % 2]
    return Stage(UNSEEN_SEED + number, size, wall=wall, tempo=(1.0, 1.5)[number // 2 % 2], standing=standing)


def light(kind: str, number: int) -> Light:
    """A flash of one to six frames."""
    rng = np.random.default_rng([UNSEEN_SEED, number])
    return Light(kind, AT, int(rng.integers(1, 7)), SIZES[number % 3], rng)


def cuts_in(pictures: Iterator[Picture]) -> list[int]:
    finder = CutFinder(AnalysisConfig())
    for picture in pictures:
        finder.add(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_BGR2YUV_I420))
    return finder.cuts()


@pytest.mark.soak
def test_flashes_of_drawn_dancers_are_no_cuts() -> None:
    found = {
        (kind, number): cuts_in(flashed(drawn(stage(number), FRAMES), light(kind, number)))
        for number, kind in enumerate(FLASHES * 3)
    }
    assert {case: cuts for case, cuts in found.items() if cuts} == {}


@pytest.mark.soak
def test_cuts_to_another_wall_stay_cuts_under_a_flash() -> None:
    found = []
    for number in range(20):
        pictures = cut(stage(number), stage(number, wall=1), AT, FRAMES, 40)
        plain = number % 2 == 0
        flash = Light("white", AT - 2, 4, SIZES[number % 3], np.random.default_rng(number))
        cuts = cuts_in(pictures if plain else flashed(pictures, flash))
        found.append(cuts == [AT] if plain else any(AT - 3 <= frame <= AT + 3 for frame in cuts))
    assert all(found), found

"""What is filled is a function of the picture alone, and what is not part of the fill is left as it was."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.clips.fill import common, fill_outside, refill

SIDES = st.integers(0, 47)


def picture(seed: int, width: int = 96, height: int = 96) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


@settings(deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 9))
def test_the_fill_depends_on_the_picture_and_on_nothing_else(l: int, t: int, r: int, b: int, seed: int) -> None:  # noqa: E741
    frame, region = picture(seed), (l, t, 96 - r, 96 - b)
    spoiled = picture(seed + 100)
    spoiled[t : 96 - b, l : 96 - r] = frame[t : 96 - b, l : 96 - r]
    filled = fill_outside(frame, region)
    assert np.array_equal(filled, fill_outside(spoiled, region))
    assert np.array_equal(filled[t : 96 - b, l : 96 - r], frame[t : 96 - b, l : 96 - r])
    assert np.array_equal(fill_outside(filled, region), filled)


def test_a_frame_without_filled_area_stays_what_it_is() -> None:
    frame = picture(0)
    assert fill_outside(frame, (0, 0, 96, 96)) is frame


def test_a_plain_wall_goes_on_beyond_the_picture() -> None:
    frame = np.zeros((80, 120, 3), np.uint8)
    frame[10:70, 40:90] = (200, 120, 40)
    filled = fill_outside(frame, (40, 10, 90, 70))
    assert np.abs(filled.astype(int) - [200, 120, 40]).max() <= 1


def test_frames_have_rectangles_of_their_own_or_one_for_all() -> None:
    frames = np.stack([picture(n) for n in range(3)])
    rows = np.array([[0, 0, 50, 96], [10, 0, 60, 96], [20, 4, 70, 90]])
    each = refill(frames, rows)
    assert all(np.array_equal(got, fill_outside(frame, tuple(row))) for got, frame, row in zip(each, frames, rows))
    assert np.array_equal(refill(frames, rows[:1])[2], fill_outside(frames[2], (0, 0, 50, 96)))
    assert common(rows) == (20, 4, 50, 90)


@pytest.mark.parametrize("region", [(0, 0, 2, 96), (94, 94, 96, 96)])
def test_a_sliver_of_a_picture_fills_everything(region: tuple[int, int, int, int]) -> None:
    assert fill_outside(picture(1), region).shape == (96, 96, 3)

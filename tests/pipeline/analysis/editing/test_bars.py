"""Bars are found where they are, and nowhere else."""

import cv2
import numpy as np
import pytest

from pipeline.analysis.editing.bars import picture_proper
from tests.pipeline.composites import framed, words

SAMPLES = 6


def room(height: int, width: int, moves: bool = False, seed: int = 3) -> np.ndarray:
    """(SAMPLES, height, width, 3): a textured wall with a dark box that walks before it."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 200, (height // 8, width // 8 + 8, 3)).astype(np.uint8)
    wall = cv2.resize(coarse, (width + 64, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    wall += rng.normal(0, 6, (height, width + 64, 1))
    frames = np.stack([wall[:, 9 * n * moves :][:, :width] for n in range(SAMPLES)])
    for n, frame in enumerate(frames):
        x = width // 3 + 4 * n
        frame[height // 4 : height - height // 8, x : x + width // 6] = (40, 60, 150)
    return np.clip(frames, 0, 255).astype(np.uint8)


def luma(frames: np.ndarray) -> np.ndarray:
    """Limited-range luma of blue, green, red."""
    grey = np.stack([cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in frames]).astype(np.float32)
    return (grey * 219 / 255 + 16).round().astype(np.uint8)


@pytest.mark.parametrize("moves", [False, True])
@pytest.mark.parametrize("place", ["sides", "above", "both"])
@pytest.mark.parametrize("fill", ["black", "white", "colour", "blurred"])
def test_the_picture_lies_within_the_bars_and_hardly_smaller(fill, place, moves):
    drawn = framed(room(240, 200, moves), place, fill, np.random.default_rng([5, len(fill), len(place)]))
    found, true = np.array(picture_proper(luma(drawn.frames))), np.array(drawn.picture)
    cut = (found - true) * [1, 1, -1, -1]
    assert (cut >= 0).all()
    assert (cut <= 3).all()


@pytest.mark.parametrize("moves", [False, True])
def test_a_picture_without_bars_stays_whole(moves):
    assert picture_proper(luma(room(240, 200, moves))) == (0, 0, 200, 240)


@pytest.mark.parametrize("ink", [0, 255])
def test_a_studio_of_one_colour_is_no_bar(ink):
    frames = np.full((SAMPLES, 240, 200, 3), ink, np.uint8)
    for n, frame in enumerate(frames):
        cv2.ellipse(frame, (90 + 5 * n, 120), (25, 80), 5 * n, 0, 360, (90, 120, 180), -1)
        cv2.circle(frame, (92 + 5 * n, 45), 16, (120, 150, 200), -1)
    assert picture_proper(luma(frames)) == (0, 0, 200, 240)


def test_a_dancer_who_reaches_into_a_white_wall_makes_it_no_bar():
    frames = room(240, 200)
    frames[:, :70] = 255
    for n, frame in enumerate(frames):
        cv2.line(frame, (100, 90), (100 + 8 * n, 10), (60, 80, 120), 8)
    assert picture_proper(luma(frames)).y0 == 0


def test_a_title_in_a_bar_does_not_end_it():
    drawn = framed(room(200, 240), "above", "white", np.random.default_rng(2))
    words("part 3", 14, np.random.default_rng(1), style=0).on(drawn.frames, 40, 12, 0, SAMPLES, "title")
    assert picture_proper(luma(drawn.frames)).y0 >= drawn.picture[1]


def test_flat_bars_of_a_colour_count_on_both_sides_alone():
    frames = room(240, 200)
    frames[:, :, :40] = (90, 160, 60)
    assert picture_proper(luma(frames)).x0 == 0
    frames[:, :, 160:] = (90, 160, 60)
    assert picture_proper(luma(frames)).x0 >= 40


def test_a_black_picture_has_no_bars():
    assert picture_proper(np.full((SAMPLES, 120, 100), 16, np.uint8)) == (0, 0, 100, 120)

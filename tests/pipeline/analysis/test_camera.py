"""Camera motion is the background's, whatever the dancer does."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analysis.camera import CameraTracker, background_mask, background_step, decompose

HEIGHT, WIDTH = 288, 512
CENTRE = np.array([WIDTH / 2, HEIGHT / 2])
BOX = np.array([[180.0, 40.0, 330.0, 280.0]])


def camera_step(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """One step of a fresh tracker."""
    return background_step(*CameraTracker(mask).follow(before, after), before.shape)


def scene() -> np.ndarray:
    """A large textured background, seeded."""
    rng = np.random.default_rng(4)
    coarse = cv2.resize(rng.integers(30, 220, (40, 60)).astype(np.uint8), (900, 600), interpolation=cv2.INTER_CUBIC)
    return np.clip(coarse + rng.normal(0, 4, coarse.shape), 0, 255).astype(np.uint8)


def similarity(zoom: float, degrees: float, x: float, y: float) -> np.ndarray:
    """(2, 3): zoom and turn about the middle of the picture, then a shift."""
    matrix = cv2.getRotationMatrix2D(CENTRE.tolist(), -degrees, zoom)
    return matrix + np.array([[0, 0, x], [0, 0, y]])


def view(affine: np.ndarray, dancer: int | None = None) -> np.ndarray:
    """The scene moved by an affine, with a textured foreground at an x if given."""
    start = np.array([[1, 0, -190], [0, 1, -150.0]])
    whole = np.vstack([affine, [0, 0, 1]]) @ np.vstack([start, [0, 0, 1]])
    picture = cv2.warpAffine(scene(), whole[:2], (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC)
    if dancer is not None:
        texture = np.random.default_rng(9).integers(0, 255, (20, 12)).astype(np.uint8)
        picture[60:260, dancer : dancer + 120] = cv2.resize(texture, (120, 200), interpolation=cv2.INTER_NEAREST)
    return picture


@settings(deadline=None, max_examples=25)
@given(st.floats(0.98, 1.02), st.floats(-2, 2), st.floats(-12, 12), st.floats(-12, 12))
def test_a_known_similarity_is_recovered_while_the_dancer_moves(zoom: float, turn: float, x: float, y: float) -> None:
    before, after = view(similarity(1, 0, 0, 0), dancer=195), view(similarity(zoom, turn, x, y), dancer=200)
    step = camera_step(before, after, background_mask((HEIGHT, WIDTH), BOX))
    translation, log_zoom, rotation = decompose(step[None], CENTRE)
    assert np.abs(translation[0] - [x, y]).max() < 0.35
    assert abs(np.exp(log_zoom[0]) - zoom) < 0.002
    assert abs(rotation[0] - turn) < 0.12


def test_a_long_pan_is_followed_step_by_step_on_the_same_corners() -> None:
    path = [similarity(1, 0, 3.0 * n, 0.5 * n) for n in range(12)]
    views = [view(affine, dancer=195 + 2 * n) for n, affine in enumerate(path)]
    tracker = CameraTracker(background_mask((HEIGHT, WIDTH), BOX))
    steps = np.array([background_step(*tracker.follow(a, b), a.shape) for a, b in pairwise(views)])
    translation, zoom, _ = decompose(steps, CENTRE)
    assert np.abs(translation - [3.0, 0.5]).max() < 0.1
    assert np.abs(zoom).max() < 0.001


def test_a_still_camera_measures_still_whatever_the_dancer_does() -> None:
    before, after = view(similarity(1, 0, 0, 0), dancer=190), view(similarity(1, 0, 0, 0), dancer=206)
    step = camera_step(before, after, background_mask((HEIGHT, WIDTH), BOX))
    translation, zoom, rotation = decompose(step[None], CENTRE)
    assert np.abs(translation).max() < 0.05
    assert abs(zoom[0]) < 0.0005
    assert abs(rotation[0]) < 0.02


def test_without_the_mask_a_large_dancer_is_taken_for_the_camera() -> None:
    """What the mask is for: this test fails if the mask is no longer asked."""
    flat = np.full((HEIGHT, WIDTH), 128, np.uint8)
    before, after = flat.copy(), flat.copy()
    texture = cv2.resize(np.random.default_rng(1).integers(0, 255, (20, 15)).astype(np.uint8), (150, 240))
    before[40:280, 180:330], after[40:280, 186:336] = texture, texture
    everywhere = np.full((HEIGHT, WIDTH), 255, np.uint8)
    assert abs(camera_step(before, after, everywhere)[0, 2] - 6) < 0.5
    assert np.isnan(camera_step(before, after, background_mask((HEIGHT, WIDTH), BOX))).all()


def test_a_background_without_texture_is_unknown_and_not_still() -> None:
    flat = np.full((HEIGHT, WIDTH), 128, np.uint8)
    assert np.isnan(camera_step(flat, flat, np.full_like(flat, 255))).all()


def test_two_pictures_of_different_scenes_are_unknown() -> None:
    other = cv2.flip(view(similarity(1.3, 40, 0, 0)), -1)
    step = camera_step(view(similarity(1, 0, 0, 0)), other, np.full((HEIGHT, WIDTH), 255, np.uint8))
    assert np.isnan(step).all()


def test_the_mask_covers_everybody_with_a_margin() -> None:
    mask = background_mask((100, 200), np.array([[20.0, 30, 40, 70], [150, -20, 230, 10]]))
    assert (mask[24:76, 14:46] == 0).all()
    assert mask[50, 100] == 255
    assert (mask[:10, 150:] == 0).all()
    assert mask[90, 190] == 255
    assert (background_mask((100, 200), np.empty((0, 4))) == 255).all()


@pytest.mark.parametrize("box", [[-50, -50, -20, -20], [300, 300, 400, 400]])
def test_somebody_outside_the_picture_masks_nothing(box: list[int]) -> None:
    assert (background_mask((100, 200), np.array([box], float)) == 255).mean() > 0.99


@settings(deadline=None)
@given(st.floats(0.9, 1.1), st.floats(-20, 20), st.floats(-50, 50), st.floats(-50, 50))
def test_a_similarity_comes_apart_into_what_it_was_made_of(zoom: float, turn: float, x: float, y: float) -> None:
    translation, log_zoom, rotation = decompose(similarity(zoom, turn, x, y)[None], CENTRE)
    assert np.allclose(translation, [[x, y]], atol=1e-6)
    assert np.allclose(np.exp(log_zoom), zoom)
    assert np.allclose(rotation, turn, atol=1e-6)

"""In a steadied picture the background stands, all of it is picture, and one finds the way back."""

import numpy as np
import pytest

from pipeline.clips.steadying.camera_path import affines_of, camera_path
from pipeline.clips.steadying.steady import HOLDS, Steady, corner_motion, held, moved
from tests.pipeline.clips.steadying.cameras import FRAMES, MIDDLE, SHAPE, measured, wandering

WINDOW = np.arange(10, 110)


def steadied(cameras: np.ndarray, hold_s: float = np.inf) -> Steady:
    analysis, _ = measured(cameras)
    path = camera_path(analysis, 0, FRAMES, MIDDLE)
    assert path is not None
    return held(path, analysis, (0, FRAMES), WINDOW, hold_s)


def background(cameras: np.ndarray, steady: Steady) -> np.ndarray:
    """(window, 5, 2) where five places of the world lie in the steadied picture."""
    world = np.array([[100.0, 100.0], [400, 150], [270, 480], [90, 900], [500, 800]])
    seen = moved(np.broadcast_to(world, (FRAMES, 5, 2)), affines_of(cameras, MIDDLE))
    return moved(seen[WINDOW], steady.at(WINDOW))


def test_the_background_of_a_held_camera_stands_still() -> None:
    cameras = wandering()
    places = background(cameras, steadied(cameras))
    assert np.abs(places - places[0]).max() < 1e-4
    assert np.abs(np.diff(affines_of(cameras, MIDDLE)[WINDOW, :, 2], axis=0)).mean() > 1


def test_a_gliding_hold_keeps_the_pan_and_takes_the_shake() -> None:
    cameras = wandering(shake=2.0, pan=2.0)
    places = background(cameras, steadied(cameras, HOLDS[1]))
    speed = np.diff(places[10:-10, 2, 0])
    assert speed.mean() == pytest.approx(2.0, abs=0.2)
    assert speed.std() < 0.4


def test_every_frame_shows_all_of_the_steadied_picture() -> None:
    steady = steadied(wandering(shake=6.0, pan=0.5))
    corners = np.array([[0, 0], [steady.size[0], 0], [0, steady.size[1]], [*steady.size]], float)
    seen = steady.in_source(np.broadcast_to(corners, (len(WINDOW), 4, 2)), WINDOW)
    assert seen.min() >= 0
    assert (seen <= [SHAPE[1], SHAPE[0]]).all()
    assert (steady.size % 2 == 0).all()
    assert 0.8 < steady.kept < 1


def test_other_frames_are_held_by_the_same_camera() -> None:
    steady = steadied(wandering())
    other = steady.over(np.arange(40, 60))
    assert (other.size >= steady.size).all(), "fewer frames lose less"
    point = np.array([[[123.0, 456.0, 7.0, 0.9]]])
    there, moved_on = (moved(point, one.at(np.array([45]))) for one in (steady, other))
    assert steady.shifted(there, other) == pytest.approx(moved_on)
    assert other.shifted(moved_on, steady) == pytest.approx(there)


def test_points_find_their_way_back_and_depth_is_scaled() -> None:
    steady = steadied(wandering())
    points = np.random.default_rng(1).uniform(0, 500, (len(WINDOW), 33, 4))
    there = moved(points, steady.at(WINDOW))
    assert steady.in_source(there, WINDOW) == pytest.approx(points)
    assert (there[..., 3] == points[..., 3]).all()
    assert not np.allclose(there[..., 2], points[..., 2])


def test_what_is_left_of_a_held_camera_is_nothing_and_boxes_go_along() -> None:
    cameras = wandering()
    analysis, _ = measured(cameras)
    boxed = type(analysis)(**{**analysis.__dict__, "look_frames": np.array([20]), "overlays_end": np.array([1]),
                              "overlays": np.array([[100, 200, 300, 250]], np.float32)})  # fmt: skip
    steady = steadied(cameras)
    shown = steady.analysis(boxed)
    assert corner_motion(shown.camera[10:109], np.zeros(2), np.array([500.0, 900.0])) < 1e-4
    corner = moved(np.array([[[100.0, 200.0], [300.0, 250.0]]]), steady.at(np.array([20])))[0].ravel()
    assert shown.overlays[0] == pytest.approx(corner, abs=2)
    assert steady.analysis(analysis).overlays.shape == (0, 4)


def test_a_samples_row_says_where_a_source_pixel_lies() -> None:
    steady = steadied(wandering())
    row = steady.row(WINDOW)
    a, b, x, c, d, y = row["from_source"][3]  # type: ignore[index]
    there = moved(np.array([[[100.0, 200.0]]]), steady.at(WINDOW[3:4]))[0, 0]
    assert [a * 100 + b * 200 + x, c * 100 + d * 200 + y] == pytest.approx(there, abs=1e-3)
    assert row["size"] == steady.size.tolist()

"""Scores measure what their names say."""

from fractions import Fraction

import numpy as np
import pytest

from pipeline.analysis.arrays import Analysis
from pipeline.clips.frame_grid import FrameGrid
from pipeline.clips.scores import camera_scores, clip_hash, duplicated, gone, motion_energy, out_of_frame
from tests.pipeline.people import dance, person
from tests.pipeline.videos import blank_analysis

SHAPE = (720, 1280)
MIDDLE = np.array([640.0, 360.0])
WINDOW = FrameGrid(0, np.arange(181), Fraction(30))


def moved(per_frame: np.ndarray, zoom: float = 1.0, every: int = 2) -> Analysis:
    """An analysis whose camera moves by (181, 2) pixels a frame and zooms about the middle."""
    analysis = blank_analysis(np.arange(181) / 30)
    pairs = np.array([[i, i + every] for i in range(0, 181 - every, every)])
    steps = np.zeros((len(pairs), 2, 3))
    for step, (a, b) in zip(steps, pairs, strict=True):
        scale = zoom ** (b - a)
        step[:, :2] = np.eye(2) * scale
        step[:, 2] = per_frame[a:b].sum(0) + MIDDLE - scale * MIDDLE
    return Analysis(**{**analysis.__dict__, "camera_frames": pairs, "camera": steps})


def scored(analysis: Analysis, scale: float = 1.0) -> dict[str, float]:
    found = camera_scores(analysis, WINDOW, MIDDLE, scale)
    return {name: float(value) for name, value in found.items() if value is not None}


def test_a_still_camera_scores_nothing() -> None:
    assert scored(moved(np.zeros((181, 2)))) == pytest.approx(
        {"cam_translation": 0, "cam_zoom": 0, "cam_rotation": 0, "cam_shake": 0}, abs=1e-9
    )


def test_a_steady_pan_is_translation_and_no_shake() -> None:
    found = scored(moved(np.tile([3.0, 4.0], (181, 1))))
    assert found["cam_translation"] == pytest.approx(5)
    assert found["cam_shake"] == pytest.approx(0, abs=1e-6)
    assert scored(moved(np.tile([3.0, 4.0], (181, 1))), scale=0.5)["cam_translation"] == pytest.approx(2.5)


def test_shaking_hands_are_shake() -> None:
    shaking = np.random.default_rng(0).normal(0, 3, (181, 2))
    assert scored(moved(shaking, every=1))["cam_shake"] > 1.5


def test_a_zoom_is_stated_in_per_cent_a_frame() -> None:
    found = scored(moved(np.zeros((181, 2)), zoom=1.005))
    assert found["cam_zoom"] == pytest.approx(0.5, rel=0.01)
    assert found["cam_translation"] == pytest.approx(0, abs=1e-6)


def test_a_camera_that_cannot_be_tracked_is_unknown_and_not_still() -> None:
    analysis = moved(np.zeros((181, 2)))
    analysis.camera[:] = np.nan
    assert set(camera_scores(analysis, WINDOW, MIDDLE, 1.0).values()) == {None}


def test_motion_outside_the_clip_does_not_count() -> None:
    per_frame = np.zeros((181, 2))
    per_frame[100:] = 50
    found = camera_scores(moved(per_frame), FrameGrid(0, np.arange(90), Fraction(30)), MIDDLE, 1.0)
    assert found["cam_translation"] == pytest.approx(0, abs=1e-9)


def test_a_dancer_in_the_picture_is_not_out_of_it() -> None:
    found = out_of_frame(dance(40, 640, 650, 400), np.ones(40, bool), SHAPE, upper=False)
    assert found == {"out_of_frame": 0, "out_of_frame_joints": 0, "no_pose": 0}


def test_frames_in_which_the_dancer_has_left_are_counted() -> None:
    landmarks = np.stack([person(640 if t < 30 else 1400, 650, 400) for t in range(40)])
    found = out_of_frame(landmarks, np.ones(40, bool), SHAPE, upper=False)
    assert found["out_of_frame"] == pytest.approx(0.25)
    assert found["out_of_frame_joints"] == pytest.approx(0.25)


def test_a_dancer_who_vanishes_at_the_border_has_left_and_one_in_the_middle_is_only_lost() -> None:
    known = np.arange(40) < 30
    left = np.stack([person(min(640 + 30 * t, 1240), 650, 400) for t in range(40)])
    assert out_of_frame(left, known, SHAPE, upper=False)["out_of_frame"] == pytest.approx(0.25, abs=0.05)
    lost = out_of_frame(dance(40, 640, 500, 300), known, SHAPE, upper=False)
    assert (lost["out_of_frame"], lost["no_pose"]) == (0, 0.25)


def test_legs_are_not_asked_for_where_the_framing_is_upper() -> None:
    landmarks = dance(40, 640, 900, 600)
    known = np.ones(40, bool)
    assert out_of_frame(landmarks, known, SHAPE, upper=False)["out_of_frame"] == 1
    assert out_of_frame(landmarks, known, SHAPE, upper=True)["out_of_frame"] == 0


def test_gone_looks_both_ways() -> None:
    known = np.array([False, False, True, True, False, False, True])
    near = np.array([False, False, False, True, False, False, False])
    assert gone(known, near, near).tolist() == [False, False, False, False, True, True, False]
    at_start = np.array([False, False, True, False, False, False, False])
    assert gone(known, at_start, at_start).tolist() == [True, True, False, False, False, False, False]


@pytest.mark.parametrize("step", [1, 2])
def test_repeated_frames_are_shares_of_the_clips_steps(step: int) -> None:
    change = np.full(100, 9.0)
    frames = np.arange(10, 10 + 20 * step + 1, step)
    assert duplicated(change, frames, 1.0) == 0
    for i in range(4):
        change[frames[i * 5] + 1 : frames[i * 5 + 1] + 1] = 0.2
    assert duplicated(change, frames, 1.0) == pytest.approx(0.2)


def test_a_half_repeated_step_is_no_repetition() -> None:
    change = np.tile([9.0, 0.1], 50)
    assert duplicated(change, np.arange(0, 80, 2), 1.0) == 0
    assert duplicated(change, np.arange(0, 81), 1.0) == pytest.approx(0.5, abs=0.02)


def test_what_follows_the_clip_does_not_count() -> None:
    change = np.full(100, 9.0)
    change[:51] = 0.1
    assert duplicated(change, np.arange(0, 51), 1.0) == 1


def test_motion_energy_is_mean_joint_speed_between_known_frames() -> None:
    landmarks = np.stack([person(300 + 3 * t, 650, 400) for t in range(40)])
    known = np.ones(40, bool)
    assert motion_energy(landmarks, known, 1.0) == pytest.approx(3)
    assert motion_energy(landmarks, known, 0.5) == pytest.approx(1.5)
    landmarks[20:] += 500
    known[19:21] = False
    assert motion_energy(landmarks, known, 1.0) == pytest.approx(3)
    assert motion_energy(landmarks, np.zeros(40, bool), 1.0) is None


def test_hashes_of_near_duplicates_are_near_and_of_other_dances_far() -> None:
    rng = np.random.default_rng(0)
    thumb = np.clip(np.cumsum(np.cumsum(rng.normal(0, 6, (32, 32)), 0), 1) / 4 + 120, 0, 255).astype(np.uint8)
    one = clip_hash(thumb, dance(181, 300, 600, 400, seed=1))
    noisy = np.clip(thumb + rng.normal(0, 2, thumb.shape), 0, 255).astype(np.uint8)
    again = clip_hash(noisy, dance(181, 320, 620, 410, seed=1))
    other = clip_hash(thumb[::-1, ::-1], dance(181, 300, 600, 400, seed=7))
    assert (one ^ again).bit_count() <= 6
    assert (one ^ other).bit_count() > 12
    assert 0 <= one < 2**64

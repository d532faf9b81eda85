"""Travel along paths: what it must not depend on, and what jitter must not add."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analysis.paths import jitter, smoothed, travel
from pipeline.analysis.pose import JOINTS, MIRROR
from pipeline.analysis.pose_metrics import BURSTS, joint_motion

FRAMES = 150
SEEDS = st.integers(0, 10_000)


def body(seed: int, speed: float = 1.0, noise: float = 0.0, frames: int = FRAMES) -> np.ndarray:
    """(frames, 33, 4) landmarks of a body of about 200 pixels whose joints swing, with white noise."""
    rng = np.random.default_rng(seed)
    place = rng.uniform(100, 400, (JOINTS, 2))
    swing, phase = rng.uniform(0, 40, (JOINTS, 2)), rng.uniform(0, 6, (JOINTS, 2))
    rate = rng.uniform(0.4, 1.2, (JOINTS, 2)) * 2 * np.pi / 30
    at = place + swing * np.sin(speed * rate * np.arange(frames)[:, None, None] + phase)
    at += np.random.default_rng(seed + 1).normal(0, noise, at.shape) if noise else 0
    return np.concatenate([at, np.zeros((frames, JOINTS, 1)), np.ones((frames, JOINTS, 1))], -1)


def mean(landmarks: np.ndarray, fps: float = 30.0) -> float:
    return float(np.nanmean(joint_motion(landmarks, fps)))


@given(SEEDS, st.floats(0, 3))
@settings(max_examples=25)
def test_a_dance_backwards_moves_as_much(seed: int, noise: float) -> None:
    landmarks = body(seed, noise=noise)
    there, back = joint_motion(landmarks, 30), joint_motion(landmarks[::-1], 30)
    assert back[1:][::-1] == pytest.approx(there[1:], rel=1e-6, abs=1e-9)


@given(SEEDS, st.floats(0, 3))
@settings(max_examples=25)
def test_a_mirrored_dance_moves_as_much(seed: int, noise: float) -> None:
    landmarks = body(seed, noise=noise)
    flipped = landmarks[:, MIRROR].copy()
    flipped[..., 0] = 512 - flipped[..., 0]
    assert mean(flipped) == pytest.approx(mean(landmarks), rel=1e-6)


@given(SEEDS, st.floats(0.1, 10), st.floats(-1000, 1000))
@settings(max_examples=25)
def test_a_larger_body_elsewhere_moves_as_much(seed: int, scale: float, shift: float) -> None:
    landmarks = body(seed, noise=1)
    other = landmarks.copy()
    other[..., :2] = scale * other[..., :2] + shift
    assert mean(other) == pytest.approx(mean(landmarks), rel=1e-6)


@given(SEEDS, st.floats(1, 120))
def test_motion_is_told_per_second(seed: int, fps: float) -> None:
    landmarks = body(seed)
    assert mean(landmarks, fps) == pytest.approx(fps / 30 * mean(landmarks), rel=1e-6)


@given(SEEDS, st.floats(0, 4))
@settings(max_examples=25)
def test_half_the_speed_is_half_the_motion_with_and_without_white_jitter(seed: int, noise: float) -> None:
    whole, half = mean(body(seed, 1.0, noise)), mean(body(seed, 0.5, noise, 2 * FRAMES))
    assert 0.4 <= half / whole <= 0.6
    assert mean(body(seed, 0.25, noise, 4 * FRAMES)) < half < whole < mean(body(seed, 1.5, noise))


@given(SEEDS, st.floats(0, 10))
@settings(max_examples=25)
def test_white_jitter_alone_is_no_motion(seed: int, noise: float) -> None:
    assert mean(body(seed, 0.0, noise)) <= 0.05 * mean(body(seed))


@given(SEEDS, st.floats(0, 4))
@settings(max_examples=25)
def test_white_jitter_adds_nothing_to_a_dance(seed: int, noise: float) -> None:
    assert mean(body(seed, 1.0, noise)) <= 1.05 * mean(body(seed))


@given(SEEDS, st.floats(0.1, 20), st.sampled_from([0.5, BURSTS]))
def test_the_jitter_of_a_slow_path_is_its_noises_standard_deviation(seed: int, noise: float, quantile: float) -> None:
    slow = 50 * np.sin(np.arange(600) / 20)[:, None, None] * np.ones((1, 1, 2))
    noisy = slow + np.random.default_rng(seed).normal(0, noise, slow.shape)
    assert jitter(noisy, quantile) == pytest.approx([noise], rel=0.25)


def test_frames_that_are_repeated_are_no_jitter() -> None:
    path = 100 * np.sin(np.arange(100) / 8)[:, None, None] * np.ones((1, 1, 2))
    assert jitter(path.repeat(2, 0), 0.5) == pytest.approx(jitter(path, 0.5), rel=0.05)


def test_what_stays_within_the_radius_travels_nothing_and_a_line_travels_its_length_but_once_the_radius() -> None:
    small = np.sin(np.arange(50))[:, None, None] * np.array([0.5, 0.5])
    assert np.nansum(travel(small, np.array([1.5]))) == 0
    line = np.linspace(0, 10, 21)[:, None, None] * np.array([0.6, 0.8])
    assert np.nansum(travel(line, np.array([1.0]))) == pytest.approx(9)
    assert np.nansum(travel(line, np.zeros(1))) == pytest.approx(10)


def test_unknown_frames_have_no_motion_and_add_none() -> None:
    landmarks = body(0)
    whole = joint_motion(landmarks, 30)
    landmarks[60:70] = np.nan
    gap = joint_motion(landmarks, 30)
    assert np.flatnonzero(np.isnan(gap)).tolist() == [0, *range(60, 71)]
    known = np.isfinite(gap)
    assert gap[known] == pytest.approx(whole[known], abs=0.5)
    assert np.nanmean(gap) == pytest.approx(np.nanmean(whole[known]), rel=0.05)


def test_who_is_found_now_and_then_has_no_motion() -> None:
    landmarks = body(0)
    landmarks[np.arange(len(landmarks)) % 3 > 0] = np.nan
    assert np.isnan(joint_motion(landmarks, 30)).all()


@pytest.mark.parametrize("frames", [1, 2, 4, 5, 9])
def test_few_frames_and_nobody_at_all_are_measured_without_a_word(frames: int) -> None:
    landmarks = body(0, frames=frames)
    assert np.isnan(joint_motion(landmarks, 30)).tolist() == [True] + [False] * (frames - 1)
    assert np.isnan(joint_motion(np.full_like(landmarks, np.nan), 30)).all()
    alone = landmarks.copy()
    alone[1:] = np.nan
    assert np.isnan(joint_motion(alone, 30)).all()


def test_what_lasts_one_frame_is_smoothed_away() -> None:
    path = np.zeros((20, 1, 2))
    path[7] = 100
    assert not smoothed(path).any()

"""A body's numbers are its landmarks again; bones are never longer than hers, whatever the numbers say."""

import numpy as np
import pytest

from model.choreography.rig import BONES, SIZE, body_of_dance, body_of_pose, mirrored, to_landmarks, to_numbers
from model.errors import PoseError
from pipeline.analysis.pose import MIRROR
from tests.model.dataset import dancing_joints

DANCE = dancing_joints(60, 200, 3).astype(float)


def bone_lengths(landmarks: np.ndarray) -> np.ndarray:
    middle = [landmarks[:, pair].mean(1, keepdims=True) for pair in ((23, 24), (11, 12))]
    whole = np.concatenate([landmarks, *middle], 1)
    return np.stack([np.linalg.norm(whole[:, a, :2] - whole[:, b, :2], axis=-1) for a, b in BONES], 1)


def test_numbers_are_the_landmarks_again():
    body = body_of_pose(DANCE[0], 200, np.full(len(BONES), 2.0))
    again = to_landmarks(to_numbers(DANCE, body), body)
    assert to_numbers(DANCE, body).shape == (60, SIZE)
    assert np.allclose(again, DANCE, atol=1e-6)


def test_a_bone_is_never_longer_than_the_start_s():
    body = body_of_pose(DANCE[0], 200, np.full(len(BONES), 0.1))
    wild = to_numbers(DANCE, body) * np.random.default_rng(0).uniform(0.5, 3, (60, SIZE))
    assert (bone_lengths(to_landmarks(wild, body)) <= body.bones * 1.001).all()


def test_size_place_and_build_leave_no_trace_in_the_numbers():
    moved = DANCE.copy()
    moved[..., :3] *= 1.7
    one, other = (to_numbers(dance, body_of_dance(dance, width)) for dance, width in ((DANCE, 200), (moved, 340)))
    assert np.allclose(one, other, atol=1e-6)


def test_mirrored_numbers_are_those_of_the_mirrored_dance():
    other = DANCE[:, MIRROR].copy()
    other[..., 0] = 200 - other[..., 0]
    body, its = body_of_dance(DANCE, 200), body_of_dance(other, 200)
    assert np.allclose(mirrored(to_numbers(DANCE, body)), to_numbers(other, its), atol=1e-6)
    assert np.allclose(mirrored(mirrored(to_numbers(DANCE, body))), to_numbers(DANCE, body))


def test_a_start_without_a_body_or_of_another_layout_is_refused_in_one_sentence():
    lost = DANCE[0].copy()
    lost[27] = np.nan
    with pytest.raises(PoseError, match="lacks a main joint: choose a picture that shows the whole person"):
        body_of_pose(lost, 200, np.ones(len(BONES)))
    with pytest.raises(PoseError, match="expected \\(33, 4\\)"):
        body_of_pose(DANCE[0, :17], 200, np.ones(len(BONES)))

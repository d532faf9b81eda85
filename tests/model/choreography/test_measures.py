"""The measures say what they are for, of dances whose truth is known."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from model.choreography import measures
from model.choreography.contacts import planted, standing
from model.choreography.dances import StoredDance
from model.choreography.measures import body_of, steadiness
from tests.model.dataset import dancing_joints

RATE = Fraction(30)


def dance(seed: int = 0, frames: int = 240) -> StoredDance:
    return StoredDance(dancing_joints(frames, 200, seed).astype(float), RATE, None, (200, 200))


def rocking(frames: int = 300) -> StoredDance:
    """Somebody who rocks to and fro once a second, at rest on every half of one."""
    pose = dancing_joints(1, 200, 0).astype(float)
    landmarks = pose.repeat(frames, 0)
    landmarks[..., 0] += 10 * np.cos(2 * np.pi * np.arange(frames) / 30)[:, None]
    return StoredDance(landmarks, RATE, np.arange(0, 10, 0.5), (200, 200))


def test_a_still_picture_has_frozen_and_skates_nowhere():
    moving = dance()
    still = replace(moving, landmarks=moving.landmarks[:1].repeat(240, 0))
    frozen, alive = (steadiness(one, body_of(one)) for one in (still, moving))
    assert frozen.speed == frozen.skate == frozen.pfc == frozen.least == 0
    assert alive.least > measures.FROZEN


def test_a_second_of_standing_still_is_found():
    moving = dance()
    landmarks = moving.landmarks.copy()
    landmarks[100:140] = landmarks[100]
    assert steadiness(replace(moving, landmarks=landmarks), body_of(moving)).least < measures.FROZEN


def test_joints_beyond_the_edge_and_limbs_that_grow_are_counted():
    one = dance()
    landmarks = one.landmarks.copy()
    landmarks[60:120, 15, 0] = -20
    found = steadiness(replace(one, landmarks=landmarks), body_of(one))
    assert found.outside == pytest.approx(0.25)
    assert found.limbs > 0.5


def test_beat_alignment_is_high_on_the_beats_and_low_between():
    on, off = measures.alignment(rocking()), measures.alignment(rocking(), shift=0.5)
    assert on is not None
    assert off is not None
    assert on > 0.9
    assert off < 0.1
    assert measures.alignment(dance()) is None


def test_frechet_distance_tells_slow_from_fast_and_a_set_from_itself():
    slow, fast = dance(1), replace(dance(1), landmarks=dance(1, 480).landmarks[::2])
    features = [measures.kinetic_features(one, body_of(one)) for one in (slow, fast)]
    assert features[0].shape == (2, 26)
    assert measures.feature_distance(features[0], features[0]) == pytest.approx(0, abs=1e-6)
    assert measures.feature_distance(features[1], features[0]) > 1
    assert measures.geometric_features(slow, body_of(slow)).shape == (2, 52)


def test_a_sliding_foot_is_planted_and_its_skate_is_gone():
    landmarks = dancing_joints(1, 200, 0).astype(float).repeat(240, 0)
    landmarks[:, (27, 29, 31), 0] += np.linspace(0, 10, 240)[:, None]
    body = body_of(StoredDance(landmarks, RATE, None, (200, 200)))
    assert standing(landmarks, 30, body).all()
    assert measures.foot_skate(planted(landmarks, 30, body), 30, body) < 0.1 * measures.foot_skate(landmarks, 30, body)


def test_feet_that_move_while_the_body_is_pushed_make_the_contact_worse():
    one = rocking()
    landmarks = one.landmarks.copy()
    landmarks[:, 27:33, 0] = landmarks[:1, 27:33, 0]
    planted_feet = steadiness(replace(one, landmarks=landmarks), body_of(one))
    assert planted_feet.pfc < 0.1 * steadiness(one, body_of(one)).pfc

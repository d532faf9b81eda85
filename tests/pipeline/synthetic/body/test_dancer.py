"""Bodies and dances: bones keep their length, feet stand, sides are the person's own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.synthetic.body.dancer import FOREARM, SHIN, THIGH, UPPER_ARM, Array, Skeleton, pose_body, random_body
from pipeline.synthetic.dances import random_dance
from pipeline.synthetic.performance import perform

TIMES = np.arange(0, 8, 1 / 30)


def dance(seed: int, speed: float = 0.0) -> Skeleton:
    rng = np.random.default_rng(seed)
    body, moves = random_body(rng), random_dance(rng, 8.0)
    return pose_body(body, perform(moves, TIMES, lambda seconds: speed * seconds))


def length(skeleton: Skeleton, first: str, second: str) -> Array:
    return np.asarray(np.linalg.norm(skeleton.points[first] - skeleton.points[second], axis=1))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["left", "right"]))
def test_bones_keep_their_length(seed: int, side: str) -> None:
    skeleton = dance(seed)
    bones = {
        ("hip", "knee"): THIGH,
        ("knee", "ankle"): SHIN,
        ("shoulder", "elbow"): UPPER_ARM,
        ("elbow", "wrist"): FOREARM,
    }
    for (first, second), bone in bones.items():
        np.testing.assert_allclose(length(skeleton, f"{side}_{first}", f"{side}_{second}"), bone, rtol=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_a_dancer_moves_smoothly_and_stays_above_the_floor(seed: int) -> None:
    skeleton = dance(seed)
    for name, point in skeleton.points.items():
        assert point[:, 1].min() > -0.03, name
        step = np.linalg.norm(np.diff(point, axis=0), axis=1)
        assert step.max() < 0.16, name  # of the standing height in a thirtieth of a second
    assert np.ptp(skeleton.points["left_wrist"], axis=0).max() > 0.1


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_one_foot_at_least_stands_still_at_every_moment(seed: int) -> None:
    rng = np.random.default_rng(seed)
    random_body(rng)
    feet = perform(random_dance(rng, 8.0), TIMES, lambda seconds: 0 * seconds).feet
    speeds = [np.linalg.norm(np.diff(place[:, [0, 2]], axis=0), axis=1) for place in feet.values()]
    assert np.min(speeds, axis=0).max() < 1e-3


def test_the_left_hand_of_who_faces_the_viewer_is_on_the_pictures_right() -> None:
    shoulders = dance(1).points["left_shoulder"][:, 0] - dance(1).points["right_shoulder"][:, 0]
    assert np.mean(shoulders > 0) > 0.95


@pytest.mark.parametrize("speed", [-0.8, 0.8])
def test_who_walks_looks_where_the_path_leads_and_follows_it(speed: float) -> None:
    skeleton = dance(2, speed)
    pelvis = skeleton.points["pelvis"][:, 0]
    assert (pelvis[-1] - pelvis[0]) == pytest.approx(speed * (TIMES[-1] - TIMES[0]), abs=0.2)
    ahead = skeleton.frames["pelvis"][:, 0, 2]
    assert np.all(ahead * speed > 0)

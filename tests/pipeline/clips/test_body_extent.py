"""How tall and how far: sizes by segments, and paths of bounded speed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analysis.pose import BODY_PER_HEIGHT
from pipeline.clips.body_extent import bounded_speed, extent, standing_height
from tests.pipeline.people import dance


@given(st.integers(2, 60), st.floats(0.1, 30), st.integers(0, 9))
def test_a_bounded_path_is_bounded_and_a_slow_path_is_left_alone(count: int, most: float, seed: int) -> None:
    path = np.random.default_rng(seed).normal(0, 20, (count, 2)).cumsum(0)
    bounded = bounded_speed(path, most)
    assert np.abs(np.diff(bounded, axis=0)).max() <= most + 1e-9
    assert np.allclose(bounded_speed(path, 1e6), path)


def test_body_size_is_measured_by_segments_and_survives_crouching() -> None:
    standing = dance(40, 500, 900, 400)
    assert standing_height(standing) == pytest.approx(400, rel=0.06)
    assert 0.7 < BODY_PER_HEIGHT < 0.8
    crouching = standing.copy()
    crouching[:13, :23, 1] += 60
    assert standing_height(crouching) == pytest.approx(standing_height(standing), rel=0.02)


def test_the_extent_holds_the_crown_and_nearly_every_joint() -> None:
    landmarks = dance(181, 500, 900, 400, swing=0.2)
    low, high = extent(landmarks, 400)
    inside = ((landmarks[..., :2] >= low) & (landmarks[..., :2] <= high)).all(-1)
    assert inside.mean() > 0.99
    assert low[1] < landmarks[:, 0, 1].min()

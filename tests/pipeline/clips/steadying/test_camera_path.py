"""A path is the sum of its steps; what little is missing is bridged, what much is missing is said."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.clips.steadying.camera_path import MAX_LOST, affines_of, camera_path, cameras_of
from tests.pipeline.clips.steadying.cameras import FRAMES, MIDDLE, measured, wandering


def test_a_path_leads_where_the_camera_went() -> None:
    cameras = wandering()
    analysis, _ = measured(cameras)
    path = camera_path(analysis, 0, FRAMES, MIDDLE)
    assert path is not None
    assert path.at(analysis.pts) == pytest.approx(cameras, abs=1e-6)
    assert path.knows(0, FRAMES - 1)
    assert not path.knows(0, FRAMES)


def test_a_similarity_is_told_by_four_numbers() -> None:
    cameras = np.array([[0.1, 0.2, 3.0, -4.0], [0.0, -3.0, 0.0, 0.0]])
    assert cameras_of(affines_of(cameras, MIDDLE), MIDDLE) == pytest.approx(cameras)


def test_frames_between_measured_ones_lie_between_them() -> None:
    smooth = np.zeros((FRAMES, 4))
    smooth[:, 3] = 5 * np.sin(np.arange(FRAMES) / 9)
    analysis, _ = measured(smooth[::2], rate=12.5)
    analysis = replace(analysis, pts=np.arange(FRAMES) / 25, camera_frames=analysis.camera_frames * 2)
    path = camera_path(analysis, 0, FRAMES, MIDDLE)
    assert path is not None
    assert path.at(analysis.pts)[:-1] == pytest.approx(smooth[:-1], abs=0.05)


@pytest.mark.parametrize("lost", [MAX_LOST, MAX_LOST + 1])
def test_a_step_or_two_that_are_unknown_are_bridged_and_more_are_not(lost: int) -> None:
    pan = np.zeros((FRAMES, 4))
    pan[:, 2] = np.arange(FRAMES)
    analysis, _ = measured(pan)
    analysis.camera[50 : 50 + lost] = np.nan
    path = camera_path(analysis, 0, FRAMES, MIDDLE)
    assert path is not None
    assert path.knows(0, FRAMES - 1) == (lost <= MAX_LOST)
    assert path.knows(0, 50)
    assert path.knows(50 + lost, FRAMES - 1)
    assert path.at(analysis.pts) == pytest.approx(pan, abs=1e-6)


def test_where_nothing_was_measured_there_is_no_path() -> None:
    analysis, _ = measured(wandering())
    analysis.camera[:] = np.nan
    assert camera_path(analysis, 0, FRAMES, MIDDLE) is None
    assert camera_path(analysis, 0, 2, MIDDLE) is None

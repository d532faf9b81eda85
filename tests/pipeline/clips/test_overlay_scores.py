"""Overlays are scored by the area of the clip and of the dancer that they cover."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from pipeline.clips.crop import Crop
from pipeline.clips.frame_grid import FrameGrid
from pipeline.clips.overlay_scores import overlay_scores, share_covered
from tests.pipeline.people import dance
from tests.pipeline.videos import blank_analysis

GRID = FrameGrid(0, np.arange(20, 60), Fraction(25))
LANDMARKS = dance(40, 500, 900, 600, swing=0)


def analysis(boxes: list[list[float]], at: int = 40):
    """One look with these boxes."""
    found = np.array(boxes, np.float32).reshape(-1, 4)
    blank = blank_analysis(np.arange(100) / 25)
    return replace(blank, look_frames=np.array([at]), overlays_end=np.array([len(found)]), overlays=found)


def test_a_caption_counts_by_its_share_of_the_crop():
    crop = Crop(np.array([[0, 0]]), 1000, 1000, "full")
    measured = overlay_scores(analysis([[0, 900, 1000, 1000]]), GRID, LANDMARKS, (1920, 1080), crop)
    assert measured["overlay"] == pytest.approx(0.1, abs=0.01)
    assert measured["overlay_dancer"] == 0


def test_what_lies_outside_of_the_crop_is_not_in_the_clip():
    crop = Crop(np.array([[0, 0]]), 800, 800, "full")
    measured = overlay_scores(analysis([[900, 0, 1080, 60]]), GRID, LANDMARKS, (1920, 1080), crop)
    assert measured == {"overlay": 0.0, "overlay_dancer": 0.0}


def test_boxes_that_overlap_count_once_and_a_caption_over_the_dancer_counts_there():
    crop = Crop(np.array([[0, 200]]), 1000, 1000, "full")
    measured = overlay_scores(analysis([[0, 500, 1000, 700], [0, 500, 1000, 700]]), GRID, LANDMARKS, (1920, 1080), crop)
    assert measured["overlay"] == pytest.approx(0.2, abs=0.01)
    assert 0.2 < measured["overlay_dancer"] < 0.6


def test_the_nearest_look_of_the_shot_counts_where_none_lies_in_the_clip():
    caption, crop = [[0, 900, 1000, 1000]], Crop(np.array([[0, 0]]), 1000, 1000, "full")
    before = analysis(caption, at=10)
    assert overlay_scores(before, GRID, LANDMARKS, (1920, 1080), crop)["overlay"] == pytest.approx(0.1, abs=0.01)
    cut = replace(before, cuts=np.array([15]))
    assert overlay_scores(cut, GRID, LANDMARKS, (1920, 1080), crop) == {"overlay": None, "overlay_dancer": None}


def test_nothing_is_covered_by_no_boxes():
    assert share_covered(np.empty((0, 4)), np.array([0.0, 0, 10, 10])) == 0

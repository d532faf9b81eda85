"""From an analysis to clips."""

import dataclasses

import numpy as np
import pytest

from data_catalog.base.errors import RejectedError
from pipeline.analysis.arrays import Analysis
from pipeline.clips.make_clips import make_clips
from pipeline.config import BuildConfig, ClipConfig
from tests.pipeline.people import dance
from tests.pipeline.videos import blank_analysis

SHAPE = (1000, 1000)
CONFIG = BuildConfig(clips=ClipConfig(frames=25))


def danced(frames: int = 110, cuts: tuple[int, ...] = (), rate: float = 25, every: int = 4, y: float = 800) -> Analysis:
    """One dancer in each detection."""
    blank = blank_analysis(np.arange(frames) / rate, cuts, every)
    landmarks = dance(frames, 500, y, 400)[blank.pose_frames].astype(np.float32)
    return dataclasses.replace(blank, landmarks=landmarks, people_end=np.arange(1, len(landmarks) + 1))


def test_clips_tile_each_shot_and_none_spans_a_cut() -> None:
    clips = list(make_clips("f" * 64, danced(cuts=(30, 82)), SHAPE, CONFIG, "abcdef0123", None))
    assert [(c.row["shot"], c.row["first_frame"]) for c in clips] == [(0, 2), (1, 31), (1, 56), (2, 83)]
    assert [c.row["start_s"] for c in clips] == pytest.approx([0.08, 1.24, 2.24, 3.32])
    assert [c.row["end_s"] - c.row["start_s"] for c in clips] == pytest.approx([1.0] * 4)
    assert all((c.row["fps"], c.row["step"], c.row["frames"]) == (25, 1, 25) for c in clips)


def test_a_transition_gives_no_clip_however_short_clips_are() -> None:
    dissolved = dataclasses.replace(danced(cuts=(30, 58)), transitions=np.array([[30, 58]]))
    clips = list(make_clips("f" * 64, dissolved, SHAPE, CONFIG, "abcdef0123", None))
    assert [(c.row["shot"], c.row["first_frame"]) for c in clips] == [(0, 2), (2, 59), (2, 84)]


def test_ids_are_stable_unique_and_hold_no_dot() -> None:
    ids = [c.clip_id for c in make_clips("f" * 64, danced(), SHAPE, CONFIG, "abcdef0123", None)]
    assert len(set(ids)) == len(ids) == 4
    assert not any("." in name for name in ids)
    assert ids == [c.clip_id for c in make_clips("f" * 64, danced(), SHAPE, CONFIG, "abcdef0123", None)]


def test_only_the_wanted_clips_are_made_and_they_are_the_same() -> None:
    every = list(make_clips("f" * 64, danced(), SHAPE, CONFIG, "abcdef0123", None))
    (one,) = make_clips("f" * 64, danced(), SHAPE, CONFIG, "abcdef0123", {every[2].clip_id})
    assert one.row == every[2].row
    assert np.array_equal(one.landmarks, every[2].landmarks)


def test_a_dancer_who_cannot_be_aligned_keeps_the_clip_and_its_scores_with_the_reason() -> None:
    clips = list(make_clips("f" * 64, danced(y=800), (1000, 90), CONFIG, "abcdef0123", None))
    assert {c.row["align_reason"] for c in clips} == {"crop_outside_picture"}
    assert all(c.crop is None and c.row["crop_side"] is None for c in clips)
    assert all(c.row["no_pose"] == 0 for c in clips)


def test_a_source_without_people_is_rejected_as_such() -> None:
    with pytest.raises(RejectedError) as caught:
        list(make_clips("f" * 64, blank_analysis(np.arange(100) / 25), SHAPE, CONFIG, "abcdef0123", None))
    assert caught.value.code == "no_dancer"


def test_a_source_whose_shots_are_all_too_short_is_rejected_as_such() -> None:
    with pytest.raises(RejectedError) as caught:
        list(make_clips("f" * 64, danced(60, cuts=(20, 40)), SHAPE, CONFIG, "abcdef0123", None))
    assert caught.value.code == "too_short"
    assert "longest shot of 3 has 20 frames" in caught.value.detail


def test_clips_shorter_than_the_time_between_detections_are_made_too() -> None:
    config = BuildConfig(clips=ClipConfig(frames=3))
    clips = list(make_clips("f" * 64, danced(60, every=12), SHAPE, config, "abcdef0123", None))
    assert len(clips) == 20
    assert all(isinstance(c.row["phash"], int) for c in clips)

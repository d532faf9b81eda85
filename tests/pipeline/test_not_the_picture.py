"""Bars and overlays through the whole pass: what is found, what the crop shows, and the camera behind it."""

import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.analysis.pose import pose_finder
from pipeline.clips.overlay_scores import share_covered
from pipeline.config import AnalysisConfig
from tests.conftest import SMALL
from tests.pipeline.composites import framed, overlaid, read_frames, write_frames
from tests.pipeline.not_the_picture import CASES, CONFIG, FILLS, base, beyond, figures, judged, seen

FINE = SMALL.model_copy(update={"analysis": AnalysisConfig()})  # letters of a small video are too small at 256 pixels


@pytest.mark.parametrize("fill", FILLS)
def test_a_crop_lies_within_the_picture_between_bars(dancer, finder, tmp_path, fill):
    drawn = framed(read_frames(dancer), "sides", fill, np.random.default_rng([7, len(fill)]))
    result = seen(write_frames(tmp_path / "barred.mp4", drawn.frames, "25"), finder, SMALL)
    assert result.clips
    for clip in result.clips:
        assert beyond(clip, result.analysis, drawn, SMALL) <= 2
        assert clip.row["crop_x"] + clip.row["crop_width"] / 2 == pytest.approx(np.mean(drawn.picture[::2]), rel=0.2)


def test_a_dancer_whom_wide_bars_make_small_is_measured_as_well_as_without_them(dancer, finder, tmp_path):
    frames = read_frames(dancer)
    height, width = frames.shape[1:3]
    barred = np.zeros((len(frames), height, 5 * width, 3), np.uint8)
    barred[:, :, 2 * width : 3 * width] = frames
    clean = seen(dancer, finder, SMALL)
    result = seen(write_frames(tmp_path / "small.mp4", barred, "25", crf=12), finder, SMALL)
    assert result.analysis.shape_at(0, result.shape)[1] == pytest.approx(width, abs=8)
    left = result.analysis.bars_at(0)[0] - 2 * width
    assert np.median(np.abs(result.analysis.landmarks[..., 0] + left - clean.analysis.landmarks[..., 0])) < 2


def test_a_video_without_bars_or_overlays_has_none(dancer, finder):
    result = seen(dancer, finder, FINE)
    assert not result.analysis.bars.any()
    assert {clip.row["overlay"] for clip in result.clips} == {0.0}


def test_captions_are_found_and_scored(dancer, finder, tmp_path):
    drawn = overlaid(read_frames(dancer), "captions", np.random.default_rng(3), 25.0)
    result = seen(write_frames(tmp_path / "captions.mp4", drawn.frames, "25"), finder, FINE)
    whole = np.array([0, 0, result.shape[1], result.shape[0]], float)
    boxes = np.array([overlay.box for overlay in drawn.overlays if overlay.start == 0], float)
    assert share_covered(result.analysis.overlays_of(0), whole) == pytest.approx(share_covered(boxes, whole), rel=0.5)


@pytest.mark.soak
def test_bars_and_overlays_are_found_and_none_invented(pose_model, tmp_path):
    raw = Path(os.environ.get("LONGDANCE_SOAK_RAW", tmp_path)) / "bases"
    with pose_finder(pose_model, CONFIG.analysis.max_people, CONFIG.analysis.min_pose_confidence) as finder:
        rows = [judged(kind, number, base(number, raw), finder, tmp_path) for kind, number in CASES]
    found = figures(rows)
    print("\n" + "\n".join(f"{name}: {value:.4g}" for name, value in found.items()))
    assert found["bars_invented"] == 0
    assert found["bar_cases"] >= 40
    assert found["inside_within_2px"] >= 0.95
    assert found["overlay_videos"] >= 60
    assert min(found["overlay_precision"], found["overlay_recall"], found["recall_in_these_clips"]) >= 0.9
    assert found["moving_cases"] >= 15
    assert found["translation_within_10pc"] == 1.0

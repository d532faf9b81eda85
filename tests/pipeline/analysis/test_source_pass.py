"""The one pass: what it measures, what it refuses, and that it comes back from disk as it was."""

import os
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from data_catalog.base.errors import RejectedError
from pipeline.analysis.arrays import Analysis, detections_of_shot, load, save
from pipeline.analysis.pose import PoseFinder
from pipeline.analysis.source_pass import analyse, check_times
from pipeline.config import AnalysisConfig, ClipConfig
from pipeline.video.ffmpeg import open_source
from pipeline.video.probe import probe
from tests.pipeline.videos import LIMITS, blank_analysis, ffmpeg, write_numbered

CONFIG = AnalysisConfig(proxy_px=256)
X264 = ("-c:v", "libx264", "-crf", "12", "-pix_fmt", "yuv420p")


def analysed(path: Path, finder: PoseFinder, config: AnalysisConfig = CONFIG) -> Analysis:
    descriptor = open_source(bytes(path))
    try:
        return analyse(descriptor, probe(descriptor, LIMITS), finder, config, LIMITS)
    finally:
        os.close(descriptor)


def test_a_dancer_is_found_in_source_pixels_at_the_asked_rate(dancer: Path, finder: PoseFinder) -> None:
    found = analysed(dancer, finder)
    assert len(found.pts) == 55
    assert np.diff(found.pose_frames).max() <= 5
    assert len(found.pose_frames) == pytest.approx(55 / 25 * 6, abs=2)
    assert found.people_end.tolist() == list(range(1, len(found.pose_frames) + 1))
    full = analysed(dancer, finder, AnalysisConfig(proxy_px=480))
    assert np.median(np.abs(found.landmarks[..., :2] - full.landmarks[..., :2])) < 4
    for detection in range(len(found.pose_frames)):
        assert found.people(detection).shape == (1, 33, 4)


def test_every_frame_counts_once_and_camera_steps_follow_each_other(dancer: Path, finder: PoseFinder) -> None:
    found = analysed(dancer, finder)
    assert found.change.shape == (55,)
    assert found.change[0] == 0
    assert (found.camera_frames[:, 0] < found.camera_frames[:, 1]).all()
    assert len(found.blur) == len(found.brightness) == len(found.thumbs) == len(found.pose_frames)
    assert found.cuts.tolist() == []


@pytest.mark.parametrize("crf", ["0", "20"])
def test_a_repeated_frame_changes_nothing_and_a_new_one_does(
    crf: str, tmp_path: Path, dancer: Path, finder: PoseFinder
) -> None:
    """24 frames a second in a file of 30: every fifth step repeats."""
    path = tmp_path / "pulled.mp4"
    ffmpeg("-r", "24", "-i", str(dancer), "-vf", "fps=30:round=down", *X264, "-crf", crf, str(path))
    change = analysed(path, finder).change[1:]
    assert (change < ClipConfig().duplicate_change).mean() == pytest.approx(0.2, abs=0.03)


def test_cuts_are_frame_numbers_of_the_source(tmp_path: Path, finder: PoseFinder) -> None:
    path = tmp_path / "cut.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=1.2", "-f", "lavfi", "-i", "mandelbrot=s=128x96:r=25",
           "-filter_complex", "[1:v]trim=duration=1[b];[0:v][b]concat", *X264, str(path))  # fmt: skip
    assert analysed(path, finder).cuts.tolist() == [30]


def test_what_is_saved_comes_back_as_it_was(tmp_path: Path, dancer: Path, finder: PoseFinder) -> None:
    found = analysed(dancer, finder)
    path = tmp_path / "folder" / "a.npz"
    save(found, path)
    again = load(path)
    for field in fields(Analysis):
        one, two = getattr(found, field.name), getattr(again, field.name)
        assert one.dtype == two.dtype
        assert np.array_equal(one, two, equal_nan=one.dtype.kind == "f")
    save(found, tmp_path / "b.npz")
    assert (tmp_path / "b.npz").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("pts", "code"),
    [
        ([], "still_picture"),
        ([0.0], "still_picture"),
        ([0, 0.04, 0.04, 0.12], "bad_timestamps"),
        ([0, 0.08, 0.04, 0.12], "bad_timestamps"),
    ],
)
def test_times_that_cannot_be_cut_by_are_refused(pts: list[float], code: str) -> None:
    with pytest.raises(RejectedError) as caught:
        check_times(np.array(pts))
    assert caught.value.code == code


def test_detections_belong_to_the_shot_of_their_frame() -> None:
    analysis = blank_analysis(np.arange(40) / 25, cuts=[16], every=4)
    assert list(detections_of_shot(analysis, 0, 16)) == [0, 1, 2, 3]
    assert list(detections_of_shot(analysis, 16, 40)) == [4, 5, 6, 7, 8, 9]


def test_a_film_without_people_has_none(tmp_path: Path, finder: PoseFinder) -> None:
    found = analysed(write_numbered(tmp_path / "a.mp4", 30, *X264), finder)
    assert found.landmarks.shape == (0, 33, 4)
    assert set(found.people_end.tolist()) == {0}
    assert found.people(0).shape == (0, 33, 4)

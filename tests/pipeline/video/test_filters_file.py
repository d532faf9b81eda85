"""Filters beyond what a command line takes do what short ones do."""

import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.clips.crop_filter import balanced_sum
from pipeline.video import filters_file
from pipeline.video.ffmpeg import decode, open_source, source_input
from tests.pipeline.videos import LIMITS, SIDE, write_numbered


def frames_through(path: Path, terms: int) -> np.ndarray:
    """The frames of a video whose filter is a sum of so many terms that are zero."""
    descriptor = open_source(bytes(path))
    try:
        place = balanced_sum([f"{0:.2f}*eq(n,{number})" for number in range(terms)])
        stream = source_input(descriptor, LIMITS, 0).filter("drawbox", 0, 0, 8, 8, t="fill")
        stream = stream.filter("crop", SIDE, SIDE, place, 0).filter("format", "yuv420p")
        with decode(stream, descriptor, (SIDE, SIDE), LIMITS) as frames:
            return np.stack([frame for _, frame in frames])
    finally:
        os.close(descriptor)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_numbered(tmp_path / "numbered.mp4", 6)


def test_a_filter_longer_than_an_argument_may_be_gives_the_same_frames(video: Path) -> None:
    assert len(balanced_sum(["0.00*eq(n,10000)"] * 12_000)) > 2**17
    assert np.array_equal(frames_through(video, 12_000), frames_through(video, 2))


def test_a_filter_from_a_file_gives_the_same_frames(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = frames_through(video, 3)
    monkeypatch.setattr(filters_file, "MAX_ARGUMENT", 1)
    assert np.array_equal(frames_through(video, 3), plain)

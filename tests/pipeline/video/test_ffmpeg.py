"""The clock around a child: it ends what hangs, and lets hours of footage take hours."""

import os
import time
from pathlib import Path

import pytest

from data_catalog.base.errors import RejectedError
from pipeline.config import LimitsConfig
from pipeline.video.ffmpeg import decode, open_source, source_input
from tests.pipeline.videos import SIDE, write_numbered

LIMITS = LimitsConfig(wall_s=0.8)


def frames_at_leisure(path: Path) -> int:
    """How many frames come when each is looked at for a while, 3 s for all."""
    descriptor = open_source(bytes(path))
    try:
        with decode(source_input(descriptor, LIMITS, 0), descriptor, (SIDE, SIDE), LIMITS) as frames:
            count = 0
            for _ in frames:
                count += 1
                time.sleep(0.02)
            return count
    finally:
        os.close(descriptor)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """150 frames; a pipe holds two or three."""
    return write_numbered(tmp_path / "film.mp4", 150, "-c:v", "libx264", "-pix_fmt", "yuv420p")


def test_a_decode_that_gives_frames_may_take_longer_than_one_clock(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.video.ffmpeg.FRAMES_A_CLOCK", 5)
    assert frames_at_leisure(film) == 150


def test_one_that_gives_too_few_of_them_is_ended(film: Path) -> None:
    with pytest.raises(RejectedError, match=r"timeout.*0\.8 s"):
        frames_at_leisure(film)

"""Clips of drawn handheld cameras, from the video to the stored sample, beside the truth."""

import os
from pathlib import Path

import pytest

from pipeline.analysis.pose import PoseFinder
from pipeline.config import ClipConfig
from tests.pipeline.handheld import CASES, CONFIG, figures, judged

SHORT = CONFIG.model_copy(update={"clips": ClipConfig(frames=49)})


def test_a_handheld_dancer_is_stored_before_a_background_that_stands(tmp_path: Path, finder: PoseFinder) -> None:
    one = judged("handheld", 8, tmp_path, finder, SHORT)
    assert one.steadied
    assert not one.rejected
    assert one.before > 2
    assert one.after < 0.3
    assert one.measured < 0.3
    assert one.drift < 2
    assert one.joints < one.detected + 2


@pytest.mark.soak
def test_seventy_unseen_cameras_are_held_still_or_refused(tmp_path: Path, finder: PoseFinder) -> None:
    raw = Path(os.environ.get("LONGDANCE_SOAK_RAW", tmp_path)) / "handheld"
    found = figures([judged(kind, number, raw, finder) for kind, number in CASES])
    print(found)
    assert found["kept"] == found["handheld_clips"] >= 40
    assert found["not_steady_after_encoding"] == 0
    assert found["motion_left_median"] <= 0.3
    assert found["motion_measured_median"] <= 0.3
    assert found["drift_most"] <= 2
    assert min(found["precision"], found["recall"]) >= 0.95

"""The build against the truth of drawn dancers: alignment, cuts, and the two kinds of bad clip."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.config import BuildConfig
from pipeline.pose_model import pose_model_path
from pipeline.synthetic import SynthVideo, synth, write_video
from tests.pipeline.truth import Judged, judge_all, summary

Judge = Callable[[list[SynthVideo]], list[Judged]]
UNSEEN_SEED = 2026  # no threshold was tuned on it


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """Draw some videos, prepare them, judge every clip."""

    def run(specs: list[SynthVideo]) -> list[Judged]:
        (tmp_path / "raw").mkdir()
        for spec in specs:
            write_video(spec, tmp_path / "raw")
        return judge_all(tmp_path / "raw", tmp_path / "data", pose_model_path(), BuildConfig())

    return run


def video(name: str, fault: str | None, **more: object) -> SynthVideo:
    """A small video of one clip."""
    spec = {
        "name": name,
        "seed": 500 + len(name),
        "width": 540,
        "height": 960,
        "fps": "24",
        "frames": 190,
        "fault": fault,
    }
    return SynthVideo(**{**spec, **more})  # type: ignore[arg-type]


def test_a_clean_dancer_is_aligned_and_bad_clips_are_found_for_their_reason(judge):
    judged = judge([video("clean", None), video("panned", "pan"), video("leaving", "leaves"), video("shaken", "shake")])
    by_name = {j.video: j for j in judged}
    assert len(judged) == len(by_name) == 4
    assert not by_name["clean"].reasons
    assert by_name["clean"].pelvis_error <= 0.03
    assert abs(by_name["clean"].body_error) <= 0.08
    assert by_name["clean"].joints_inside >= 0.99
    assert "camera_translation" in by_name["panned"].reasons
    assert "camera_shake" in by_name["shaken"].reasons
    assert "out_of_frame" in by_name["leaving"].reasons
    panned = by_name["panned"]
    assert panned.clip.row["cam_translation"] == pytest.approx(panned.translation_true, rel=0.1)
    assert not any(j.spans_cut for j in judged)


def test_no_clip_spans_a_drawn_cut(judge):
    judged = judge(
        [video("cut", "cuts", frames=400, cuts=(200,)), video("cut twice", "cuts", frames=420, cuts=(30, 215))]
    )
    assert judged
    assert not any(j.spans_cut for j in judged)
    assert all(j.even for j in judged)


@pytest.mark.soak
def test_a_hundred_unseen_clips_hold_what_the_readme_says(tmp_path):
    raw = Path(os.environ.get("LONGDANCE_SOAK_RAW", tmp_path / "raw"))
    synth(raw, videos=96, seed=UNSEEN_SEED)
    judged = judge_all(raw, tmp_path / "data", pose_model_path(), BuildConfig())
    figures = summary(judged)
    print("\n" + "\n".join(f"{name}: {value:.4g}" for name, value in figures.items()))
    assert figures["clips"] >= 100
    assert figures["spans_cut"] == figures["uneven"] == 0
    assert figures["pelvis_within_3pc"] >= 0.95
    assert figures["body_within_8pc"] >= 0.95
    assert figures["joints_inside_frames"] >= 0.99
    for name in ("camera_precision", "camera_recall", "out_precision", "out_recall"):
        assert figures[name] >= 0.95, name
    assert figures["translation_within_10pc"] == 1.0

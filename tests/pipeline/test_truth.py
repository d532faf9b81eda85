"""The build against the truth of drawn dancers: alignment, cuts, and the two kinds of bad clip."""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from pipeline.analysis.pose_model import pose_model_path
from pipeline.config import BuildConfig
from pipeline.synthetic.synth import SynthVideo, is_complete, plan_videos, write_video
from tests.pipeline.truth import Judged, judge_all, summary, wrong

Judge = Callable[[list[SynthVideo]], list[Judged]]
UNSEEN_SEED = 2468  # no threshold was tuned on it


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
    assert not by_name["shaken"].reasons, "its camera is held still"
    assert by_name["shaken"].translation_true < 0.3
    assert by_name["shaken"].clip.row["steadied"] > 2
    assert "out_of_frame" in by_name["leaving"].reasons
    panned = by_name["panned"]
    assert panned.clip.row["cam_translation"] == pytest.approx(panned.translation_true, rel=0.1)
    assert not any(j.spans_cut for j in judged)


def upright(name: str, seed: int, standing: float, width: int = 1080, height: int = 1920) -> SynthVideo:
    """A dancer as phones film one: the square around the body is wider than the picture."""
    fps = ("24", "25", "30")[seed % 3]
    return video(name, None, seed=seed, width=width, height=height, standing=standing, fps=fps, frames=184)


def check_whole_and_at_its_place(judged: list[Judged]) -> None:
    """Of every clip: wrists and ankles that the source shows are inside, pelvis and body size at their place."""
    for one in judged:
        assert not one.reasons, one.video
        assert one.clip.row["framing"] == "full"
        assert one.ends_inside >= 0.99, one.video
        assert one.pelvis_error <= 0.03, one.video
        assert abs(one.body_error) <= 0.08, one.video
        assert one.clip.row["filled"] == pytest.approx(one.filled)


def test_upright_dancers_keep_their_legs_and_their_place(judge):
    judged = judge([upright("near", 71, 0.85, 540, 960), upright("far", 72, 0.6, 540, 960)])
    check_whole_and_at_its_place(judged)
    assert len(judged) == 2
    assert {one.video: one.filled > 0.45 for one in judged} == {"near": True, "far": False}


@pytest.mark.soak
def test_fifty_unseen_upright_dancers_keep_their_legs_and_their_place(tmp_path):
    raw = Path(os.environ.get("LONGDANCE_SOAK_RAW", tmp_path / "raw")) / "upright"
    shares = np.random.default_rng(UNSEEN_SEED).uniform(0.5, 0.9, 54)
    draw_all([upright(f"upright_{n:02}", UNSEEN_SEED + n, round(float(s), 3)) for n, s in enumerate(shares)], raw)
    judged = judge_all(raw, tmp_path / "data", pose_model_path(), BuildConfig())
    for name in ("pelvis_error", "body_error", "filled", "ends_inside"):
        values = np.array([getattr(one, name) for one in judged])
        print(f"{name}: {values.min():.4f} to {values.max():.4f}, mean {values.mean():.4f}")
    accepted = [one for one in judged if not one.reasons]
    assert len(accepted) >= 50
    assert len(accepted) >= 0.95 * len(judged)
    check_whole_and_at_its_place(accepted)


def test_no_clip_spans_a_drawn_cut(judge):
    judged = judge(
        [video("cut", "cuts", frames=400, cuts=(200,)), video("cut twice", "cuts", frames=420, cuts=(30, 215))]
    )
    assert judged
    assert not any(j.spans_cut for j in judged)
    assert all(j.even for j in judged)


def unseen_videos() -> list[SynthVideo]:
    """96 videos of a seed that nothing was tuned on; both kinds of bad clip are common among them."""
    videos = [
        spec for spec in plan_videos(72, UNSEEN_SEED) if spec.fault not in ("tiny", "no_dancer", "slow_rate", "short")
    ]
    faults = ["leaves"] * 12 + ["pan", "zoom", "shake"] * 4 + ["cuts"] * 6
    for number, fault in enumerate(faults):
        width, height = ((540, 960), (960, 540), (640, 640))[number % 3]
        frames, cuts = (400, (197 + number,)) if fault == "cuts" else (200, ())
        standing = 0.36 if height > width else 0.48
        videos.append(
            SynthVideo(
                name=f"{fault}_{number:02}", seed=UNSEEN_SEED + 1000 + number, width=width, height=height,
                fps=("24", "25", "30")[number % 3], frames=frames, cuts=cuts, fault=fault, standing=standing,
            )
        )  # fmt: skip
    return videos


def draw_all(specs: list[SynthVideo], folder: Path) -> None:
    """Draw what is not there yet, on both cores."""
    folder.mkdir(parents=True, exist_ok=True)
    todo = [spec for spec in specs if not is_complete(spec, folder)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(write_video, todo, [folder] * len(todo)))


@pytest.mark.soak
def test_a_hundred_unseen_clips_hold_what_the_readme_says(tmp_path):
    raw = Path(os.environ.get("LONGDANCE_SOAK_RAW", tmp_path / "raw"))
    draw_all(unseen_videos(), raw)
    judged = judge_all(raw, tmp_path / "data", pose_model_path(), BuildConfig())
    figures = summary(judged)
    print("\n" + "\n".join([*(f"{name}: {value:.4g}" for name, value in figures.items()), *wrong(judged)]))
    assert figures["clips"] >= 100
    assert figures["spans_cut"] == figures["uneven"] == 0
    assert figures["pelvis_within_3pc"] >= 0.95
    assert figures["body_within_8pc"] >= 0.95
    assert figures["joints_inside_frames"] >= 0.99
    for name in ("camera_precision", "camera_recall", "out_precision", "out_recall"):
        assert figures[name] >= 0.95, name
    assert figures["translation_within_10pc"] == 1.0

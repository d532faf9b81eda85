"""Videos of anybody's beside real ones: still pictures, real clips and planted drift are ranked right on every axis."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from data_catalog.base.files import write_sealed
from data_catalog.base.paths import DataFolder, RunFolder
from data_catalog.connection import open_catalog
from data_catalog.writes import merge_tables
from model.bench.bench import bench
from model.bench.measure import beat_numbers, dynamics, framepack_drift
from model.bench.videos import videos_of
from model.drift.metrics import Measured, measure, summary
from model.drift.report import Drift, write_report
from model.errors import MetricsError
from pipeline.analysis.pose_metrics import DancerFinder
from tests.drawn import draw_raw
from tests.model.dataset import encode_mp4
from tests.model.drift.test_metrics import Difference, MeanColour
from tests.pipeline.sounds import write_clicks
from tests.pipeline.videos import ffmpeg

SEEDS, FRAMES = (3, 4), 20


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of a video a seed: `real`, `still` (its first picture repeated), `drifts` (fades, softens, reddens)."""
    root = tmp_path_factory.mktemp("bench")
    draw_raw(root / "drawn", SEEDS, FRAMES)
    for name in ("real", "still", "drifts", "other"):
        (root / name).mkdir()
    for seed in SEEDS:
        [video] = videos_of(root / "drawn" / f"d{seed}.mp4", root, 1)
        frames = np.stack(list(video.frames()))
        (root / "real" / f"d{seed}.mp4").write_bytes(encode_mp4(frames, 12))
        (root / "other" / f"x{seed}.mp4").write_bytes(encode_mp4(frames, 12))
        (root / "still" / f"d{seed}.mp4").write_bytes(encode_mp4(np.repeat(frames[:1], FRAMES, 0), 12))
        (root / "drifts" / f"d{seed}.mp4").write_bytes(encode_mp4(planted(frames), 12))
    return root


def planted(frames: np.ndarray) -> np.ndarray:
    """Contrast falls to a half, red rises by 40 levels, and edges blur, evenly over the video."""
    import cv2

    out = []
    for at, frame in enumerate(frames.astype(float)):
        share = at / (len(frames) - 1)
        soft = cv2.GaussianBlur(frame, (0, 0), 0.1 + 2.5 * share)
        out.append((soft - 128) * (1 - 0.5 * share) + 128 + np.array([40.0, 0, 0]) * share)
    return np.clip(out, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def reports(places: Path, pose_model: Path) -> dict[str, dict[str, object]]:
    finder = DancerFinder(pose_model)
    try:
        return {name: bench(places / name, places / "real", finder, {}, 8) for name in ("real", "still", "drifts")}
    finally:
        finder.close()


def value(report: dict, name: str) -> float:
    [found] = [row[2] for row in report["rows"] if row[0] == name]
    return float(found)


def test_the_picture_that_stands_still_does_not_drift_and_does_not_move(reports):
    for name in ("drift_colour", "drift_contrast", "drift_sharpness"):
        assert value(reports["still"], name) < 0.3 * value(reports["drifts"], name), name
    assert value(reports["still"], "dynamic_degree") == 0
    assert value(reports["still"], "flow") < 0.1 * value(reports["real"], "flow")
    assert value(reports["still"], "picture_motion") < 0.1 * value(reports["real"], "picture_motion")
    assert value(reports["still"], "joint_motion") < 0.2 * value(reports["real"], "joint_motion")


@pytest.mark.parametrize("name", ["drift_colour", "drift_contrast", "drift_sharpness"])
def test_planted_drift_is_more_than_real_clips_have(reports, name):
    assert value(reports["drifts"], name) > 3 * value(reports["real"], name)


def test_what_is_the_same_is_the_nearest_to_what_really_followed(reports):
    for name, best in (("psnr", max), ("ssim", max), ("pose_error", min)):
        assert best(reports, key=lambda one, name=name: value(reports[one], name)) == "real"
    assert value(reports["real"], "psnr") == 100
    assert value(reports["real"], "pose_error") == 0


def test_real_against_itself_is_the_same_on_both_sides_and_the_protocol_states_counts(reports):
    for row in reports["real"]["rows"]:
        if row[0] not in ("psnr", "ssim", "pose_error"):
            assert row[2:4] == row[4:6], row
    said = " ".join(reports["real"]["protocol"])
    assert "2 videos of 20 to 20 frames (40 in all) at 30 a second" in said
    assert "2 videos have a real one of the same name" in said
    assert "No LPIPS and no FVD" in said
    assert json.dumps(reports["real"], allow_nan=False)


def test_a_rollouts_figures_are_those_of_generates_page_and_pictures_give_the_same(places, pose_model, tmp_path):
    finder = DancerFinder(pose_model)
    try:
        [video] = videos_of(places / "drifts" / "d3.mp4", places, 1)
        frames = list(video.frames())
        report = Drift(measure(frames, finder)).report()  # as `generate` measures: frames that no codec has changed
        mine = tmp_path / "mine"
        (mine / "frames").mkdir(parents=True)
        for at, frame in enumerate(frames):
            Image.fromarray(frame).save(mine / "frames" / f"{at:05d}.png")
        by_pictures = bench(mine, places / "other", finder, {}, 8)
        made = tmp_path / "made"
        made.mkdir()
        (made / "dance.mp4").write_bytes(encode_mp4(np.stack(frames), 35))
        write_report(made / "dance.rollout" / "metrics.json", report)
        by_rollout = bench(made, places / "other", finder, {}, 8)
    finally:
        finder.close()
    for name, one in report["metrics"].items():
        assert value(by_pictures, name) == pytest.approx(one["mean"], abs=1e-9), name
        assert value(by_rollout, name) == one["mean"], name
    for name in ("drift_colour", "drift_sharpness"):
        assert value(by_rollout, name) == pytest.approx(value(by_pictures, name), abs=1e-4)
    assert "1 are rollouts" in " ".join(by_rollout["protocol"])
    assert summary(measure(frames[:2], _Nobody()))["found"]["mean"] == 0


class _Nobody:
    def find(self, picture_HWC: np.ndarray) -> np.ndarray:
        return np.full((33, 4), np.nan)


def test_start_end_contrast_is_framepacks(reports):
    curve = [0.0] * 15 + [5.0] * 70 + [2.0] * 15
    assert framepack_drift(curve) == 2
    assert framepack_drift([float("nan")] * 15 + curve[15:]) is None


def test_the_dynamic_degree_is_vbenchs_rule():
    texture = (
        np.random.default_rng(0).integers(0, 256, (64, 64, 1)).astype(np.uint8).repeat(8, 0).repeat(8, 1).repeat(3, 2)
    )
    moving = [np.roll(texture, 6 * at, 1)[:256, :256] for at in range(16)]
    fast, slow = dynamics(moving, 2), dynamics([np.roll(texture, at, 1)[:256, :256] for at in range(16)], 8)
    assert fast["flow"] == pytest.approx(6, abs=1)
    assert slow["flow"] == pytest.approx(1, abs=0.5)
    assert slow["dynamic_degree"] == 0
    assert dynamics([np.roll(texture, 8 * at, 1)[:256, :256] for at in range(16)], 8)["dynamic_degree"] == 1
    assert dynamics([np.zeros((32, 32, 3), np.uint8)], 30) == {}


def test_a_folder_without_videos_is_one_sentence(places, tmp_path):
    with pytest.raises(MetricsError, match="holds no video: give a folder"):
        videos_of(tmp_path, places, 4)
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    with pytest.raises(MetricsError, match=r"No video of .*broken.mp4 cannot be read as a video"):
        videos_of(tmp_path, places, 4)


def test_a_data_sets_clips_are_the_real_ones_sources_in_turn(drawn):
    found = videos_of(drawn.root, drawn.root, 2)
    assert len(found) == 2
    assert len({video.name[:16] for video in found}) == 2
    assert next(iter(found[0].frames())).shape == (128, 64, 3)


def test_what_cannot_be_read_is_passed_over_and_the_protocol_says_so(places, pose_model, tmp_path):
    made = tmp_path / "made"
    shutil.copytree(places / "still", made)
    (made / "broken.mp4").write_bytes(b"no video at all")
    whole = (places / "still" / f"d{SEEDS[0]}.mp4").read_bytes()
    (made / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    finder = DancerFinder(pose_model)
    try:
        report = bench(made, places / "real", finder, {}, 8)
        assert [one["name"] for one in report["each"]["videos"]] == [f"d{seed}" for seed in SEEDS]
        passed = [line for line in report["protocol"] if line.startswith("Passed over")]
        assert {name for name in ("broken", "cut") for line in passed if name in line} == {"broken", "cut"}
        fewer = bench(made, places / "real", finder, {}, 1)
        assert any("1 more videos" in line for line in fewer["protocol"])
    finally:
        finder.close()


def test_videos_of_one_name_are_told_apart_by_their_folders(places, tmp_path):
    for folder in ("a", "b"):
        shutil.copytree(places / "real", tmp_path / folder)
    (tmp_path / "b" / f"d{SEEDS[1]}.mp4").unlink()
    names = [video.name for video in videos_of(tmp_path, tmp_path, 8)]
    assert names == [f"a/d{SEEDS[0]}.mp4", f"d{SEEDS[1]}", f"b/d{SEEDS[0]}.mp4"]


def test_lpips_fvd_and_beats_are_measured_where_networks_and_sound_are(places, pose_model, tmp_path):
    torch.jit.script(MeanColour()).save(str(tmp_path / "fvd.pt"))
    torch.jit.script(Difference()).save(str(tmp_path / "lpips.pt"))
    weights = {name: tmp_path / f"{name}.pt" for name in ("fvd", "lpips")}
    finder = DancerFinder(pose_model)
    try:
        same = bench(places / "real", places / "real", finder, weights, 2)
        worse = bench(places / "drifts", places / "real", finder, weights, 2)
    finally:
        finder.close()
    assert value(same, "lpips") == pytest.approx(0, abs=1e-6)
    assert value(worse, "lpips") > 0.001
    assert same["between"]["fvd"]["value"] == pytest.approx(0, abs=1e-6)
    assert worse["between"]["fvd"]["value"] > 10


def test_a_dance_on_the_beats_of_its_own_sound_is_aligned_and_one_between_them_is_not(tmp_path):
    beats = np.arange(0.5, 9.5, 0.5)
    write_clicks(tmp_path / "clicks.wav", beats, 10)
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x64:r=30:d=10", "-i", str(tmp_path / "clicks.wav"), "-c:v", "libx264",
           "-c:a", "aac", str(tmp_path / "film.mp4"))  # fmt: skip
    [film] = videos_of(tmp_path / "film.mp4", tmp_path, 1)
    heard = film.beats()
    assert heard is not None
    assert np.median(np.abs(heard[:, None] - beats).min(1)) < 0.05
    on, between = (beat_numbers(film, dancing(shift))["beat_alignment"] for shift in (0.0, 0.25))
    assert on is not None
    assert between is not None
    assert on > between + 0.2
    assert beat_numbers(replace(film, path=None), dancing(0.0)) == {}


def dancing(shift_s: float) -> Measured:
    """A body of which every joint swings, and stands still for a moment at every half second, `shift_s` late."""
    at = np.arange(300) / 30 - shift_s
    landmarks = np.full((300, 33, 4), 0.5)
    landmarks[..., 0] += 0.1 * np.cos(2 * np.pi * at)[:, None]  # still at each half turn
    return Measured({}, landmarks)


def test_a_runs_rollouts_are_those_that_its_data_set_knows(places, tmp_path):
    data, run = DataFolder(tmp_path / "data"), RunFolder(tmp_path / "run")
    data.root.mkdir()
    write_sealed(run.record, {"run_id": "r1"})
    shown = places / "still" / f"d{SEEDS[0]}.mp4"
    rollout = {"rollout": "one", "path": str(shown), "plan": "any", "seed": 1, "metrics": "{}", "config": "{}"}
    rows = [
        rollout | {"runs": json.dumps({"starter": "r1"}), "created": datetime(2026, 11, 29)},
        rollout | {"rollout": "two", "runs": json.dumps({"starter": "r2"}), "created": datetime(2026, 11, 29)},
    ]
    with open_catalog(data.catalog) as con:
        merge_tables(con, {"rollouts": rows})
    assert [video.path for video in videos_of(run.root, data.root, 8)] == [shown]
    with pytest.raises(MetricsError, match="is a run: name the data set"):
        videos_of(run.root, places / "real", 8)

"""Trained runs serve a plan or say why they cannot; the same request gives the same video."""

from __future__ import annotations

import resource
import shutil
from dataclasses import replace
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import read_json, sealed, write_json
from data_catalog.base.paths import RolloutFolder, RunFolder
from data_catalog.connection import open_catalog
from data_catalog.writes import merge_rollouts
from model.data.latents import encode_dataset
from model.drift.report import RealClip, catalog_metrics, measure_drift, real_clip, reference_clips
from model.drift.table import report_table
from model.errors import ConfigError, DataError, ModelError, PlanError, RolloutError, RunError
from model.plans.plan import depth_per_frame, make_plan
from model.rollout.config import SamplingConfig, run_defaults, sampling_config
from model.rollout.generate import (
    Request,
    Start,
    _text,
    at_work,
    check_output,
    generate_video,
    prepare,
    rollout_row,
)
from model.rollout.refill import refilled
from model.rollout.stage_networks import best_plan, runs_by_stage
from model.runs.run import Run
from model.training.train import train
from pipeline.analysis.pose import JOINTS
from pipeline.clips.fill import fill_outside, refill
from pipeline.picture_size import PictureSize
from tests.model.dataset import make_dataset, micro_config, micro_encode

QUICK = SamplingConfig(steps=2, device="cpu")
SIZE = PictureSize(32, 32)


@pytest.fixture(scope="module")
def runs(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A short training of each stage."""
    root = tmp_path_factory.mktemp("runs")
    for stage in ("starter", "extrapolation", "interpolation", "any"):
        quiet = {"validate_every": 100, "sample_every": 100, "checkpoint_every": 2, "steps": 2}
        train(dataset, root / stage, micro_config(stage, **quiet, hint_dropout=0.1 if stage == "any" else 0.0))
    return {path.name: path for path in root.iterdir()}


@pytest.fixture
def picture() -> Start:
    """A picture of the micro codec's size."""
    return Start(np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8))


def request(*runs: Path, plan: str = "origin", frames: int = 20, **changes: Any) -> Request:
    """A request that takes a second."""
    return Request(runs, plan, frames, **{"sampling": QUICK, **changes})


def test_three_runs_make_the_origins_plan_and_the_same_request_the_same_bytes(
    runs: dict[str, Path], picture: Start, tmp_path: Path
) -> None:
    three = [runs[stage] for stage in ("interpolation", "starter", "extrapolation")]
    videos = []
    for name in ("one", "two"):
        prepared = prepare(request(*three))
        made = generate_video(prepared, picture, tmp_path / name / "video.mp4")
        made.record.finish()
        assert made.record.finished == 1
        videos.append(made.video.read_bytes())
    assert videos[0] == videos[1]
    assert {stage: run.config.stage for stage, run in prepared.serving.items()} == {s: s for s in prepared.serving}


@pytest.mark.parametrize("plan", ["origin", "streaming", "tree"])
def test_one_run_of_stage_any_serves_every_plan(
    plan: str, runs: dict[str, Path], picture: Start, tmp_path: Path
) -> None:
    made = generate_video(prepare(request(runs["any"], plan=plan)), picture, tmp_path / "video.mp4")
    frames = list(made.rollout.decoded())
    assert len(frames) == 20
    assert frames[0].shape == (32, 32, 3)


def test_the_best_plan_that_the_runs_cover_is_taken_where_none_is_named(runs: dict[str, Path], tmp_path: Path) -> None:
    three = [Run.open(runs[stage]) for stage in ("starter", "extrapolation", "interpolation")]
    assert best_plan([Run.open(runs["any"])], 181) == "tree"
    assert best_plan(three, 181) == "origin"  # the only one that they were trained on
    with pytest.raises(RolloutError, match=r"15 extrapolation calls and no run was trained for them"):
        best_plan([three[0], three[2]], 181)


def test_what_the_runs_do_not_cover_is_refused_by_name(runs: dict[str, Path], tmp_path: Path) -> None:
    three = [runs[stage] for stage in ("starter", "extrapolation", "interpolation")]
    with pytest.raises(RolloutError, match=r"15 extrapolation calls and no run was trained .*stage 'any'"):
        prepare(request(runs["starter"], runs["interpolation"], frames=181))
    with pytest.raises(RolloutError, match=r"'streaming' has extrapolation calls .* knows those of plan origin"):
        prepare(request(*three, plan="streaming", frames=181))
    with pytest.raises(RolloutError, match="both of stage 'starter'"):
        prepare(request(runs["starter"], runs["starter"]))
    with pytest.raises(RunError, match="no run"):
        prepare(request(tmp_path))
    with pytest.raises(PlanError):
        prepare(request(runs["any"], frames=1))
    with pytest.raises(RolloutError, match="No run was given"):
        prepare(request())


def test_a_run_serves_another_plan_where_it_was_trained_on_windows_of_that_shape(runs: dict[str, Path]) -> None:
    opened = [Run.open(runs[stage]) for stage in ("starter", "extrapolation", "interpolation")]
    # Up to 7 frames each plan is one starter call; streaming's is the origin's.
    assert set(runs_by_stage(opened[:1], "streaming", make_plan("streaming", 7))) == {"starter"}
    # The origin at any length: frame 0 may lie farther back than in any clip.
    assert len(runs_by_stage(opened, "origin", make_plan("origin", 2000))) == 3


def test_runs_of_different_codecs_are_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(runs["extrapolation"], other)
    record = read_json(other / "run.json")
    record["identity"]["data"]["codec"] = "f" * 64
    write_json(other / "run.json", sealed(record))
    with pytest.raises(RolloutError, match=r"codec ffffffffffff.*one codec"):
        prepare(request(runs["starter"], other, runs["interpolation"]))


def test_guidance_that_a_run_was_not_trained_for_is_refused(runs: dict[str, Path], picture: Start) -> None:
    three = [runs[stage] for stage in ("starter", "extrapolation", "interpolation")]
    guided = sampling_config([], {"steps": 2, "hint_guidance": {"extrapolation": 1.5}})
    with pytest.raises(ConfigError, match=r"never trained without hints.*hint_dropout"):
        prepare(request(*three, sampling=guided))
    assert prepare(request(runs["any"], sampling=guided)).serving
    with pytest.raises(ConfigError, match="trained without text"):
        prepare(request(runs["any"], sampling=sampling_config([], {"text_guidance": 3})))


def test_guidance_over_hints_changes_what_is_made(runs: dict[str, Path], picture: Start, tmp_path: Path) -> None:
    made = []
    for scale in (1.0, 2.5):
        sampling = sampling_config([], {"steps": 2, "hint_guidance": {"starter": scale}})
        prepared = prepare(request(runs["any"], frames=4, sampling=sampling))
        made.append(generate_video(prepared, picture, tmp_path / f"{scale}.mp4"))
    assert not np.array_equal(*(np.stack(list(one.rollout.decoded()))[1:] for one in made))


def test_another_request_for_the_same_file_is_refused_unless_it_may_overwrite(
    runs: dict[str, Path], picture: Start, tmp_path: Path
) -> None:
    first = request(runs["any"], frames=6)
    generate_video(prepare(first), picture, tmp_path / "video.mp4")
    before = (tmp_path / "video.mp4").read_bytes()
    other = replace(first, sampling=QUICK.model_copy(update={"seed": 1}))
    with pytest.raises(RolloutError, match=r"sampling.seed: 0 before, 1 now.*--overwrite"):
        generate_video(prepare(other), picture, tmp_path / "video.mp4")
    assert (tmp_path / "video.mp4").read_bytes() == before
    generate_video(prepare(replace(other, overwrite=True)), picture, tmp_path / "video.mp4")
    assert (tmp_path / "video.mp4").read_bytes() != before


def test_a_rollout_whose_runs_were_calibrated_since_says_how_to_go_on_with_what_it_had(
    runs: dict[str, Path], picture: Start, tmp_path: Path
) -> None:
    first = request(runs["any"], frames=6)
    generate_video(prepare(first), picture, tmp_path / "video.mp4")
    settings = {"steps": 2, "device": "cpu", "hint_noise": {"extrapolation": 0.9}}  # no such calls in six frames
    others = replace(first, sampling=sampling_config([], settings))
    assert generate_video(prepare(others), picture, tmp_path / "video.mp4").video.is_file()
    its_own = replace(first, sampling=sampling_config([], {**settings, "hint_noise": {"starter": 0.2}}))
    with pytest.raises(RolloutError, match=r"continue with what it had: --set hint_noise\.starter=0\.0\.$"):
        generate_video(prepare(its_own), picture, tmp_path / "video.mp4")


def test_a_damaged_calibration_is_one_sentence(tmp_path: Path) -> None:
    for damage in ("{", "[]", '{"reason": {}}'):
        RunFolder(tmp_path).sampling.write_text(damage)
        with pytest.raises(ConfigError, match=r"is damaged .*longdance calibrate --run"):
            sampling_config([tmp_path], {})


def test_one_process_at_a_time_makes_a_video_until_it_is_finished(tmp_path: Path) -> None:
    with at_work(tmp_path / "video.mp4"), at_work(tmp_path / "other.mp4"):  # noqa: SIM117
        with pytest.raises(LongdanceError, match="Another process is at work on"), at_work(tmp_path / "video.mp4"):
            raise AssertionError


def test_a_file_that_is_missing_while_it_works_is_not_told_as_one_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), at_work(tmp_path / "video.mp4"):
        (tmp_path / "none").read_bytes()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RolloutError, match="cannot be written"), at_work(tmp_path / "file" / "video.mp4"):
        raise AssertionError


def test_the_prompt_leads_and_the_negative_prompt_is_led_away_from(
    runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An encoder of texts stands in: which text goes where needs no weights."""
    prepared = prepare(request(runs["any"]))
    texts = sampling_config([], {"prompt": "a waltz", "negative_prompt": "a fall"})
    run = prepared.serving["starter"]
    encode = run.encode.model_copy(update={"text": "some encoder"})
    run = replace(run, config=run.config.model_copy(update={"encode": encode}))
    prepared = replace(
        prepared, serving=dict.fromkeys(prepared.serving, run), request=replace(prepared.request, sampling=texts)
    )
    monkeypatch.setattr(
        "model.rollout.generate.embed", lambda source, texts, device: torch.tensor([[[len(text)]] for text in texts])
    )
    pair = _text(prepared)
    assert (pair.prompt.item(), pair.negative.item()) == (len("a waltz"), len("a fall"))


def test_a_redo_is_remembered_and_made_once_for_each_finished_command(
    runs: dict[str, Path], picture: Start, tmp_path: Path
) -> None:
    out, first = tmp_path / "video.mp4", request(runs["any"], frames=20, plan="tree")
    with pytest.raises(RolloutError, match="not finished"):
        generate_video(prepare(replace(first, redo="8:12")), picture, out)
    made = generate_video(prepare(first), picture, out)
    plain = np.stack(list(made.rollout.decoded()))
    with pytest.raises(RolloutError, match="not finished"):  # nothing was measured yet
        generate_video(prepare(replace(first, redo="8:12")), picture, out)
    made.record.finish()
    generate_video(prepare(replace(first, redo="8:12")), picture, out)  # killed before it was measured
    redone = generate_video(prepare(replace(first, redo="8:12")), picture, out)
    again = np.stack(list(redone.rollout.decoded()))
    changed = [frame for frame in range(20) if not np.array_equal(plain[frame], again[frame])]
    assert set(range(8, 12)) <= set(changed) < set(range(1, 20))
    assert redone.record.redos == [(8, 12)]
    redone.record.finish()
    assert generate_video(prepare(first), picture, out).record.redos == [(8, 12)]
    assert generate_video(prepare(replace(first, redo="8:12")), picture, out).record.redos == [(8, 12), (8, 12)]


def test_a_record_that_is_damaged_is_one_sentence(runs: dict[str, Path], picture: Start, tmp_path: Path) -> None:
    out, first = tmp_path / "video.mp4", request(runs["any"], frames=6)
    made = generate_video(prepare(first), picture, out)
    path = made.folder / "rollout.json"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(RolloutError, match=r"rollout\.json is damaged .*--overwrite"):
        generate_video(prepare(first), picture, out)
    assert generate_video(prepare(replace(first, overwrite=True)), picture, out).video.is_file()


def test_a_file_of_somebody_elses_is_not_written_over(runs: dict[str, Path], picture: Start, tmp_path: Path) -> None:
    (tmp_path / "mine.mp4").write_bytes(b"holiday")
    (tmp_path / "file").write_bytes(b"")
    prepared = prepare(request(runs["any"], frames=6))
    for name, words in (
        ("mine.mp4", "was not made here"),
        ("page.html", "does not end in .mp4"),
        ("file/video.mp4", "takes no files"),
    ):
        with pytest.raises(RolloutError, match=words):
            check_output(prepared, picture, tmp_path / name)
    check_output(prepare(request(runs["any"], frames=6, overwrite=True)), picture, tmp_path / "mine.mp4")
    check_output(prepared, picture, tmp_path / "new" / "video.mp4")
    (tmp_path / "page.html").write_text("my own")
    with pytest.raises(RolloutError, match=r"page\.html is there and was not made here"):
        check_output(prepared, picture, tmp_path / "page.mp4", [tmp_path / "page.html"])
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("text", ["40", "a:b", "5:5", "0:3", "18:22", "-1:4"])
def test_a_stretch_that_makes_no_sense_is_refused(text: str, runs: dict[str, Path]) -> None:
    with pytest.raises(PlanError, match="stretch"):
        prepare(request(runs["any"], redo=text))


def test_calibrated_defaults_lie_beside_the_run_and_settings_overrule_them(tmp_path: Path) -> None:
    write_json(RunFolder(tmp_path).sampling, {"defaults": {"hint_noise": {"extrapolation": 0.33}}, "reason": {}})
    config = sampling_config([tmp_path], {"hint_noise": {"interpolation": 0.2}})
    assert config.of_stage("extrapolation") == (0.33, 1.0)
    assert config.of_stage("interpolation") == (0.2, 1.0)
    assert sampling_config([tmp_path], {"hint_noise": {"extrapolation": 0}}).of_stage("extrapolation") == (0.0, 1.0)
    assert run_defaults(tmp_path / "none") == {}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sampler": "magic"}, "'sampler' is 'magic'"),
        ({"steps": 0}, "'steps' is 0"),
        ({"hint_noise": {"starters": 1}}, "hint_noise.starters"),
        ({"speed": 1}, "'speed'"),
    ],
)
def test_a_wrong_sampling_setting_is_one_sentence(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        sampling_config([], settings)
    assert "\n" not in str(caught.value)


def generate_on_full_disk(run: Path, out: Path, limit: int) -> None:
    """Generate with a limit on the size of files that stands in for a full disk, on one thread as these tests do."""
    torch.set_num_threads(1)
    picture = Start(np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8))
    prepared = prepare(request(run, frames=60))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        generate_video(prepared, picture, out)
    except ModelError as error:
        out.with_suffix(".txt").write_text(str(error))


def test_a_full_disk_is_one_sentence_and_afterwards_it_goes_on(
    runs: dict[str, Path], picture: Start, tmp_path: Path, children: ForkServerContext
) -> None:
    out = tmp_path / "full" / "video.mp4"
    child = children.Process(target=generate_on_full_disk, args=(runs["any"], out, 7000))
    child.start()
    child.join()
    assert "run the same command again" in out.with_suffix(".txt").read_text()
    assert list(RolloutFolder.beside(out).latents.glob("*.safetensors"))
    again = generate_video(prepare(request(runs["any"], frames=60)), picture, out)
    whole = generate_video(prepare(request(runs["any"], frames=60)), picture, tmp_path / "whole" / "video.mp4")
    assert again.video.read_bytes() == whole.video.read_bytes()


class Nobody:
    """Finds nobody, as the real finder does in pictures of noise."""

    def find(self, picture_HWC: np.ndarray) -> np.ndarray:
        return np.full((JOINTS, 4), np.nan)


def test_a_rollout_from_a_clip_is_measured_against_it_and_goes_into_the_catalog(
    dataset: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    prepared = prepare(request(runs["any"], frames=25))
    truth = real_clip(dataset, "s0c0", prepared.size)
    made = generate_video(prepared, Start(truth.frames_FHWC[0]), tmp_path / "video.mp4")
    depths = depth_per_frame(prepared.request.calls())
    drift = measure_drift(made.rollout.decoded, Nobody(), depths, truth, ())
    assert drift.generated.curves["psnr"][0] > 30  # frame 0 is the clip's own, frame by frame
    report = drift.report()
    assert set(report["by_depth"]["psnr"]) == {str(d) for f, d in depths.items() if 0 < f < 25}
    assert report["metrics"]["psnr"]["mean"] < 60
    assert report["reference"]["clips"] == ["s0c0"]
    assert report["reference"]["metrics"]["picture_motion"]["mean"] > 0
    assert report["joint_motion_distance"] is None
    names = [row[0] for row in report_table(report)[1]]
    assert {"colour", "picture_motion", "psnr"} <= set(names)
    with open_catalog(tmp_path / "catalog.duckdb") as con:
        merge_rollouts(con, [rollout_row(made, prepared, catalog_metrics(report))] * 2)
        rows = con.execute(
            "SELECT plan, seed, json_extract(metrics, '$.metrics.picture_motion.slope')::DOUBLE, "
            "runs->>'starter' FROM rollouts"
        ).fetchall()
    run_id = prepared.serving["starter"].run_id
    assert rows == [("origin", 0, pytest.approx(report["metrics"]["picture_motion"]["slope"]), run_id)]


def test_reference_clips_are_held_out_ones_of_different_sources_and_a_clip_that_is_none_is_refused(
    dataset: Path,
) -> None:
    clips = list(reference_clips(dataset, 3, SIZE, holdout=0.3))
    assert len({clip.clip_id[:2] for clip in clips}) == 3
    with pytest.raises(DataError, match="no stored clip 'waltz'"):
        real_clip(dataset, "waltz", SIZE)


def test_frame_by_frame_a_clip_is_compared_with_its_own_frames(dataset: Path) -> None:
    clip = real_clip(dataset, "s0c0", SIZE)
    drift = measure_drift(lambda: iter(clip.frames_FHWC), Nobody(), {}, clip, ())
    late = measure_drift(lambda: iter(np.roll(clip.frames_FHWC, 1, axis=0)), Nobody(), {}, clip, ())
    assert min(drift.generated.curves["psnr"]) > 90
    assert float(np.median(late.generated.curves["psnr"])) < 40


REGION = (8, 2, 24, 32)
DEPTHS = dict.fromkeys(range(25), 1)


@pytest.fixture(scope="module")
def filled_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set whose odd sources' clips show their source's picture in a part alone, encoded."""
    data = make_dataset(tmp_path_factory.mktemp("filled") / "data", picture=[list(REGION)])
    encode_dataset(data, micro_encode())
    return data


def test_what_lies_outside_of_the_first_picture_is_made_anew_in_every_frame(
    runs: dict[str, Path], picture: Start, tmp_path: Path
) -> None:
    prepared = prepare(request(runs["any"]))
    start = Start(fill_outside(picture.picture_HWC, REGION), REGION)
    made = generate_video(prepared, start, tmp_path / "video.mp4")
    frames = np.stack(list(made.rollout.decoded()))
    assert np.array_equal(frames, refill(frames, np.array([REGION])))
    for number in (1, 7, 19):  # what a later call is given is what training had seen, not what was made outside
        latents = made.rollout.store.frames([number], made.rollout._final)
        assert (refilled(latents, REGION, prepared.codec) - latents).abs().mean() < 0.05
    whole = generate_video(prepared, Start(start.picture_HWC), tmp_path / "whole.mp4")
    assert whole.record.identity != made.record.identity
    assert "region" not in whole.record.identity
    with pytest.raises(RolloutError, match="region"):
        generate_video(prepared, Start(start.picture_HWC), tmp_path / "video.mp4")


def test_a_killed_rollout_of_a_filled_picture_ends_with_the_same_bytes(
    runs: dict[str, Path], picture: Start, tmp_path: Path
) -> None:
    start = Start(fill_outside(picture.picture_HWC, REGION), REGION)
    first = generate_video(prepare(request(runs["any"])), start, tmp_path / "a.mp4")
    for path in sorted((first.folder / "latents").glob("call-*"))[3:]:
        path.unlink()
    bytes_before = first.video.read_bytes()
    assert generate_video(prepare(request(runs["any"])), start, tmp_path / "a.mp4").video.read_bytes() == bytes_before


def test_errors_planted_in_the_filled_area_of_a_generated_video_change_nothing_in_its_report(
    filled_dataset: Path,
) -> None:
    truth = real_clip(filled_dataset, "s1c0", SIZE)
    assert truth.region == REGION
    frames = np.roll(truth.frames_FHWC, 2, axis=0)
    spoiled = np.random.default_rng(3).integers(0, 255, frames.shape).astype(np.uint8)
    x0, y0, x1, y1 = REGION
    spoiled[:, y0:y1, x0:x1] = frames[:, y0:y1, x0:x1]
    references = list(reference_clips(filled_dataset, 3, SIZE, holdout=0.3))
    for given, beside in ((truth, ()), (None, references)):
        reports = [
            measure_drift(
                lambda made=made: iter(made), Nobody(), dict.fromkeys(range(25), 1), given, beside, region=REGION
            ).report()
            for made in (frames, spoiled)
        ]
        assert reports[0] == reports[1]
        assert reports[0]["region"] == list(REGION)
    free = measure_drift(lambda: iter(frames), Nobody(), {}, None, ()).report()
    assert "region" not in free
    assert free["metrics"]["contrast"] != reports[0]["metrics"]["contrast"]


def test_long_curves_are_pooled_for_the_catalog() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (450, 8, 8, 3)).astype(np.uint8)
    report = measure_drift(lambda: iter(frames), Nobody(), {}, None, [RealClip("a", frames[:10])]).report()
    kept = catalog_metrics(report)
    assert len(report["curves"]["picture_motion"]) == 450
    assert len(kept["curves"]["picture_motion"]) == 200
    assert len(kept["reference"]["curves"]["picture_motion"]) == 10
    assert np.mean(kept["curves"]["contrast"]) == pytest.approx(np.mean(report["curves"]["contrast"]), rel=0.01)

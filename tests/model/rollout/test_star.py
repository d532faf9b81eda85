"""A picture and a dance to a video: each call by itself, each frame by its pose, and sentences for what cannot be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.data.landmarks import clip_landmarks
from model.drift.report import real_clip
from model.errors import ConfigError, RolloutError
from model.plans.plan import make_plan
from model.plans.stages import call_window
from model.rollout.calibrate import calibrate
from model.rollout.config import SamplingConfig, sampling_config
from model.rollout.generate import Prepared, Request, Start, check_dance, generate_video, prepare
from model.rollout.stage_networks import best_plan
from model.runs.run import Run
from model.training.train import train
from pipeline.picture_size import PictureSize
from tests.model.dataset import QUICK, micro_config

SIZE = PictureSize(32, 32)
SAMPLING = SamplingConfig(steps=2, temperature=0.5, device="cpu")


@pytest.fixture(scope="module")
def run(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short training of stage star."""
    folder = tmp_path_factory.mktemp("star") / "run"
    train(dataset, folder, micro_config("star", **QUICK))
    return folder


@pytest.fixture
def start(dataset: Path) -> Start:
    """A clip's first frame, and its own dance."""
    return Start(real_clip(dataset, "s0c1", SIZE).frames_FHWC[0], None, clip_landmarks(dataset, "s0c1", SIZE))


def prepared(run: Path, frames: int = 25, **changes: object) -> Prepared:
    """A request that takes a second."""
    return prepare(Request((run,), "star", frames, **{"sampling": SAMPLING, **changes}))  # type: ignore[arg-type]


def frames_of(one: Prepared, start: Start, out: Path) -> np.ndarray:
    """The finished video's latents, decoded."""
    return np.stack(list(generate_video(one, start, out).rollout.decoded()))


def test_the_same_request_gives_the_same_bytes_and_another_dance_others(
    run: Path, start: Start, tmp_path: Path
) -> None:
    one, again = (frames_of(prepared(run), start, tmp_path / name / "video.mp4") for name in "ab")
    assert np.array_equal(one, again)
    assert start.dance is not None
    other = frames_of(prepared(run), replace(start, dance=start.dance[::-1]), tmp_path / "c" / "video.mp4")
    assert not np.array_equal(one, other)


def test_calls_made_in_another_order_make_the_same_latents(run: Path, start: Start, tmp_path: Path) -> None:
    made = generate_video(prepared(run), start, tmp_path / "video.mp4")
    calls = make_plan("star", 25)
    store = {path.name: path.read_bytes() for path in made.rollout.store.folder.iterdir()}
    turned = generate_video(prepared(run), start, tmp_path / "turned.mp4").rollout
    for path in turned.store.folder.glob("call-*"):
        path.unlink()
    given = turned._give(start.picture_HWC)
    steps = [step for step in turned._final.values() if step.call.hints]
    for step in sorted(set(steps), key=lambda step: -step.number):
        turned.store.put(step, turned._make(step, {0: given}))
    assert len({step.key for step in steps}) == len(calls)
    assert {path.name: path.read_bytes() for path in turned.store.folder.iterdir()} == store


def test_a_redo_changes_what_was_asked_for_and_nothing_else(run: Path, start: Start, tmp_path: Path) -> None:
    out = tmp_path / "video.mp4"
    made = generate_video(prepared(run), start, out)
    before = np.stack(list(made.rollout.decoded()))
    made.record.finish()
    after = frames_of(prepared(run, redo="10:12"), start, out)
    changed = np.flatnonzero((before != after).any((1, 2, 3)))
    assert set(changed) <= {10, 11}
    assert len(changed)


def test_the_network_sees_the_pictures_dancer_moved_to_each_pose(
    run: Path, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    from model.rollout import rollout

    def watched(codec, latents, frames, hints, landmarks, outlines):  # type: ignore[no-untyped-def]
        seen.append((frames, hints, landmarks))
        return rollout_pose(codec, latents, frames, hints, landmarks, outlines)

    rollout_pose = rollout.pose_conditioning
    monkeypatch.setattr(rollout, "pose_conditioning", watched)
    generate_video(prepared(run), start, tmp_path / "video.mp4")
    assert [frames for frames, *_ in seen] == [call_window(call).frames for call in make_plan("star", 25)]
    assert start.dance is not None
    for frames, hints, landmarks in seen:
        assert hints == (0,)
        assert np.array_equal(landmarks, start.dance[list(frames)])


def test_a_dance_without_runs_that_know_any_and_such_runs_without_a_dance_are_refused(
    run: Path, dataset: Path, start: Start, tmp_path: Path
) -> None:
    with pytest.raises(RolloutError, match=r"makes star calls from a picture and a dance, and no dance was given"):
        check_dance(prepared(run), replace(start, dance=None))
    train(dataset, tmp_path / "any", micro_config("any", **QUICK))
    without = prepare(Request((tmp_path / "any",), "tree", 9, SAMPLING))
    with pytest.raises(RolloutError, match=r"was trained without poses: leave out --pose and --dance"):
        check_dance(without, start)
    check_dance(without, replace(start, dance=None))
    check_dance(prepared(run), start)


def test_runs_of_other_stages_do_not_serve_the_star(trained: Path, dataset: Path, tmp_path: Path) -> None:
    train(dataset, tmp_path / "any", micro_config("any", **QUICK))
    for run in (trained, tmp_path / "any"):
        with pytest.raises(RolloutError, match=r"Plan 'star' has 3 star calls and no run was trained for them"):
            prepare(Request((run,), "star", 25, SAMPLING))


def test_a_star_run_is_a_reason_to_plan_a_star(run: Path) -> None:
    assert best_plan([Run.open(run)], 25) == "star"


def test_few_steps_no_noise_and_the_pictures_own_detail_are_the_stars_defaults_and_settings_win() -> None:
    assert (sampling_config([], {}, "star").steps, sampling_config([], {}, "star").temperature) == (3, 0)
    assert sampling_config([], {"steps": 7}, "star").steps == 7
    assert sampling_config([], {}, "star").copy_gate > 0
    assert sampling_config([], {"copy_gate": 0}, "star").copy_gate == 0
    assert sampling_config([], {}, "origin").steps == 20


def test_a_run_that_was_taught_one_step_takes_one_and_settings_win(dataset: Path, tmp_path: Path) -> None:
    train(dataset, tmp_path / "run", micro_config("star", **QUICK, one_step=True))
    taken = sampling_config([tmp_path / "run"], {}, "star")
    assert (taken.steps, taken.temperature) == (1, 0)
    assert sampling_config([tmp_path / "run"], {"steps": 4}, "star").steps == 4
    assert sampling_config([tmp_path / "run"], {}, "origin").steps == 20


def test_there_is_nothing_to_calibrate(run: Path, dataset: Path) -> None:
    with pytest.raises(ConfigError, match=r"never noised: there is nothing to calibrate; generate with --pose"):
        calibrate(run, dataset)


def test_a_long_dance_costs_a_windows_memory_and_its_last_pose_is_held(run: Path, start: Start, tmp_path: Path) -> None:
    made = frames_of(prepared(run, frames=40), start, tmp_path / "video.mp4")
    assert made.shape == (40, 32, 32, 3)
    assert torch.isfinite(torch.from_numpy(made).float()).all()

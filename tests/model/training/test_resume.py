"""A killed and resumed training is the undisturbed one, bit for bit; and what a checkpoint holds is all needed."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
import torch

from data_catalog.base.files import read_json, sha256_file
from model.config import TrainConfig
from model.runs.checkpoint import TrainingState, load_checkpoint, newest_checkpoint, save_checkpoint
from model.training.metrics_log import TrainEvent
from model.training.train import RunResult, train
from tests.model.children import train_and_die, train_here
from tests.model.dataset import micro_config

# Dropout draws from the global generator: so its state is part of what must come back.
SETTINGS = {"dropout": 0.1, "steps": 10, "batch": 2, "checkpoint_every": 2, "validate_every": 5, "sample_every": 20}
OWN_ERRORS = "own errors on hints, weighed losses"
VARIANTS = {
    "no workers": {},
    "two workers": {"workers": 2},
    "accumulation": {"accumulate": 2, "batch": 4},
    "any stage, hint drop-out": {"stage": "any", "hint_dropout": 0.5},
    "star, with poses": {"stage": "star", "pose_dropout": 0.3, "pose_jitter": 0.01, "pose_missing": 0.1, "workers": 1},
    OWN_ERRORS: {
        "stage": "any", "pose": True, "error_share": 0.5, "weigh_moving": 2, "weigh_uncovered": 2,
        "weigh_noise": "min_snr", "accumulate": 2, "batch": 4,
    },
}  # fmt: skip


def footprint(run_dir: Path, step: int) -> dict[str, str]:
    """The sha256 of every part of the last checkpoint, and of the sequence of samples, windows and losses."""
    folder = run_dir / "checkpoints" / f"step-{step:08d}"
    parts = {path.name: sha256_file(path) for path in sorted(folder.iterdir())}
    return {**parts, "metrics.jsonl": sha256_file(run_dir / "metrics.jsonl")}


class _CrashError(Exception):
    pass


def crash_after(step: int) -> Callable:
    """A progress callback that stops the training as an exception would, after `step` steps."""

    def watch(event: object) -> None:
        if getattr(event, "kind", "") == "step" and getattr(event, "step", 0) == step:
            raise _CrashError

    return watch


@pytest.fixture(scope="module")
def undisturbed(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, str]]:
    """The footprint of a run that nothing disturbs, made once for each variant."""
    made: dict[str, dict[str, str]] = {}

    def footprint_of(variant: str) -> dict[str, str]:
        if variant not in made:
            run_dir = tmp_path_factory.mktemp("undisturbed") / "run"
            config = micro_config(**{**SETTINGS, **VARIANTS[variant]})
            assert train(dataset, run_dir, config).status == "finished"
            made[variant] = footprint(run_dir, config.steps)
        return made[variant]

    return footprint_of


def kill_until(
    children: ForkServerContext, dataset: Path, run_dir: Path, config: TrainConfig, kills: int, within: float
) -> tuple[int, int]:
    """Train in children, `kills` of which are killed at a random moment of `within` seconds after their first step.

    Returns how many died, and how many of them went on from a checkpoint or had written one.
    """
    moments, metrics, died, saved = random.Random(kills), run_dir / "metrics.jsonl", 0, 0
    for number in range(kills + 1):
        before = metrics.stat().st_size if metrics.is_file() else 0
        child = children.Process(target=train_here, args=(dataset, run_dir, config.model_dump(mode="json")))
        child.start()
        if number < kills:
            while child.is_alive() and not (metrics.is_file() and metrics.stat().st_size > before):
                time.sleep(0.002)
            time.sleep(moments.uniform(0, within))
            child.kill()
        child.join()
        died += child.exitcode == -signal.SIGKILL
        saved += child.exitcode == -signal.SIGKILL and any((run_dir / "checkpoints").glob("step-*"))
    assert child.exitcode == 0
    return died, saved


@pytest.mark.parametrize("variant", VARIANTS)
def test_kills_at_random_moments_leave_no_trace(
    variant: str,
    dataset: Path,
    tmp_path: Path,
    children: ForkServerContext,
    undisturbed: Callable[[str], dict[str, str]],
) -> None:
    config = micro_config(**{**SETTINGS, **VARIANTS[variant]})
    died, _ = kill_until(children, dataset, tmp_path / "run", config, kills=4, within=0.1)
    assert died > 0
    assert footprint(tmp_path / "run", config.steps) == undisturbed(variant)


@pytest.mark.soak
@pytest.mark.parametrize("variant", VARIANTS)
def test_twenty_kills_at_random_moments_leave_no_trace(
    variant: str, dataset: Path, tmp_path: Path, children: ForkServerContext
) -> None:
    config = micro_config(**{**SETTINGS, **VARIANTS[variant], "steps": 600})
    train(dataset, tmp_path / "undisturbed", config)
    died, saved = kill_until(children, dataset, tmp_path / "run", config, kills=20, within=0.5)
    print(f"{variant}: {died} killed, {saved} of them past a checkpoint")
    assert died == 20
    assert saved >= 15
    assert footprint(tmp_path / "run", 600) == footprint(tmp_path / "undisturbed", 600)


def test_a_kill_at_each_moment_of_a_checkpoint_leaves_no_trace(
    dataset: Path, tmp_path: Path, children: ForkServerContext, undisturbed: Callable[[str], dict[str, str]]
) -> None:
    config, run_dir = micro_config(**SETTINGS), tmp_path / "run"
    # About 14 calls reach the disk per checkpoint; 5 to 19 begins and ends within the first two.
    for at in range(5, 20, 2):
        child = children.Process(target=train_and_die, args=(dataset, run_dir, config.model_dump(mode="json"), at))
        child.start()
        child.join()
        assert child.exitcode in (-signal.SIGKILL, 0)
    assert train(dataset, run_dir, config).status == "finished"
    assert footprint(run_dir, config.steps) == undisturbed("no workers")


def test_sigterm_leaves_a_checkpoint_and_the_next_call_goes_on(
    dataset: Path, tmp_path: Path, undisturbed: Callable[[str], dict[str, str]]
) -> None:
    config = micro_config(**SETTINGS)

    def ask_to_stop(event: object) -> None:
        if getattr(event, "kind", "") == "step" and getattr(event, "step", 0) == 5:
            signal.raise_signal(signal.SIGTERM)

    stopped = train(dataset, tmp_path / "run", config, ask_to_stop)
    assert (stopped.status, stopped.step) == ("stopped", 5)
    assert stopped.checkpoint.is_dir()
    assert train(dataset, tmp_path / "run", config) == RunResult(
        tmp_path / "run", stopped.run_id, "finished", 10, tmp_path / "run" / "checkpoints" / "step-00000010"
    )
    assert footprint(tmp_path / "run", 10) == undisturbed("no workers")


def test_asked_to_stop_before_its_first_step_it_leaves_the_first_examination_for_the_next_call(
    dataset: Path, tmp_path: Path, undisturbed: Callable[[str], dict[str, str]]
) -> None:
    config, said = micro_config(**SETTINGS), []

    def ask_to_stop(event: TrainEvent) -> None:
        said.append(event.kind)
        if event.kind == "started":
            signal.raise_signal(signal.SIGTERM)

    stopped = train(dataset, tmp_path / "run", config, ask_to_stop)
    assert (stopped.status, stopped.step) == ("stopped", 0)
    assert "validation" not in said
    assert train(dataset, tmp_path / "run", config).status == "finished"
    assert footprint(tmp_path / "run", 10) == undisturbed("no workers")


def test_a_run_stops_where_it_is_told_to_and_the_next_call_goes_on(
    dataset: Path, tmp_path: Path, undisturbed: Callable[[str], dict[str, str]]
) -> None:
    config = micro_config(**SETTINGS)
    stopped = train(dataset, tmp_path / "run", config, until=4)
    assert (stopped.status, stopped.step, stopped.checkpoint.is_dir()) == ("stopped", 4, True)
    assert train(dataset, tmp_path / "run", config, until=3).step == 4
    ended = train(dataset, tmp_path / "run", config, until=10**6)
    assert (ended.status, ended.step) == ("finished", 10)
    assert footprint(tmp_path / "run", 10) == undisturbed("no workers")


def test_a_resume_computes_on_as_many_threads_as_the_run_began_with(
    dataset: Path, tmp_path: Path, crashed: Path, undisturbed: Callable[[str], dict[str, str]]
) -> None:
    shutil.copytree(crashed, tmp_path / "run")
    assert read_json(tmp_path / "run" / "run.json")["environment"]["threads"] == 1
    seen: set[int] = set()

    def watch(event: TrainEvent) -> None:
        if event.kind == "step":
            seen.add(torch.get_num_threads())

    torch.set_num_threads(2)
    try:
        train(dataset, tmp_path / "run", micro_config(**SETTINGS), watch)
        assert torch.get_num_threads() == 2
        train(dataset, tmp_path / "other", micro_config(**SETTINGS))
    finally:
        torch.set_num_threads(1)
    assert seen == {1}
    assert footprint(tmp_path / "run", 10) == undisturbed("no workers")
    assert footprint(tmp_path / "other", 10) != undisturbed("no workers"), "two threads add up in another order"


# --- the mutation check ------------------------------------------------------------------------


def _without_moment(key: str) -> Callable[[TrainingState], None]:
    def mutate(state: TrainingState) -> None:
        for name, tensor in state.tensors["optimizer"].items():
            if name.endswith(f"/{key}"):
                tensor.zero_()

    return mutate


def _other_generator(state: TrainingState) -> None:
    state.tensors["rng"]["cpu"] = torch.Generator().manual_seed(123).get_state()[None]


def _from_start(part: str) -> Callable[[TrainingState], None]:
    def mutate(state: TrainingState) -> None:
        for tensor in state.tensors[part].values():
            tensor.add_(1e-6 if tensor.is_floating_point() else 0)

    return mutate


def _other_number(name: str, value: int) -> Callable[[TrainingState], None]:
    def mutate(state: TrainingState) -> None:
        state.progress[name] = value

    return mutate


MUTATIONS: dict[str, Callable[[TrainingState], None]] = {
    "nothing": lambda state: None,
    "weights": _from_start("weights"),
    "ema": _from_start("ema"),
    "first moments": _without_moment("exp_avg"),
    "second moments": _without_moment("exp_avg_sq"),
    "adam's steps": _without_moment("step"),
    "all of adam": lambda state: state.tensors["optimizer"].clear(),
    "random generator": _other_generator,
    "step": _other_number("step", 2),
    "samples seen": _other_number("samples_seen", 0),
    "length of the metrics": _other_number("metrics_bytes", 0),
}


@pytest.fixture(scope="module")
def crashed(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that crashed at step 5, after its checkpoint of step 4."""
    run_dir = tmp_path_factory.mktemp("crashed") / "run"
    with pytest.raises(_CrashError):
        train(dataset, run_dir, micro_config(**SETTINGS), crash_after(5))
    return run_dir


@pytest.mark.parametrize("part", MUTATIONS)
def test_every_part_of_the_state_is_needed(
    part: str,
    crashed: Path,
    dataset: Path,
    tmp_path: Path,
    undisturbed: Callable[[str], dict[str, str]],
) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(crashed, run_dir)
    info = newest_checkpoint(run_dir / "checkpoints")
    assert info is not None
    assert info.step == 4
    state = load_checkpoint(info)
    MUTATIONS[part](state)
    shutil.rmtree(run_dir / "checkpoints")
    save_checkpoint(run_dir / "checkpoints", state, keep=2)
    train(dataset, run_dir, micro_config(**SETTINGS))
    assert (footprint(run_dir, 10) == undisturbed("no workers")) == (part == "nothing")


def _without_errors(state: TrainingState) -> None:
    state.tensors["task"]["seen"].zero_()


def _other_errors(state: TrainingState) -> None:
    state.tensors["task"]["errors"].mul_(2)


def _errors_unsaved(state: TrainingState) -> None:
    del state.tensors["task"]


@pytest.mark.parametrize("mutate", [None, _without_errors, _other_errors, _errors_unsaved])
def test_the_bank_of_errors_is_part_of_the_state_and_all_of_it_is_needed(
    mutate: Callable[[TrainingState], None] | None,
    dataset: Path,
    tmp_path: Path,
    undisturbed: Callable[[str], dict[str, str]],
) -> None:
    run_dir, config = tmp_path / "run", micro_config(**{**SETTINGS, **VARIANTS[OWN_ERRORS]})
    train(dataset, run_dir, config, until=4)
    info = newest_checkpoint(run_dir / "checkpoints")
    assert info is not None
    state = load_checkpoint(info)
    if mutate:
        mutate(state)
    shutil.rmtree(run_dir / "checkpoints")
    save_checkpoint(run_dir / "checkpoints", state, keep=2)
    train(dataset, run_dir, config)
    assert (footprint(run_dir, 10) == undisturbed(OWN_ERRORS)) == (mutate is None)

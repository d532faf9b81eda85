"""Two processes are one: the same samples, windows and losses as a single process with the same global batch."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from data_catalog.base.at_work import training
from model.data.latents import encode_dataset
from model.runs.checkpoint import inspect_checkpoint
from model.training.train import EXIT_STOPPED, main, train
from tests.model.dataset import make_dataset, micro_config

SETTINGS = {"steps": 20, "batch": 4, "checkpoint_every": 10, "validate_every": 50, "sample_every": 50}


def launch(data: Path, run_dir: Path, config_path: Path, processes: int) -> list[str]:
    """The command for several processes. Without `--multi_gpu` accelerate starts one: on CPUs it wants mpirun.
    With it torchrun starts them, and the config's `device` makes them use gloo."""
    launcher = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch"]
    launcher += ["--multi_gpu"] if processes > 1 else ["--cpu"]
    counts = ["--num_processes", str(processes), "--num_machines", "1", "--main_process_port", "0"]
    options = ["--mixed_precision", "no", "--dynamo_backend", "no", "--num_cpu_threads_per_process", "1"]
    program = ["-m", "model.training.train", "--config", str(config_path), "--data", str(data), "--run", str(run_dir)]
    return [*launcher, *counts, *options, *program]


def metrics(run_dir: Path) -> list[dict]:
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == "step"]


def test_two_processes_match_one_and_see_every_sample_of_an_epoch_once(dataset: Path, tmp_path: Path) -> None:
    config = micro_config(**SETTINGS)
    (tmp_path / "config.json").write_text(config.model_dump_json())
    train(dataset, tmp_path / "one", config)
    command = launch(dataset, tmp_path / "two", tmp_path / "config.json", 2)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads((tmp_path / "two" / "run.json").read_text())["identity"]["processes"] == 2
    one, two = metrics(tmp_path / "one"), metrics(tmp_path / "two")
    assert len(one) == len(two) == 20
    for alone, shared in zip(one, two):
        assert shared["samples"] == alone["samples"]
        assert shared["windows"] == alone["windows"]
        assert shared["losses"] == pytest.approx(alone["losses"], abs=1e-5)
        assert shared["loss"] == pytest.approx(alone["loss"], abs=1e-5)
    seen = [key for line in two for key in line["samples"]]
    size = len(set(seen))
    assert size == 6
    for start in range(0, len(seen) - size + 1, size):
        assert len(set(seen[start : start + size])) == size
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [event["kind"] for event in events].count("ended") == 1
    assert max(event["step"] for event in events) == 20


@pytest.mark.parametrize("processes", [1, 2])
def test_sigterm_to_accelerate_leaves_a_checkpoint_and_no_process(
    processes: int, dataset: Path, tmp_path: Path
) -> None:
    config = micro_config(**{**SETTINGS, "steps": 100_000, "checkpoint_every": 100_000})
    (tmp_path / "config.json").write_text(config.model_dump_json())
    command = launch(dataset, tmp_path / "run", tmp_path / "config.json", processes)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    seen = []
    with (
        (tmp_path / "errors").open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment) as launcher,
    ):
        assert launcher.stdout is not None
        for line in launcher.stdout:  # to the end, when the last process has let go of it
            seen.append(json.loads(line)["kind"])
            if seen.count("step") == 1 and seen[-1] == "step":
                launcher.send_signal(signal.SIGTERM)
    assert seen[-1] == "ended", (tmp_path / "errors").read_text()
    (checkpoint,) = (tmp_path / "run" / "checkpoints").glob("step-*")
    assert inspect_checkpoint(checkpoint)[0] is not None
    with training(tmp_path / "run").alone():
        pass


def test_the_program_stops_on_sigterm_with_its_own_status_and_says_errors_plainly(
    dataset: Path, tmp_path: Path
) -> None:
    config = micro_config(**{**SETTINGS, "steps": 100_000})
    (tmp_path / "config.json").write_text(config.model_dump_json())
    program = [sys.executable, "-m", "model.training.train", "--config", str(tmp_path / "config.json")]
    command = [*program, "--data", str(dataset), "--run", str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if json.loads(line)["kind"] == "step":
                child.send_signal(signal.SIGTERM)
                break
        child.stdout.read()
    assert child.returncode == EXIT_STOPPED
    assert list((tmp_path / "run" / "checkpoints").glob("step-*"))
    (tmp_path / "config.json").write_text(config.model_copy(update={"seed": 5}).model_dump_json())
    refused = CliRunner().invoke(main, command[3:])
    assert refused.exit_code == 1
    assert refused.output.startswith("Error: Run ")
    assert "config.seed: 0 before, 5 now" in refused.output


def on_hosts(data: list[Path], runs: list[Path], config: Path, *more: str) -> list[subprocess.Popen[str]]:
    """A process for each run's folder, as hosts would start them that do not see each other's."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port = str(door.getsockname()[1])
    meet = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(len(runs)), "OMP_NUM_THREADS": "1"}
    started = []
    for rank, (place, run) in enumerate(zip(data, runs, strict=True)):
        words = ["--config", str(config), "--data", str(place), "--run", str(run), *more]
        env = {**os.environ, **meet, "RANK": str(rank), "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
        command = [sys.executable, "-m", "model.training.train", *words]
        started.append(subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
    return started


def ended(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """(exit code, what it complained of) of each."""
    return [(process.returncode, said) for process in processes for said in [process.communicate(timeout=120)[1]]]


def test_only_the_first_process_needs_the_runs_folder_and_a_fork_takes_another_number(
    dataset: Path, tmp_path: Path
) -> None:
    config, path = micro_config("extrapolation", **SETTINGS, error_share=0.5), tmp_path / "config.json"
    path.write_text(config.model_dump_json())
    command = launch(dataset, tmp_path / "together", path, 2)
    subprocess.run(command, capture_output=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    runs = [tmp_path / "apart", tmp_path / "nowhere"]
    assert (
        ended(on_hosts([dataset] * 2, runs, path, "--until", "10"))[0][0] == EXIT_STOPPED
    )  # and go on from a checkpoint
    assert [code for code, _ in ended(on_hosts([dataset] * 2, runs, path))] == [0, 0]
    assert not (tmp_path / "nowhere").exists()
    (apart,), (together,) = (
        sorted((tmp_path / name / "checkpoints").glob("step-00000020")) for name in ("apart", "together")
    )
    for part in ("weights", "ema", "optimizer", "rng", "task"):
        assert (apart / f"{part}.safetensors").read_bytes() == (together / f"{part}.safetensors").read_bytes(), part
    path.write_text(micro_config("extrapolation", **{**SETTINGS, "steps": 22}, error_share=0.5).model_dump_json())
    forked = ended(on_hosts([dataset], [tmp_path / "alone"], path, "--fork", str(tmp_path / "apart")))
    assert forked[0][0] == 0, forked
    assert [line["step"] for line in metrics(tmp_path / "alone")] == [21, 22]


def test_a_process_that_sees_other_data_says_so(dataset: Path, tmp_path: Path) -> None:
    config, path = micro_config(**SETTINGS), tmp_path / "config.json"
    path.write_text(config.model_dump_json())
    other = make_dataset(tmp_path / "other", sources=5)
    encode_dataset(other, config.encode)
    (first, _), (second, said) = ended(on_hosts([dataset, other], [tmp_path / "run", tmp_path / "nowhere"], path))
    assert first != 0
    assert second == 1
    assert said.splitlines()[-1].startswith(
        "Error: Process 1 has other data than the first: install the same longdance"
    )

"""The flow `train-stage` as a user runs it: killed and run again, it ends with the same weights."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from data_catalog.connection import open_catalog
from pipeline.files import sha256_file
from tests.flows.conftest import build

STEPS = 6
TINY = {
    "steps": STEPS, "batch": 2, "workers": 0, "checkpoint_every": 2, "validate_every": 6, "sample_every": 6,
    "sample_steps": 2, "holdout": 0, "encode.picture": 32, "encode.fit_frames": 16,
}  # fmt: skip


@pytest.fixture(scope="module")
def data(raw: Path, server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built data set whose clips are as long as the plan wants."""
    folder = tmp_path_factory.mktemp("train") / "data"
    build(raw, folder, server)
    return folder


def train(data: Path, run: Path, *more: str) -> list[str]:
    """`longdance train starter` at a size that takes seconds."""
    settings = [f"--set={name}={value}" for name, value in TINY.items()]
    return [
        sys.executable,
        "-m",
        "flows.cli",
        "train",
        "starter",
        "--data",
        str(data),
        "--run",
        str(run),
        *settings,
        *more,
    ]


def weights(run: Path) -> dict[str, str]:
    """The sha256 of the last checkpoint's parts."""
    folder = run / "checkpoints" / f"step-{STEPS:08d}"
    return {path.name: sha256_file(path) for path in sorted(folder.iterdir())}


def run_to_end(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[Any]:
    """Run one command of longdance."""
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_a_killed_training_run_again_ends_with_the_same_weights_and_is_in_the_catalog(data, server, tmp_path):
    env = server | {"OMP_NUM_THREADS": "1"}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = run_to_end(train(data, whole), env)
    assert done.returncode == 0, done.stdout + done.stderr
    process = subprocess.Popen(train(data, killed), env=env, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(killed.glob("checkpoints/step-*")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    again = run_to_end(train(data, killed), env)
    assert again.returncode == 0, again.stdout + again.stderr
    assert weights(killed) == weights(whole)
    with open_catalog(data / "catalog.duckdb", read_only=True) as con:
        assert con.execute("SELECT stage, status, step FROM runs").fetchall() == [("starter", "finished", STEPS)] * 2
        assert con.execute("SELECT bool_and(verified), max(step) FROM checkpoints").fetchall() == [(True, STEPS)]


def test_a_changed_setting_and_an_unknown_stage_are_refused_in_one_sentence(data, server, tmp_path):
    run = tmp_path / "run"
    assert run_to_end(train(data, run), server).returncode == 0
    changed = run_to_end(train(data, run, "--set=learning_rate=0.5"), server)
    assert changed.returncode == 2
    assert "learning_rate" in changed.stderr.splitlines()[-1]
    unknown = run_to_end([*train(data, run)[:4], "middle", *train(data, run)[5:]], server)
    assert unknown.returncode == 2
    assert "'middle'" in unknown.stderr
    assert "Traceback" not in unknown.stderr

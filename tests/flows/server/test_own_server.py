"""A command's Prefect server is gone with the command, however that ends."""

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.flows.conftest import command, prefect_env, train

GONE_S = 60.0  # it takes one second alone; it was minutes


def children_at(process: subprocess.Popen[bytes], there: Path, pattern: str) -> list[psutil.Process]:
    """All processes that a command has started, once it has come so far that files are there."""
    deadline = time.monotonic() + 300
    while not list(there.glob(pattern)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.soak), signal.SIGINT]
)
def test_the_server_of_a_training_ends_with_it(number, data, home, tmp_path):
    words, env = train(data, tmp_path / "run", "--set=steps=2000"), prefect_env(home, None)
    log = tmp_path / "log"
    with log.open("wb") as file, subprocess.Popen(words, env=env, stdout=file, stderr=file) as process:
        children = children_at(process, tmp_path / "run", "checkpoints/step-*")
        assert any("own_server" in " ".join(child.cmdline()) for child in children)
        os.kill(process.pid, number)
        process.wait(GONE_S)
        _, alive = psutil.wait_procs(children, GONE_S)
    assert alive == []


def test_the_server_and_the_workers_of_a_build_end_with_it(raw, home, tmp_path):
    words, env = command(raw, tmp_path / "data"), prefect_env(home, None)
    with subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        children = children_at(process, tmp_path / "data", "analysis/**/*.json")
        assert len(children) >= 3, "a server and two workers"
        process.kill()
        process.wait(GONE_S)
        _, alive = psutil.wait_procs(children, GONE_S)
    assert alive == []

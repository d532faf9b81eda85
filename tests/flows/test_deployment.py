"""The README's way through Prefect: a real server, a process worker, a deployment."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.flows.conftest import FRAMES, SETTINGS, STEPS, stop, weights

ROOT = Path(__file__).parents[2]


def prefect(*arguments: str, env: dict[str, str]) -> str:
    """Run the prefect command line in the repository."""
    command = [sys.executable, "-m", "prefect", *arguments]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def deployed(server: dict[str, str]) -> dict[str, str]:
    """The environment of a server that knows the pool and the deployments. One thread computes."""
    prefect("work-pool", "create", "local", "--type", "process", env=server)
    prefect("--no-prompt", "deploy", "--all", env=server)
    return server | {"OMP_NUM_THREADS": "1"}


@contextmanager
def worker(env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[Any]]:
    """A process worker on the pool, for as long as the block lasts."""
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "local"]
    with log.open("ab") as file:
        process = subprocess.Popen(command, env=env, cwd=ROOT, stdout=file, stderr=file, start_new_session=True)
        try:
            yield process
        finally:
            stop(process)


def kill_all(process: subprocess.Popen[Any]) -> int:
    """kill -9 a worker, its flow and the training that the flow started; returns how many there were."""
    victims = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for victim in victims:
        victim.kill()
    psutil.wait_procs(victims)
    process.wait()
    return len(victims)


def train_parameters(data: Path, run: Path) -> list[str]:
    """`--param`s of train-stage/local that mean what conftest's `train` types."""
    values = {"stage": "starter", "data": str(data), "run": str(run), "settings": json.dumps(SETTINGS)}
    return [f"--param={name}={value}" for name, value in values.items()]


def test_the_deployment_builds_a_data_set_on_a_real_server_and_worker(raw, deployed, tmp_path):
    config = {"clips": {"frames": FRAMES}, "variants": {"count": 0}, "workers": 1}
    data = tmp_path / "data"
    parameters = [f"--param=raw={raw}", f"--param=data={data}", f"--param=config={json.dumps(config)}"]
    with worker(deployed, tmp_path / "worker.log"):
        prefect("deployment", "run", "build-dataset/local", *parameters, "--watch", env=deployed)
    report = json.loads((data / "last_run.json").read_text())
    assert report["total_samples"] == report["total_clips_ok"] > 0
    artifacts = json.loads(prefect("artifact", "ls", "--output", "json", env=deployed) or "[]")
    assert {"clips-by-verdict", "build-counters"} <= {artifact["key"] for artifact in artifacts}


def test_a_training_whose_worker_is_killed_ends_in_the_next_run_with_the_undisturbed_weights(
    data, trained, deployed, tmp_path
):
    run = tmp_path / "run"
    start = ("deployment", "run", "train-stage/local", *train_parameters(data, run))
    with worker(deployed, tmp_path / "worker.log") as process:
        prefect(*start, env=deployed)
        deadline = time.monotonic() + 240
        while not list(run.glob("checkpoints/step-*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert kill_all(process) >= 3, "worker, flow and training"
    reached = max(int(path.name.removeprefix("step-")) for path in run.glob("checkpoints/step-*"))
    assert reached < STEPS, "the training ended before it was killed"
    with worker(deployed, tmp_path / "worker.log"):
        prefect(*start, "--watch", env=deployed)
    assert weights(run) == weights(trained)

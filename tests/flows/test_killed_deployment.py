"""Power failures of a whole worker, its flow and the training that the flow started."""

import json
import subprocess
import time
from typing import Any

import psutil

from tests.flows.conftest import SETTINGS, STEPS, deploy_all, prefect, weights, worker


def kill_all(process: subprocess.Popen[Any]) -> int:
    """kill -9 a worker, its flow and the training that the flow started; returns how many there were."""
    victims = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for victim in victims:
        victim.kill()
    psutil.wait_procs(victims)
    process.wait()
    return len(victims)


def test_a_training_whose_worker_is_killed_ends_in_the_next_run_with_the_undisturbed_weights(
    data, trained, server, tmp_path
):
    run, env = tmp_path / "run", deploy_all(server)
    values = {"stage": "starter", "data": str(data), "run": str(run), "settings": json.dumps(SETTINGS)}
    given = [f"--param={name}={value}" for name, value in values.items()]
    start = ("deployment", "run", "train-stage/local", *given)
    with worker(env, tmp_path / "worker.log") as process:
        prefect(*start, env=env)
        deadline = time.monotonic() + 240
        while not list(run.glob("checkpoints/step-*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert kill_all(process) >= 3, "worker, flow and training"
    reached = max(int(path.name.removeprefix("step-")) for path in run.glob("checkpoints/step-*"))
    assert reached < STEPS, "the training ended before it was killed"
    with worker(env, tmp_path / "worker.log"):
        prefect(*start, "--watch", env=env)
    assert weights(run) == weights(trained)

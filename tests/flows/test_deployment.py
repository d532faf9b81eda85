"""The README's way through Prefect: a real server, a process worker, a deployment."""

import json
import subprocess
import sys
from pathlib import Path

from tests.flows.conftest import FRAMES, stop

ROOT = Path(__file__).parents[2]


def prefect(*arguments: str, env: dict[str, str]) -> str:
    """Run the prefect command line in the repository."""
    command = [sys.executable, "-m", "prefect", *arguments]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_deployment_builds_a_data_set_on_a_real_server_and_worker(raw, server, tmp_path):
    prefect("work-pool", "create", "local", "--type", "process", env=server)
    prefect("--no-prompt", "deploy", "--all", env=server)
    log = (tmp_path / "worker.log").open("wb")
    worker = subprocess.Popen(
        [sys.executable, "-m", "prefect", "worker", "start", "--pool", "local"],
        env=server, cwd=ROOT, stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip
    config = {"clips": {"frames": FRAMES}, "variants": {"count": 0}, "workers": 1}
    data = tmp_path / "data"
    try:
        parameters = [f"--param=raw={raw}", f"--param=data={data}", f"--param=config={json.dumps(config)}"]
        prefect("deployment", "run", "build-dataset/local", *parameters, "--watch", env=server)
    finally:
        stop(worker)
        log.close()
    report = json.loads((data / "last_run.json").read_text())
    assert report["total_samples"] == report["total_clips_ok"] > 0
    artifacts = json.loads(prefect("artifact", "ls", "--output", "json", env=server) or "[]")
    assert {"clips-by-verdict", "build-counters"} <= {artifact["key"] for artifact in artifacts}

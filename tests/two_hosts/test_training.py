"""A training over two hosts that share no folder: the weights of two processes on one, whatever was killed."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_catalog.base.files import write_json
from data_catalog.base.paths import DataFolder, RunFolder
from data_catalog.base.store import Store
from model.data.latents import encode_dataset
from model.runs.checkpoint import list_checkpoints
from pipeline.config import BuildConfig
from tests.model.dataset import ENCODE, NETWORK, make_dataset, micro_encode
from tests.object_store import environment as s3_environment
from tests.object_store import make_bucket, s3_server
from tests.stored import put_folder
from tests.two_hosts.hosts import (
    GATEWAY,
    Host,
    clean_environment,
    cluster,
    end,
    hosts,
    kill,
    need_rights,
    on_cluster,
    start_ray,
)

pytest.importorskip("ray")
pytest.importorskip("obstore")

STEPS = 400
SETTINGS = {
    "batch": 4, "steps": STEPS, "checkpoint_every": 20, "validate_every": 1000, "sample_every": 1000, "workers": 0,
    "holdout": 0.3, "device": "cpu", "keep": 2,
    **{f"encode.{name}": value for name, value in ENCODE.items()},
    **{f"network.{name}": json.dumps(value) for name, value in NETWORK.items()},
}  # fmt: skip
MIRROR = """
import sys
from data_catalog.base.mirror import Mirror
from data_catalog.base.store import Store
from data_catalog.base.mirror import mirror_of
store = Store.at(sys.argv[1])
Mirror(store, mirror_of(store.url)).pull()
store.fetch("catalog.duckdb", mirror_of(store.url) / "catalog.duckdb")
"""


def train(data: str, run: Path) -> list[str]:
    """The command."""
    words = [sys.executable, "-m", "flows.cli", "train", "starter", "--data", data, "--run", str(run)]
    return [*words, "--processes", "2", *(f"--set={name}={value}" for name, value in SETTINGS.items())]


def state_of(run: Path) -> dict[str, bytes]:
    """All that the newest checkpoint has of weights, averages, Adam and generators."""
    newest, *_ = list_checkpoints(RunFolder(run).checkpoints)
    return {path.name: path.read_bytes() for path in [newest / "progress.json", *newest.glob("*.safetensors")]}


def until_step(running: subprocess.Popen[bytes], run: Path, step: int) -> None:
    """Wait for a checkpoint of that step or a later one."""
    deadline = time.monotonic() + 300
    while max((int(path.name[5:]) for path in list_checkpoints(RunFolder(run).checkpoints)), default=0) < step:
        assert running.poll() is None, "the command ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def killed_at(host: Host, command: list[str], env: dict[str, str], run: Path, step: int, victim) -> str:
    """What a command says that loses what `victim` kills once it has that checkpoint."""
    with subprocess.Popen(host.command(command), env=env, cwd="/", stderr=subprocess.PIPE) as running:
        until_step(running, run, step)
        victim()
        said = running.communicate(timeout=300)[1].decode()
    assert running.returncode == 2, said
    [sentence] = [line for line in said.splitlines() if line.startswith("longdance: ")]
    return sentence


@pytest.mark.soak
def test_a_training_over_two_hosts_ends_with_the_weights_of_one_whatever_was_killed(tmp_path, monkeypatch):
    need_rights()
    data, alone = make_dataset(tmp_path / "data", sources=6), tmp_path / "alone"
    encode_dataset(data, micro_encode())
    write_json(DataFolder(data).build_record, {"raw": "", "config": BuildConfig().model_dump(mode="json")})
    with hosts(share_folders=False) as both, s3_server(GATEWAY) as s3:
        for name, value in s3_environment(s3).items():
            monkeypatch.setenv(name, value)
        make_bucket(s3, "data")
        store = Store("s3://data/dance")
        put_folder(data, store)
        store.create("catalog.duckdb", data / "catalog.duckdb")
        more = s3_environment(s3)
        with cluster(both, more) as address:
            env = on_cluster(both[0], address, more)
            both[0].run(sys.executable, "-c", MIRROR, store.url, env=env)
            run = both[0].folder / "run"
            seen = both[0].sees(run)
            command = train(store.url, run)

            def kill_process() -> None:
                assert len(both[1].pids(part="model.training.train")) == 1
                kill(both[1], part="model.training.train")

            said = killed_at(both[0], command, env, seen, 40, kill_process)
            assert f"The process on host {both[1].address} ended with exit code -9" in said
            assert "run the same command again, it resumes at the newest checkpoint" in said
            said = killed_at(both[0], command, env, seen, 100, lambda: end(both[1]))
            assert f"Host {both[1].address} was lost" in said
            start_ray(both[1], address, more)
            done = both[0].run(*command, env=env)
            assert f"finished at step {STEPS}" in done.stdout
            over_two = state_of(seen)
            assert json.loads((seen / "run.json").read_bytes())["identity"]["processes"] == 2
    subprocess.run(train(str(data), alone), env=clean_environment(), check=True, capture_output=True, timeout=300)
    on_one = state_of(alone)
    assert over_two.keys() == on_one.keys()
    assert [name for name in over_two if over_two[name] != on_one[name]] == []

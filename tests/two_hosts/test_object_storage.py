"""Two hosts that share no folder: a bucket is all that they have in common, and it fails a tenth of its requests."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from data_catalog.base.store import Store
from tests.model.dataset import ENCODE
from tests.object_store import environment as s3_environment
from tests.object_store import failing_before, s3_server
from tests.stored import files_below
from tests.two_hosts.hosts import (
    GATEWAY,
    clean_environment,
    cluster,
    draw_videos,
    end,
    fill_buckets,
    hosts,
    kill,
    models,
    need_rights,
    on_cluster,
    start_ray,
)

pytest.importorskip("ray")
pytest.importorskip("obstore")

SMALL = ("--frames", "25", "--variants", "1", "--set", "crop.shape=128", "--set", "analysis.proxy_px=256")
SMALLER = [f"--set=encode.{name}={value}" for name, value in ENCODE.items()]
SOON_S = 900


def build(raw: str, data: str) -> list[str]:
    """The command; small shards, so that there are several."""
    return [sys.executable, "-m", "flows.cli", "build", raw, "--data", data, *SMALL, "--set", "shards.samples=4"]


@contextmanager
def killed(words: Sequence[str], env: Mapping[str, str], said: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A command that runs within the block, and not for longer; what it says goes into a file."""
    with said.open("wb") as file, subprocess.Popen(words, env=env, stderr=file, cwd="/") as process:
        try:
            yield process
        finally:
            process.kill()


def until(there: Callable[[], object], running: subprocess.Popen[bytes]) -> None:
    """Wait for something to be there while a command runs."""
    deadline = time.monotonic() + SOON_S
    while not there():
        assert running.poll() is None, "the command ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.3)


@pytest.mark.soak
def test_killed_workers_raylets_and_heads_and_a_failing_store_leave_the_same_shards(tmp_path, monkeypatch):
    need_rights()
    raw, alone = tmp_path / "raw", tmp_path / "alone"
    draw_videos(raw, (12, 14, 15, 16), 55)
    local = clean_environment()
    subprocess.run(build(str(raw), str(alone)), env=local, check=True, capture_output=True, timeout=900)

    with hosts(share_folders=False) as both, s3_server(GATEWAY) as s3, failing_before(s3, 0.1, GATEWAY) as (flaky, _):
        fill_buckets(s3, raw, monkeypatch)
        data = Store("s3://data/dance")
        more = {**s3_environment(flaky), **models()}
        with cluster(both, more) as address:
            env = on_cluster(both[0], address, more)
            words = both[0].command(build("s3://raw/in", data.url))

            def found(prefix: str) -> list[str]:
                return [info.key for info in data.listed() if info.key.startswith(prefix)]

            with killed(words, env, tmp_path / "stderr") as first:
                until(lambda: both[1].pids("ray::Worker.run"), first)
                kill(both[1], "ray::Worker")  # while it works
                until(lambda: found("clips/"), first)
                end(both[1])  # the host goes down, raylet and all
                until(lambda: found("shards/"), first)
            assert found("lease.json")
            start_ray(both[1], address, more)
            last = both[0].run(*words[words.index("--") + 1 :], env=env)
            assert both[1].worked()
            encode = [sys.executable, "-m", "flows.cli", "encode", *SMALLER, "--data"]
            both[0].run(*encode, data.url, env=env)
        made = {info.key: data.read(info.key)[0] for info in data.listed()}
    assert "Traceback" not in last.stderr
    assert {Path(key).name: body for key, body in made.items() if key.startswith("shards/")} == {
        path.name: path.read_bytes() for path in (alone / "shards").iterdir()
    }
    subprocess.run([*encode, str(alone)], env=local, check=True, capture_output=True, timeout=900)
    latents = {key: body for key, body in made.items() if key.partition("/")[0] in ("latents", "codecs")}
    assert latents == files_below(alone, "latents") | files_below(alone, "codecs")
    assert "lease.json" not in made
    assert {"build.json", "last_run.json", "catalog.duckdb"} <= set(made)

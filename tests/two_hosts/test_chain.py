"""From videos in a bucket to a new one, over two hosts that share no folder: one machine's bytes at every step."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from data_catalog.base.store import Store
from data_catalog.connection import open_catalog
from tests.model.dataset import ENCODE, NETWORK
from tests.object_store import SECRETS, s3_server
from tests.object_store import environment as s3_environment
from tests.stored import files_below, objects_below
from tests.two_hosts.hosts import (
    GATEWAY,
    clean_environment,
    cluster,
    draw_videos,
    fill_buckets,
    hosts,
    models,
    need_rights,
    on_cluster,
    written_with,
)
from tests.two_hosts.test_object_storage import SMALL
from tests.two_hosts.test_training import state_of

pytest.importorskip("ray")
pytest.importorskip("obstore")

SETTINGS = {
    "batch": 2, "steps": 3, "checkpoint_every": 3, "validate_every": 9, "sample_every": 9, "workers": 0,
    "device": "cpu", **{f"encode.{name}": value for name, value in ENCODE.items()},
    **{f"network.{name}": json.dumps(value) for name, value in NETWORK.items()},
}  # fmt: skip


def build(raw: str, data: str) -> list[str]:
    """Several small shards."""
    return ["build", raw, "--data", data, *SMALL, "--set", "shards.samples=2"]


def train(data: str, run: Path) -> list[str]:
    """Two processes, after the latents."""
    settings = [f"--set={name}={value}" for name, value in SETTINGS.items()]
    return ["train", "any", "--data", data, "--run", str(run), "--processes", "2", *settings]


def prune(data: str, run: Path) -> list[str]:
    """Scores, then a version."""
    scoring = ["--set", "scoring.k=4", "--set", "scoring.bank.bins=2", "--set", "scoring.device=cpu"]
    policy = ["--score", "high_loss", "--fraction", "0.3", "--set", "policy.strata=none"]
    return ["prune", "--data", data, "--run", str(run), *policy, *scoring]


def generate(data: str, run: Path, clip: str, out: Path) -> list[str]:
    """A short video."""
    size = ["--frames", "10", "--steps", "2", "--plan", "streaming", "--gif-mb", "0", "--set", "device=cpu"]
    return ["generate", "--runs", str(run), "--data", data, "--clip", clip, "--out", str(out), *size]


@pytest.mark.soak
def test_build_train_prune_and_generate_over_two_hosts_make_what_one_machine_makes(tmp_path, monkeypatch):
    need_rights()
    raw, alone, run_here = tmp_path / "raw", tmp_path / "alone", tmp_path / "run"
    draw_videos(raw, (12, 14, 15), 30)

    def here(words: list[str]) -> None:
        command = [sys.executable, "-m", "flows.cli", *words]
        done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]

    with hosts(share_folders=False) as both, s3_server(GATEWAY) as s3:
        fill_buckets(s3, raw, monkeypatch)
        data, more = Store("s3://data/dance"), {**s3_environment(s3), **models()}
        run, seen = both[0].folder / "run", both[0].sees(both[0].folder)
        with cluster(both, more) as address:
            env = on_cluster(both[0], address, more)

            def over_two(words: list[str]) -> None:
                both[0].run(sys.executable, "-m", "flows.cli", *words, env=env)

            over_two(build("s3://raw/in", data.url))
            over_two(train(data.url, run))
            over_two(prune(data.url, run))
            shutil.copytree(seen / "run", tmp_path / "copied", ignore=shutil.ignore_patterns("lock"))
            data.fetch("catalog.duckdb", tmp_path / "asked.duckdb")
            with open_catalog(tmp_path / "asked.duckdb", read_only=True) as con:
                [(clip,)] = con.execute("SELECT min(clip_id) FROM samples").fetchall()
            over_two(generate(data.url, run, clip, both[0].folder / "made.mp4"))
            video = (seen / "made.mp4").read_bytes()
            assert all(host.worked() for host in both)
        assert [found for host in both for found in written_with(host, SECRETS)] == []
        made = objects_below(data, "")

    def below(folder: str) -> dict[str, bytes]:
        return {key: body for key, body in made.items() if key.partition("/")[0] == folder}

    here(build(str(raw), str(alone)))
    assert below("shards") == files_below(alone, "shards")
    here(train(str(alone), run_here))
    assert below("latents") == files_below(alone, "latents")
    assert below("codecs") == files_below(alone, "codecs")
    assert state_of(tmp_path / "copied") == state_of(run_here)
    here(prune(str(alone), tmp_path / "copied"))
    for folder in ("ledger", "versions", "worth"):
        assert below(folder) == files_below(alone, folder)
        assert files_below(alone, folder)
    here(generate(str(alone), tmp_path / "copied", clip, tmp_path / "made.mp4"))
    assert video == (tmp_path / "made.mp4").read_bytes()

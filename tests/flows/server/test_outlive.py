"""A server that is closed or restarted in the middle of a build, a training, a scoring or a generation ends none."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from data_catalog.connection import open_catalog
from tests.flows.conftest import (
    command,
    free_port,
    prefect_env,
    rows_of,
    shards_of,
    start_server,
    stop,
    train,
    weights,
)

MINUTES_S = 400  # a hang fails, whatever else the machine does


class Server:
    """A real server that can be killed, and started again on its database and port."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        self.process = start_server(home, self.port)
        self.env = prefect_env(home, self.port) | {"OMP_NUM_THREADS": "1"}

    def kill(self) -> None:
        stop(self.process)

    def restart(self) -> None:
        self.kill()
        self.process = start_server(self.home, self.port)


@pytest.fixture
def own(home: Path) -> Iterator[Server]:
    """A server for one test, on a home that was migrated before."""
    server = Server(home)
    yield server
    server.kill()


@contextmanager
def begun(words: list[str], env: dict[str, str], there: Callable[[], Any]) -> Iterator[subprocess.Popen[str]]:
    """A command that has come so far that something is there."""
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + MINUTES_S
        while not there():
            assert process.poll() is None, "it ended before the server was touched: " + process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        try:
            yield process
        finally:
            process.kill()


def end(process: subprocess.Popen[str]) -> str:
    """What a command said on standard error, once it has ended well."""
    out, err = process.communicate(timeout=MINUTES_S)
    assert process.returncode == 0, out + err
    assert "Traceback" not in err
    told = [line for line in err.splitlines() if not re.match(r"\w+: \d+ of \d+|W0000 ", line)]  # but for progress
    assert len(told) <= 3, err
    return err


def longdance(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "flows.cli", *map(str, words)]


def test_a_build_ends_as_ever_when_the_server_is_restarted_in_its_middle(raw, data, own, tmp_path):
    made = tmp_path / "made"
    with begun(command(raw, made), own.env, lambda: list(made.glob("clips/*/*.json"))) as process:
        own.restart()
        end(process)
    assert shards_of(made) == shards_of(data)
    assert [row[1:] for row in rows_of(made)["samples"]] == [row[1:] for row in rows_of(data)["samples"]]


@pytest.mark.parametrize("restarted", [True, False])
def test_a_training_ends_with_the_undisturbed_weights_whether_the_server_comes_back_or_not(
    restarted, data, trained, own, tmp_path
):
    run = tmp_path / "run"
    env = own.env | ({} if restarted else {"PREFECT_CLIENT_MAX_RETRIES": "2"})
    with begun(train(data, run), env, lambda: list(run.glob("checkpoints/step-*"))) as process:
        own.restart() if restarted else own.kill()
        said = end(process)
    assert weights(run) == weights(trained)
    assert ("did not hear how this run ended" in said) is not restarted


def test_a_scoring_ends_as_ever_when_the_server_is_restarted_in_its_middle(data, trained, own):
    words = longdance("score", "--run", trained, "--data", data, "--k", "8")
    with begun(words, own.env, lambda: list(data.glob("ledger/**/*"))) as process:
        own.restart()
        end(process)
    with open_catalog(data / "catalog.duckdb", read_only=True) as con:
        assert con.execute(
            "SELECT count(DISTINCT sample_key) = (SELECT count(*) FROM samples) FROM losses"
        ).fetchall() == [(True,)]


@pytest.mark.parametrize("restarted", [True, False])
def test_a_generation_ends_whether_the_server_comes_back_or_not(restarted, data, trained, own, tmp_path):
    clip = rows_of(data)["samples"][0][1]
    out = tmp_path / "dance.mp4"
    words = longdance("generate", "--runs", trained, "--data", data, "--clip", clip, "--out", out)
    small = ["--frames", "7", "--steps", "12", "--gif-mb", "0"]
    env = own.env | ({} if restarted else {"PREFECT_CLIENT_MAX_RETRIES": "2"})
    with begun([*words, *small], env, lambda: list(tmp_path.glob("*dance*"))) as process:
        own.restart() if restarted else own.kill()
        end(process)
    assert out.stat().st_size > 0
    assert out.with_suffix(".html").is_file()


def test_a_mistake_of_the_user_is_one_sentence(raw, own, tmp_path):
    """The second build finds the lock of the first."""
    with begun(command(raw, tmp_path / "made"), own.env, lambda: (tmp_path / "made" / ".lock").is_file()) as first:
        done = subprocess.run(
            command(raw, tmp_path / "made"), env=own.env, capture_output=True, text=True, timeout=MINUTES_S, check=False
        )
        assert done.returncode == 2
        assert done.stderr.splitlines() == [
            f"longdance: Another build is at work in {tmp_path / 'made'}: wait until it has ended."
        ]
        first.kill()

"""Where a user's Prefect cannot be used, every command says so in one sentence and runs on."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.flows.conftest import SMALL, rows_of

SOON_S = 60.0  # it was 134 s, and takes 3 alone
PROFILE = """active = "mine"
[profiles.mine]
PREFECT_API_URL = "{url}"
{more}
"""


def profile(home: Path, url: str, more: str = "") -> dict[str, str]:
    (home / ".prefect").mkdir(parents=True)
    (home / ".prefect" / "profiles.toml").write_text(PROFILE.format(url=url, more=more))
    return {"HOME": str(home)}


def dead_server(home: Path) -> dict[str, str]:
    return profile(home, "http://127.0.0.1:9/api")


def cloud(home: Path) -> dict[str, str]:
    return profile(home, "https://api.prefect.cloud.invalid/api/accounts/a/workspaces/b", 'PREFECT_API_KEY = "pnu_0"')


def other_database(home: Path) -> dict[str, str]:
    (home / ".prefect").mkdir(parents=True)
    with closing(sqlite3.connect(home / ".prefect" / "prefect.db")) as con:
        con.execute("CREATE TABLE alembic_version (version_num TEXT)")
        con.execute("INSERT INTO alembic_version VALUES ('0123456789ab')")
        con.commit()
    return {"HOME": str(home)}


def no_home(home: Path) -> dict[str, str]:
    """Nor a way to anything but this machine."""
    return {"HOME": "/proc/nothing", "http_proxy": "http://127.0.0.1:9"}


FAULTS = {
    dead_server: ("127.0.0.1:9/api does not answer", "prefect config unset PREFECT_API_URL --yes"),
    cloud: ("api.prefect.cloud.invalid/api/accounts/a/workspaces/b does not answer", "prefect config unset"),
    other_database: ("prefect.db is of another version of Prefect", "move"),
    no_home: ("/proc/nothing/.prefect cannot be written", "PREFECT_HOME"),
}


def environment(given: dict[str, str], pose_model: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return clean | {"OMP_NUM_THREADS": "1", "LONGDANCE_POSE_MODEL": str(pose_model)} | given


def longdance(*words: str) -> list[str]:
    return [sys.executable, "-m", "flows.cli", *words]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_build_says_soon_what_is_wrong_and_runs_on_with_a_prefect_of_its_own(fault, raw, data, pose_model, tmp_path):
    env, (cause, mend) = environment(fault(tmp_path / "home"), pose_model), FAULTS[fault]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    before, began = rows_of(data)["samples"], time.monotonic()
    words = longdance("build", str(raw), "--data", str(data), *SMALL)
    with subprocess.Popen(
        words, env=env | {"TMPDIR": str(temporary)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        assert time.monotonic() - began < SOON_S
        assert cause in first
        assert mend in first
        _, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, ""), "one sentence is all"
    assert rows_of(data)["samples"] == before
    assert list(temporary.glob("longdance-*")) == []


def test_a_build_that_is_stopped_leaves_nothing_of_a_prefect_of_its_own(raw, pose_model, tmp_path):
    env = environment(no_home(tmp_path), pose_model) | {"TMPDIR": str(tmp_path)}
    words = longdance("build", str(raw), "--data", str(tmp_path / "data"), *SMALL)
    with subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        process.stderr.readline()
        deadline = time.monotonic() + SOON_S
        while not list(tmp_path.glob("longdance-*/*")):  # its server is at work there
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SOON_S)
    assert process.returncode == 130
    assert list(tmp_path.glob("longdance-*")) == []


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_doctor_knows_it(fault, pose_model, tmp_path):
    env, (cause, mend) = environment(fault(tmp_path / "home"), pose_model), FAULTS[fault]
    done = subprocess.run(
        longdance("doctor", "--format", "json"), env=env, capture_output=True, text=True, timeout=SOON_S, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert cause in done.stdout
    assert mend in done.stdout


USES = {
    "build": ["RAW", "--data", "DATA"],
    "encode": ["--data", "DATA"],
    "train": ["starter", "--data", "DATA", "--run", "RUN"],
    "score": ["--data", "DATA", "--run", "RUN"],
    "prune": ["--data", "DATA", "--run", "RUN"],
    "experiment": ["prune", "--data", "DATA", "--run", "RUN", "--out", "OUT"],
    "generate": ["--runs", "RUN", "--image", "picture.png", "--out", "out.mp4"],
}
"""Every command that runs a flow."""


def test_a_setting_of_prefects_that_is_none_is_named(raw, pose_model, tmp_path):
    env = environment({"PREFECT_HOME": str(tmp_path), "PREFECT_CLIENT_MAX_RETRIES": "many"}, pose_model)
    words = longdance("build", str(raw), "--data", str(tmp_path / "data"))
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=SOON_S, check=False)
    assert done.returncode == 2
    assert "max_retries Input should be a valid integer" in done.stderr
    assert len(done.stderr.splitlines()) == 1

"""A real Prefect server for the whole session, and `longdance` as a user runs it: in a process of its own."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from data_catalog.base.files import sha256_file
from pipeline.synthetic.synth import SynthVideo, write_video
from tests.conftest import once

ROOT = Path(__file__).parents[2]
PREFECT = Path(sys.executable).parent / "prefect"
SERVER_STARTS_S = 180.0  # on a machine that tests beside it
FRAMES = 25  # a short clip: what is tested here is order and survival, not length
SMALL = ["--frames", str(FRAMES), "--variants", "1", "--workers", "2", "--set=landmarks.every_frame=false"]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stop(process: subprocess.Popen[Any]) -> None:
    """Kill a process group and wait."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def start_server(home: Path, port: int) -> subprocess.Popen[bytes]:
    """Start `prefect server` and wait until it answers; one that ends, or whose port is taken, is not waited for."""
    home.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)), f"the Prefect server ended before it began: {port} is taken"
    env = prefect_env(home, None) | {"PREFECT_SERVER_UI_API_URL": f"http://127.0.0.1:{port}/api"}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "server.log").open("ab") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + SERVER_STARTS_S
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=2):
            return process
        time.sleep(0.2)
    ended = f"ended with exit code {process.poll()}" if process.poll() is not None else "does not answer"
    stop(process)
    raise AssertionError(f"the Prefect server {ended}: " + (home / "server.log").read_text()[-2000:])


def prefect_env(home: Path, port: int | None) -> dict[str, str]:
    """An environment with a Prefect home of its own and, with a port, that server."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    env |= {"PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    env |= {"PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180"}
    return env | ({"PREFECT_API_URL": f"http://127.0.0.1:{port}/api"} if port else {})


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Prefect's database as its migrations leave it, which take longer than what is tested. Copy it."""

    def make(home: Path) -> None:
        command = [str(PREFECT), "server", "database", "upgrade", "--yes"]
        subprocess.run(command, env=prefect_env(home, None), capture_output=True, check=True)
        assert (home / "prefect.db").stat().st_size > 100_000

    return once(tmp_path_factory, "prefect-database", make)


@pytest.fixture
def home(database: Path, tmp_path: Path) -> Path:
    """A Prefect home of a test's own, on a migrated database."""
    return Path(shutil.copytree(database, tmp_path / "prefect"))


@pytest.fixture(scope="session")
def server(database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a session-wide real server."""
    home, port = Path(shutil.copytree(database, tmp_path_factory.mktemp("server") / "prefect")), free_port()
    process = start_server(home, port)
    yield prefect_env(home, port)
    stop(process)


def prefect(
    *arguments: str, env: dict[str, str], check: bool = True, folder: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run the prefect command line in the repository, as a shell would: prefect.yaml reads the folder from PWD."""
    command = [str(PREFECT), *arguments]
    done = subprocess.run(
        command, env=env | {"PWD": str(folder)}, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def deploy_all(server: dict[str, str]) -> dict[str, str]:
    """The environment of a server that knows the pool and all deployments, on one thread, as the README does it."""
    env = server | {"OMP_NUM_THREADS": "1"}
    prefect("work-pool", "create", "local", "--type", "process", "--overwrite", env=env)
    prefect("--no-prompt", "deploy", "--all", env=env)
    return env


@contextmanager
def worker(env: dict[str, str], log: Path, folder: Path = ROOT) -> Iterator[subprocess.Popen[Any]]:
    """A process worker on the pool, started in a folder, for as long as the block lasts."""
    command, env = [str(PREFECT), "worker", "start", "--pool", "local"], env | {"PREFECT_WORKER_QUERY_SECONDS": "1"}
    with log.open("ab") as file:
        process = subprocess.Popen(command, env=env, cwd=folder, stdout=file, stderr=file, start_new_session=True)
        try:
            yield process
        finally:
            stop(process)


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three short videos of drawn dancers: one has a moving camera, one is too slow."""
    specs = [
        SynthVideo(name="first", seed=11, width=360, height=640, fps="30", frames=80, standing=0.42),
        SynthVideo(name="second", seed=12, width=480, height=480, fps="25", frames=60, standing=0.5),
        SynthVideo(name="slow", seed=13, width=360, height=640, fps="15", frames=40, standing=0.42),
    ]
    return once(tmp_path_factory, "flows-raw", lambda folder: [write_video(spec, folder) for spec in specs])


def command(raw: Path, data: Path, *more: str) -> list[str]:
    """`longdance build` at the small size."""
    return [sys.executable, "-m", "flows.cli", "build", str(raw), "--data", str(data), *SMALL, *more]


def build(raw: Path, data: Path, env: dict[str, str], *more: str) -> dict[str, Any]:
    """Run a build to its end; its counters."""
    done = subprocess.run(command(raw, data, *more), env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads((data / "last_run.json").read_text()))


STEPS = 20
SETTINGS: dict[str, Any] = {
    "steps": STEPS, "batch": 2, "checkpoint_every": 2, "validate_every": 10, "sample_every": 10, "sample_steps": 2,
    "holdout": 0, "encode": {"picture": 48, "fit_frames": 16},
}  # fmt: skip


def train(data: Path, run: Path, *more: str) -> list[str]:
    """`longdance train starter` at a size that takes seconds."""
    flat = {**SETTINGS, **{f"encode.{name}": value for name, value in SETTINGS["encode"].items()}}
    settings = [f"--set={name}={value}" for name, value in flat.items() if name != "encode"]
    command = [sys.executable, "-m", "flows.cli", "train", "starter", "--data", str(data), "--run", str(run)]
    return [*command, *settings, *more]


def run_to_end(command: list[str], env: dict[str, str], folder: Path | None = None) -> subprocess.CompletedProcess[Any]:
    """Run one command of longdance, in a folder or here."""
    return subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False)


def weights(run: Path) -> dict[str, str]:
    """The sha256 of the last checkpoint's parts."""
    folder = run / "checkpoints" / f"step-{STEPS:08d}"
    return {path.name: sha256_file(path) for path in sorted(folder.iterdir())}


@pytest.fixture(scope="session")
def undisturbed(raw: Path, server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set that was built without trouble. Read only: all test processes share it."""
    return once(tmp_path_factory, "flows-data", lambda folder: build(raw, folder, server))


@pytest.fixture(scope="session")
def data(undisturbed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built data set to train on. Runs are all that is added to it."""
    return Path(shutil.copytree(undisturbed, tmp_path_factory.mktemp("train") / "data"))


@pytest.fixture(scope="session")
def trained(data: Path, server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed, on one thread. Read only."""
    run = tmp_path_factory.mktemp("trained") / "run"
    done = run_to_end(train(data, run), server | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    return run


def shards_of(data: Path) -> dict[str, bytes]:
    """Every shard's and manifest's bytes by name."""
    return {path.name: path.read_bytes() for path in sorted((data / "shards").iterdir())}


def rows_of(data: Path) -> dict[str, list[Any]]:
    """Every row of the catalog that a build writes, in a fixed order."""
    from data_catalog.connection import open_catalog

    with open_catalog(data / "catalog.duckdb", read_only=True) as con:
        return {
            view: sorted(con.execute(f"SELECT * FROM {view}").fetchall(), key=repr)
            for view in ("paths", "sources", "clips", "samples", "shards", "thresholds")
        }


def temps_in(data: Path) -> list[Path]:
    """Half-written files."""
    return [path for path in data.rglob("*") if path.name.startswith(".tmp-")]

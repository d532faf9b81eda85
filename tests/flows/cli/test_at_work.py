"""Where another process is at work, a command says so before Prefect, and a server of its own, are started."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from data_catalog.base.at_work import Work, building, generating, scoring, training
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog

ASK = """
import sys
from flows.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    print(end.code, "prefect" in sys.modules)
"""
HOLD = """
import sys
from pathlib import Path
from data_catalog.base.locks import in_turn
with in_turn(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def at_work(work: Work) -> Iterator[None]:
    """Another process that holds the lock, as a build or a training does."""
    command = [sys.executable, "-c", HOLD, str(work.lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        try:
            yield
        finally:
            other.communicate("")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """RAW with a file, DATA with a catalog."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.mp4").write_bytes(b"no video, but a file")
    with open_catalog(tmp_path / "data" / "catalog.duckdb"):
        pass
    return tmp_path


DATA = ["--data", "data"]
COMMANDS = {
    "build": ["build", "raw", *DATA],
    "train": ["train", "starter", *DATA, "--run", "run"],
    "score": ["score", *DATA, "--run", "run"],
    "prune": ["prune", *DATA, "--run", "run"],
    "experiment": ["experiment", "prune", *DATA, "--run", "run", "--out", "out"],
    "generate": ["generate", "--runs", "run", "--image", "me.png", "--out", "me.mp4"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_whose_work_is_being_done_is_refused_before_prefect_is_started(name: str, folder: Path) -> None:
    works = {
        "build": building(DataFolder(folder / "data")),
        "train": training(folder / "run"),
        "generate": generating(folder / "me.mp4"),
    }
    work = works.get(name, scoring(folder / "data"))
    with at_work(work):
        command = [sys.executable, "-c", ASK, *COMMANDS[name]]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.stderr == f"longdance: {work.busy}\n"
    assert done.stdout == "2 False\n"


def test_who_only_looks_makes_nothing_and_keeps_nobody_out(tmp_path: Path) -> None:
    work = training(tmp_path / "run")
    work.check()
    assert list(tmp_path.iterdir()) == []
    with work.alone():
        pass
    work.check()
    with work.alone():
        pass

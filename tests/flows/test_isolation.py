"""In a folder of modules that have the names of ours, of Python's and of libraries, everything runs as anywhere."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from data_catalog.base.files import read_json
from data_catalog.connection import open_catalog
from tests.flows.conftest import SMALL, prefect, prefect_env, worker
from tests.model.dataset import ENCODE, make_dataset

BIN = Path(sys.executable).parent
OURS = ["model.py", "data_catalog.py", "pipeline/__init__.py"]
FILES = [
    *OURS, "flows.py",
    "json.py", "pickle.py", "random.py", "multiprocessing.py",
    "torch.py", "numpy.py", "accelerate.py", "prefect.py", "uvicorn.py", "click.py",
]  # fmt: skip
FOREIGN = """
with open({mark!r}, "a") as file:
    print(__file__, file=file)
raise RuntimeError("a foreign module was imported: " + __file__)
"""
SETTINGS: dict[str, Any] = {
    "steps": 2, "batch": 2, "checkpoint_every": 2, "validate_every": 50, "sample_every": 50, "encode": ENCODE,
}  # fmt: skip
ENCODING = [f"--set=encode.{name}={value}" for name, value in ENCODE.items()]
TRAINING = [*ENCODING, *(f"--set={name}={value}" for name, value in SETTINGS.items() if name != "encode")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder. Each of its modules leaves a mark beside the folder where it is run, and raises."""
    folder = tmp_path / "folder"
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(FOREIGN.format(mark=str(tmp_path / "marks")))
    return folder


def longdance(folder: Path, env: dict[str, str], *arguments: str) -> str:
    """Run the installed command in the folder, as a user does; what it printed."""
    return run([str(BIN / "longdance"), *arguments], folder, env)


def run(command: list[str], folder: Path, env: dict[str, str]) -> str:
    env = env | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    marks = folder.parent / "marks"
    assert not marks.exists(), f"{command} ran {marks.read_text()}"
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_drawing_and_building_import_nothing_from_the_folder(folder, raw, server):
    longdance(folder, server, "synth", "drawn", "--videos", "1", "--workers", "1")
    assert len(list((folder / "drawn").glob("*.mp4"))) == 1
    (folder / "raw").mkdir()
    (folder / "raw" / "second.mp4").hardlink_to(raw / "second.mp4")
    longdance(folder, server, "build", "raw", "--data", "data", *SMALL, "--set=landmarks.every_frame=true")
    assert read_json(folder / "data" / "last_run.json")["total_samples"] > 0


def test_all_that_is_done_with_a_data_set_imports_nothing_from_the_folder(folder, server, home):
    """The training encodes first, by accelerate's launcher; the prune scores first, by a child alone."""
    make_dataset(folder / "data")
    own_server = prefect_env(home, None)  # this command starts it, and it is a child like any other
    more = ["--data", "data", "--run", "two", "--processes", "2", *TRAINING]
    longdance(folder, own_server, "train", "starter", *more)
    assert read_json(folder / "two" / "run.json")["identity"]["processes"] == 2
    pruned = ["--score", "random", "--fraction", "0.5", "--name", "lean", "--set", "policy.motion_strata=2"]
    longdance(folder, server, "prune", "--run", "two", "--data", "data", *pruned)
    with open_catalog(folder / "data" / "catalog.duckdb", read_only=True) as con:
        assert con.execute("SELECT count(*) > 0 FROM losses").fetchall() == [(True,)]
        assert ("lean",) in con.execute("SELECT version FROM versions").fetchall()
    made = ["--out", "long.mp4", "--frames", "7", "--steps", "1", "--gif-mb", "0"]
    longdance(folder, server, "generate", "--runs", "two", "--data", "data", "--clip", "s0c0", *made)
    longdance(folder, server, "report", "--data", "data")
    assert (folder / "long.mp4").is_file()
    assert (folder / "data" / "report.html").is_file()


def test_a_deployment_that_is_made_for_the_folder_on_a_worker_in_it_imports_nothing_from_it(folder, server):
    make_dataset(folder / "data")
    env = server | {"OMP_NUM_THREADS": "1"}
    prefect("work-pool", "create", "local", "--type", "process", "--overwrite", env=env)
    prefect("--no-prompt", "deploy", "--name", "gpu", env=env, folder=folder)  # one deployment is enough here
    settings = json.dumps(SETTINGS | {"device": "cpu"})
    given = {"data": "data", "run": "run", "preset": "tiny", "settings": settings}
    parameters = [f"--param={name}={value}" for name, value in given.items()]
    with worker(env, folder.parent / "worker.log", folder):
        run([str(BIN / "prefect"), "deployment", "run", "train-stage/gpu", *parameters, "--watch"], folder, env)
    with open_catalog(folder / "data" / "catalog.duckdb", read_only=True) as con:
        assert con.execute("SELECT status, step FROM runs").fetchall() == [("finished", 2)]


@pytest.mark.parametrize("how", [[str(BIN / "longdance")], [sys.executable, "-m", "flows.cli"]])
@pytest.mark.parametrize("path", [None, "", "."])
def test_even_where_the_folder_is_on_pythons_path_a_module_of_its_own_is_not_taken_for_ours(how, path, folder):
    """What Python itself imports before longdance's first line, and `flows`, can nobody keep it from."""
    for name in ("flows.py", "random.py", "pickle.py"):
        (folder / name).unlink()
    env = dict(os.environ)
    if path is not None:
        env["PYTHONPATH"] = os.pathsep.join([path, env.get("PYTHONPATH", "")])
    assert "clips.frames" in run([*how, "settings"], folder, env)


def test_a_project_on_pythons_path_is_not_taken_for_ours_and_whatever_else_is_there_is_found(folder, tmp_path):
    for name in set(FILES) - set(OURS):
        (folder / name).unlink()
    other = tmp_path / "other"
    other.mkdir()
    env = dict(os.environ) | {
        "PYTHONPATH": os.pathsep.join([str(folder), str(other), os.environ.get("PYTHONPATH", "")])
    }
    assert "clips.frames" in run([str(BIN / "longdance"), "settings"], tmp_path, env)
    code = "import flows, os, sys; print(sys.path, os.environ['PYTHONPATH'])"
    told = run([sys.executable, "-P", "-c", code], other, env)
    assert (told.count(str(other)), told.count(str(folder))) == (2, 0)


def test_a_deployment_whose_directory_this_machine_lacks_says_so_in_a_sentence(folder):
    env = dict(os.environ) | {"LONGDANCE_WORKING_DIRECTORY": "/nowhere/at/all"}
    done = subprocess.run([sys.executable, "-P", "-c", "import flows"], env=env, capture_output=True, text=True)
    assert "working directory '/nowhere/at/all' cannot be entered (No such file or directory)" in done.stderr

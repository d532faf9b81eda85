"""A program's code is every module of ours that it imports, in whatever room, and no other."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from model.runs.code_identity import code_changes, imported_modules
from tests.model.dataset import QUICK, micro_config

ROOT = Path(__file__).parents[3]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A small tree: `model.train` reaches `pipeline.shards.tar` through two rooms, and never `model.drift`."""
    files = {
        "model/__init__.py": "",
        "model/train.py": "def train():\n    from model.data.loader import load\n    import torch\n",
        "model/data/__init__.py": "'''Data.'''\n",
        "model/data/loader.py": "from data_catalog import rows\nif TYPE_CHECKING:\n    import model.drift\n",
        "data_catalog/__init__.py": "",
        "data_catalog/rows.py": "import pipeline.shards.tar as tar\n",
        "pipeline/__init__.py": "",
        "pipeline/shards/__init__.py": "",
        "pipeline/shards/tar.py": "",
        "model/drift.py": "# nobody's\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_imports_are_followed_through_rooms_with_their_packages_and_no_further(house: Path) -> None:
    assert set(imported_modules("model.train", house)) == {
        "model", "model.train", "model.data", "model.data.loader",
        "data_catalog", "data_catalog.rows", "pipeline", "pipeline.shards", "pipeline.shards.tar",
    }  # fmt: skip


@pytest.mark.parametrize("entry", ["model.training.train", "model.rollout.generate", "model.scoring.score"])
def test_nothing_that_a_program_loads_is_missing_from_its_code(entry: str) -> None:
    ours = "{'model', 'pipeline', 'data_catalog', 'flows'}"
    told = f"import {entry}, sys; print(*[name for name in sys.modules if name.split('.')[0] in {ours}])"
    loaded = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    known = set(imported_modules(entry))
    assert set(loaded.stdout.split()) <= known
    assert not any(name.split(".")[0] == "flows" for name in known)


def test_changed_code_is_told_by_its_modules() -> None:
    assert code_changes({"a": "1", "b": "2"}, {"a": "1", "b": "2"}) == []
    assert code_changes({"a": "1", "b": "2"}, {"a": "0", "c": "3"}) == ["the code of a, b, c is another one now"]
    assert "begun by another code" in code_changes("f" * 64, {"a": "1"})[0]


@pytest.fixture
def train_with(dataset: Path, tmp_path: Path) -> Callable[[], subprocess.CompletedProcess[str]]:
    """Trains a run on a copy of the code in `tmp_path / "code"`: the first call begins it, the next ones continue."""
    for package in ("flows", "model", "pipeline", "data_catalog"):
        shutil.copytree(ROOT / package, tmp_path / "code" / package, ignore=shutil.ignore_patterns("__pycache__"))
    config = tmp_path / "config.json"
    config.write_text(micro_config(**QUICK).model_dump_json())
    program = [sys.executable, "-P", "-m", "model.training.train", "--config", str(config), "--data", str(dataset)]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "code"), "OMP_NUM_THREADS": "1"}

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*program, "--run", str(tmp_path / "run")], env=environment, capture_output=True, text=True, check=False
        )

    return run


def test_a_changed_line_three_rooms_away_is_refused_with_its_module_and_a_foreign_comment_is_not(
    train_with: Callable[[], subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    assert train_with().returncode == 0
    code = tmp_path / "code"
    for foreign in ("model/drift/metrics.py", "flows/build_dataset.py", "pipeline/clips/align.py"):
        with (code / foreign).open("a") as file:
            file.write("\n# a comment that no training reads\n")
    done = train_with()
    assert done.returncode == 0, done.stderr
    with (code / "pipeline/shards/tar.py").open("a") as file:
        file.write("\nUNUSED = 1\n")
    done = train_with()
    assert done.returncode != 0
    assert "the code of pipeline.shards.tar is another one now" in done.stderr
    assert "--fork" in done.stderr

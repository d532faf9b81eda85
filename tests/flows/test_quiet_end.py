"""What a worker runs, and every child, ends without nanobind's list of what DuckDB leaked in its log."""

import subprocess
import sys

import pytest

LEAK = """
import ctypes, sys
import duckdb
ctypes.pythonapi.Py_IncRef(ctypes.py_object(duckdb.connect()))  # kept for ever, as a traceback may keep one
print("said before the end", file=sys.stderr)
raise SystemExit(3)
"""
STARTS = {
    "a flow of a worker: build": "import flows.build_dataset",
    "a flow of a worker: train": "import flows.train_stage",
    "a flow of a worker: generate": "import flows.generate",
    "a flow of a worker: prune": "import flows.score_and_prune",
}


def ended(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code + LEAK], capture_output=True, text=True, check=False)


def test_without_it_the_leak_is_listed() -> None:
    assert "leaked" in ended("").stderr


@pytest.mark.parametrize("start", STARTS)
def test_a_flow_ends_quietly_and_what_it_said_is_there(start: str) -> None:
    done = ended(STARTS[start])
    assert done.returncode == 3
    assert "said before the end" in done.stderr
    assert "leaked" not in done.stderr


@pytest.mark.parametrize("child", ["model.training.train", "model.scoring.score"])
def test_a_child_that_fails_ends_with_its_own_words(child: str, tmp_path) -> None:
    broken = tmp_path / "nothing.json"
    broken.write_text("{")
    options = {
        "model.training.train": ["--config", str(broken), "--data", str(tmp_path), "--run", str(tmp_path / "run")],
        "model.scoring.score": ["--jobs", str(broken)],
    }[child]
    code = f"""
import ctypes, runpy, sys
import duckdb
ctypes.pythonapi.Py_IncRef(ctypes.py_object(duckdb.connect()))
sys.argv = [{child!r}, *{options!r}]
runpy.run_module({child!r}, run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stderr.strip()
    assert "leaked" not in done.stderr

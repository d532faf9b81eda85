"""Scoring as a task: in processes of its own, relayed; then the ledger goes into the catalog."""

import json
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect import task

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import write_json
from flows.build_dataset import OPTIONS
from flows.catalog.scoring_rows import merge_ledger
from flows.progress import Progress


@task(name="score", task_run_name="score {count} runs", **OPTIONS)
def score_runs(root: Path, jobs: list[dict[str, Any]], count: int, processes: int = 1) -> int:
    """Measure runs' losses in processes of their own, then bring the ledger into the catalog.

    A job is a `model.scoring.score.ScoreJob` without its data; returns how many samples were looked at in all.
    """
    done: dict[str, int] = {}
    with (
        tempfile.TemporaryDirectory() as scratch,
        Progress(f"score {count} runs") as progress,
        progress.growing("score") as grow,
    ):
        path = Path(scratch) / "jobs.json"
        write_json(path, [{**job, "data": str(root), "run": str(job["run"])} for job in jobs])
        for event in _events(launch(path, processes)):
            done[event["run"]] = event["done"]
            grow(sum(done.values()), max(sum(done.values()), event["total"] * count))
    merge_ledger(root)
    return sum(done.values())


def launch(jobs: Path, processes: int) -> list[str]:
    """The scoring process, alone or under `accelerate launch`."""
    program = ["-m", "model.scoring.score", "--jobs", str(jobs)]
    if processes == 1:
        return [sys.executable, *program]
    # --multi_gpu is what makes accelerate start several; the job's device says whether they are on GPUs.
    counts = ["--multi_gpu", "--num_processes", str(processes), "--num_machines", "1", "--main_process_port", "0"]
    options = ["--mixed_precision", "no", "--dynamo_backend", "no"]
    return [sys.executable, "-m", "accelerate.commands.launch", *counts, *options, *program]


def _events(command: Sequence[str]) -> Any:
    """The child's JSON lines. Raises LongdanceError with its last words if it did not end well."""
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as child:
            assert child.stdout is not None
            try:
                for line in child.stdout:
                    if line.startswith("{"):
                        yield json.loads(line)
            except BaseException:
                child.terminate()
                raise
        if child.returncode:
            errors.seek(0)
            lines = deque((line.strip() for line in errors if line.strip()), maxlen=200)
            said = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
            raise LongdanceError(said[-1] if said else f"Scoring ended with {child.returncode}: {list(lines)[-3:]}")

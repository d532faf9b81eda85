"""Scoring as a task: in processes of its own, relayed; then the ledger goes into the catalog."""

import tempfile
from pathlib import Path
from typing import Any

from prefect import task

from data_catalog.base.files import write_json
from data_catalog.base.paths import RunFolder
from flows.catalog.scoring_rows import merge_ledger
from flows.children import SCORING, child_events, launch_command
from flows.progress import Progress
from flows.runners import TASK_OPTIONS, is_on_cluster, open_workers
from flows.storage.home import Home
from flows.storage.score_hosts import score_on_hosts


@task(name="score", task_run_name="score {count} runs", **TASK_OPTIONS)
def score_runs(home: Home, jobs: list[dict[str, Any]], count: int, processes: int = 1) -> int:
    """Measure runs' losses in processes of their own, then bring the ledger into the catalog.

    A job is a `model.scoring.score.ScoreJob` without its data; returns how many samples were looked at in all. On a
    cluster its workers measure, and `processes` says how many.
    """
    if is_on_cluster():
        return _score_on_hosts(home, jobs, count, 0 if processes == 1 else processes)
    done: dict[str, int] = {}
    root, kept = home.folder.root, stored_fragments(home)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "jobs.json"
        write_json(path, [{**job, "data": str(root), "run": str(job["run"])} for job in jobs])
        with (
            child_events(launch_command(SCORING, ["--jobs", str(path)], processes), "Scoring") as events,
            Progress(f"score {count} runs") as progress,
            progress.growing("score") as grow,
        ):
            for event in events:
                if event.get("kind") == "scored":
                    put_fragments(home, kept)
                    done[event["run"]] = event["done"]
                    grow(sum(done.values()), max(sum(done.values()), event["total"] * count))
    put_fragments(home, kept)
    merge_ledger(root)
    return sum(done.values())


def _score_on_hosts(home: Home, jobs: list[dict[str, Any]], count: int, workers: int) -> int:
    """The same by a cluster's workers; 0 of them for as many as there is room for."""
    from model.devices import resolve_device

    device = str(jobs[0]["config"].get("device", "auto"))
    shared = [*home.shared, *(RunFolder(Path(job["run"])).record for job in jobs)] if home.shared else []
    with (
        Progress(f"score {count} runs") as progress,
        progress.growing("score") as grow,
        open_workers(workers, shared, gpus=int(resolve_device(device) == "cuda")) as pool,
    ):
        total = score_on_hosts(home, jobs, pool, grow)
    merge_ledger(home.folder.root)
    return total


def put_fragments(home: Home, kept: set[Path]) -> None:
    """Put what was measured so far where it lasts; `kept` lies there, and what is put joins it."""
    fresh = stored_fragments(home) - kept
    home.made(fresh)
    kept |= fresh


def stored_fragments(home: Home) -> set[Path]:
    """The ledger's fragments in a mirror; none in a folder, where they stay."""
    from model.scoring.ledger import fragments

    return set() if isinstance(home.root, Path) else set(fragments(home.folder.root))

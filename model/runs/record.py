"""Runs are immutable: what a run is made of is written once, and a resume with anything different is refused."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from data_catalog.base.files import is_sealed, read_json, sealed, sha256_json, write_json
from data_catalog.base.paths import RunFolder
from model.config import TrainConfig
from model.data.dataset import SplitData
from model.errors import RunError
from model.runs.checkpoint import inspect_checkpoint, list_checkpoints, step_of
from model.runs.code_identity import code_changes, code_of

_LIBRARIES = ("torch", "diffusers", "accelerate", "transformers", "numpy", "safetensors")
TRAINING = "model.training.train"


def run_identity(config: TrainConfig, data: SplitData, processes: int, device: str) -> dict[str, Any]:
    """All that must stay the same while a run continues, as plain JSON values."""
    return {
        "config": config.model_dump(mode="json"),
        "data": {
            "version": data.version,
            "codec": data.codec,
            "train_samples": len(data.train.samples),
            "holdout_samples": len(data.holdout.samples),
        },
        "code": code_of(TRAINING),
        "libraries": {name: importlib.metadata.version(name) for name in _LIBRARIES},
        "processes": processes,
        "device": device,
    }


def changes(before: Any, now: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two JSON values differ: the place's dotted name, what it was, what it is."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted({*before, *now}):
            yield from changes(before.get(key), now.get(key), f"{name}.{key}" if name else key)
    elif before != now:
        yield name, before, now


def differences(before: Any, now: Any) -> list[str]:
    """What differs between two JSON values, one line a place: `config.seed: 0 before, 1 now`."""
    return [f"{name}: {was!r} before, {new!r} now" for name, was, new in changes(before, now)]


def identity_changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What differs between two identities of runs, one part of a sentence a place; code is told by its modules."""
    code = code_changes(before["code"], now["code"])
    return differences({**before, "code": None}, {**now, "code": None}) + code


def open_run(
    run_dir: Path, identity: dict[str, Any], parent: dict[str, Any] | None, data: Path | None = None
) -> dict[str, Any]:
    """Begin the run, or check that it is still the same. Returns what `run.json` holds.

    Where the data set lay is noted, and is not part of what the run is.

    Raises RunError with every difference spelled out.
    """
    path = RunFolder(run_dir).record
    if path.is_file():
        record = read_record(run_dir)
        changed = identity_changes(record["identity"], identity)
        if changed:
            raise RunError(
                f"Run {run_dir} cannot continue, because it began with something else ({'; '.join(changed)}): put that "
                f"back, or train into a new folder with `--fork {run_dir}`, which continues from its newest checkpoint."
            )
        return record
    record = {
        "run_id": uuid.uuid4().hex,
        "identity": identity,
        "parent": parent,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "environment": {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "threads": torch.get_num_threads(),
            "data": str(data.resolve()) if data else None,
        },
    }
    write_json(path, sealed(record))
    return record


def read_record(run_dir: Path) -> dict[str, Any]:
    """What `run.json` holds. Raises RunError if it is not there, or not as it was written."""
    path = RunFolder(run_dir).record
    try:
        record = read_json(path)
    except (OSError, ValueError):
        record = None
    if not is_sealed(record):
        raise RunError(f"{path} is not there or damaged: restore it from a backup, or train into a new folder.")
    return record


@contextmanager
def threads_of(record: dict[str, Any]) -> Iterator[None]:
    """Within it torch computes on as many CPU threads as the run began with: another number adds up in another
    order, and a resume would no longer be exact."""
    before = torch.get_num_threads()
    torch.set_num_threads(record["environment"]["threads"])
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run_row(run_dir: Path, status: str, step: int) -> dict[str, Any]:
    """A run as the catalog's `runs` keeps it."""
    record = read_record(run_dir)
    identity = record["identity"]
    return {
        "run": record["run_id"],
        "stage": identity["config"]["stage"],
        "parent": (record["parent"] or {}).get("run_id"),
        "config": json.dumps(identity["config"], sort_keys=True),
        "version": identity["config"].get("version"),
        "data_version": identity["data"]["version"],
        "code_hash": identity["code"] if isinstance(identity["code"], str) else sha256_json(identity["code"]),
        "libraries": json.dumps(identity["libraries"], sort_keys=True),
        "status": status,
        "step": step,
        "created": datetime.fromisoformat(record["created"]).replace(tzinfo=None),
    }


def checkpoint_rows(run_dir: Path) -> list[dict[str, Any]]:
    """A run's checkpoints as the catalog's `checkpoints` keeps them; `verified` after reading every byte."""
    run_id = read_record(run_dir)["run_id"]
    rows = []
    for path in list_checkpoints(RunFolder(run_dir).checkpoints):
        info, _ = inspect_checkpoint(path)
        rows.append(
            {
                "run": run_id,
                "step": step_of(path),
                "path": str(path),
                "verified": info is not None,
                "bytes": info.bytes if info else None,
                "sha256": info.sha256 if info else None,
            }
        )
    return rows

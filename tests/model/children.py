"""What children of the tests run: they get killed, so they live in a module that a fresh process can import."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path
from typing import Any

import torch

from model.errors import ModelError
from model.training.metrics_log import TrainEvent
from model.training.task import parse_run_config
from model.training.train import train


def train_here(data: Path, run_dir: Path, config: dict[str, Any], fork: Path | None = None) -> None:
    """Train on one thread, as the parent does."""
    torch.set_num_threads(1)
    train(data, run_dir, parse_run_config(config), fork=fork)


def train_and_die(data: Path, run_dir: Path, config: dict[str, Any], at: int) -> None:
    """Train, and die by SIGKILL just before the `at`-th time that something is forced to the disk or renamed."""
    count = 0

    def dying(call: Any) -> Any:
        def counted(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return counted

    os.fsync = dying(os.fsync)
    os.rename = dying(os.rename)
    os.replace = dying(os.replace)
    train_here(data, run_dir, config)


def train_on_full_disk(data: Path, run_dir: Path, config: dict[str, Any], limit: int) -> None:
    """Train with a limit on the size of files that stands in for a full disk; exit 7 on the clear error."""
    from model.errors import CheckpointError

    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        train_here(data, run_dir, config)
    except CheckpointError as error:
        (run_dir / "error.txt").write_text(str(error))
        os._exit(7)


def train_on_filling_disk(data: Path, run_dir: Path, config: dict[str, Any], moment: str) -> None:
    """Train where files may have no more than a few bytes from a moment on; the error's words lie beside the run."""
    torch.set_num_threads(1)

    def fill(event: TrainEvent) -> None:
        if event.kind == "step" and event.step == 3:
            limit((run_dir / "metrics.jsonl").stat().st_size + 10)

    def limit(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    if moment == "begin":
        limit(100)
    try:
        train(data, run_dir, parse_run_config(config), fill)
    except ModelError as error:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        (run_dir.parent / "error.txt").write_text(str(error))

"""How a flow runs: what it says, how Ctrl-C ends it, and where its work is done."""

import contextlib
import logging
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import psutil
from prefect.cache_policies import NO_CACHE

from data_catalog.base.disk import explain_disk_error
from data_catalog.base.errors import LongdanceError
from data_catalog.base.processes import AT_STOP, mute_stderr_at_exit
from flows.children import TRAINING, runs_module
from flows.server.choose import forget_private
from flows.server.outlive import server_is_lost
from pipeline.workers.local import LocalWorkers
from pipeline.workers.workers import Workers

if TYPE_CHECKING:
    from pipeline.workers.ray_ranks import RayRanks

TASK_OPTIONS: dict[str, Any] = {"cache_policy": NO_CACHE, "retries": 0, "persist_result": False}
"""Of every task: what it made lies in files of ours, and what failed fails again."""
RUNNERS = ("processes", "ray")


mute_stderr_at_exit()  # here, because a flow that a worker starts comes through no command of ours


class OneSentence(logging.Filter):
    """Keeps Prefect from saying, for the flow and each of its tasks, the sentence that the command itself says."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is let through."""
        if record.exc_info:
            error = record.exc_info[1]
            told = isinstance(error, LongdanceError) or server_is_lost(error)
            return not told and (error is None or explain_disk_error(error) is None)
        return not record.getMessage().startswith("Finished in state Failed(")


def short_tracebacks() -> None:
    """No stack trace for a user's mistake, and none from Prefect's database as its own server ends with the flow."""
    for name in ("prefect.flow_runs", "prefect.task_runs", "prefect.engine"):
        logging.getLogger(name).addFilter(OneSentence())
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)


def raise_on_sigint() -> None:
    """End at once on Ctrl-C, children and all: every file is whole or not there, so nothing needs saying goodbye to.

    A training child is left to write its checkpoint first. (Prefect's own way is to report to a server that the
    same Ctrl-C has stopped, for minutes.)
    """

    def stop(number: int, frame: FrameType | None) -> None:
        children = psutil.Process().children(recursive=True)
        training = [child for child in children if runs_module(child, TRAINING)]
        if training:
            os.write(2, b"\nStopping: the training ends its step and writes a checkpoint, which can take a while.\n")
        for child in training:
            child.terminate()
        _, busy = psutil.wait_procs(training, timeout=60)
        if busy:
            os.write(2, b"The training was busy for a minute and is ended now: its newest checkpoint is whole.\n")
        os.write(2, b"\nStopped. Run the same command again to resume.\n")
        for note in reversed(AT_STOP):
            with contextlib.suppress(Exception):
                note()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        forget_private()
        os._exit(130)

    signal.signal(signal.SIGINT, stop)


def is_on_cluster() -> bool:
    """Whether $LONGDANCE_RUNNER asks for a Ray cluster. Raises LongdanceError for an unknown runner."""
    name = os.environ.get("LONGDANCE_RUNNER", RUNNERS[0])
    if name not in RUNNERS:
        raise LongdanceError(f"LONGDANCE_RUNNER is {name!r}; expected one of {', '.join(RUNNERS)}.")
    return name == "ray"


@contextmanager
def open_workers(count: int, shared: Sequence[Path] = (), gpus: int = 0) -> Iterator[Workers]:
    """Workers; which ones is $LONGDANCE_RUNNER's choice: processes here, or a Ray cluster's.

    Args:
        count: How many; 0 for one on each core, here or of the cluster.
        shared: Files that every host must see as this one does.
        gpus: How many of them each worker of a cluster has for itself.

    Raises:
        LongdanceError: an unknown runner, or one whose package is not installed, or hosts that do not fit together.
    """
    workers = _on_ray(count, shared, gpus) if is_on_cluster() else LocalWorkers(count or os.cpu_count() or 1)
    try:
        yield workers
    finally:
        workers.close()


@contextmanager
def open_ranks(count: int, gpus: int, shared: Sequence[Path]) -> Iterator["RayRanks"]:
    """Places for the processes of a training on the hosts of a Ray cluster. Raises LongdanceError."""
    try:
        from pipeline.workers.ray_ranks import RayRanks
    except ImportError as error:
        raise _no_ray() from error
    ranks = RayRanks(count, gpus, shared)
    try:
        yield ranks
    finally:
        ranks.close()


def _no_ray() -> LongdanceError:
    return LongdanceError("LONGDANCE_RUNNER is 'ray': pip install 'longdance[cluster]' first.")


def _on_ray(count: int, shared: Sequence[Path], gpus: int) -> Workers:
    try:
        from pipeline.workers.ray_cluster import RayWorkers
    except ImportError as error:
        raise _no_ray() from error
    return RayWorkers(count, list(shared), gpus)

"""Where tasks run: processes here; Ray or Dask when one machine is too small."""

import contextlib
import logging
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner

from data_catalog.base.disk import explain_disk_error
from data_catalog.base.errors import LongdanceError
from data_catalog.base.processes import mute_stderr_at_exit
from flows.children import TRAINING, runs_module
from flows.server.outlive import server_is_lost
from flows.server.own_server import end_with

TASK_OPTIONS: dict[str, Any] = {"cache_policy": NO_CACHE, "retries": 0, "persist_result": False}
"""Of every task: what it made lies in files of ours, and what failed fails again."""
RUNNERS = ("processes", "ray", "dask")


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


_AT_STOP: list[Callable[[], None]] = []


@contextmanager
def on_sigterm(note: Callable[[], None]) -> Iterator[None]:
    """Within the block Ctrl-C also does this, once the training child has ended."""
    _AT_STOP.append(note)
    try:
        yield
    finally:
        _AT_STOP.remove(note)


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
        for note in _AT_STOP:
            with contextlib.suppress(Exception):
                note()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        os._exit(130)

    signal.signal(signal.SIGINT, stop)


def init_worker() -> None:
    """Set up a worker process: mediapipe's C++ does not talk, OpenCV does not start threads of its own."""
    mute_stderr_at_exit()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the flow's process ends its workers
    if flow := multiprocessing.parent_process():
        end_with(flow.pid or 0)
    os.environ["GLOG_minloglevel"] = "2"  # noqa: SIM112 (its real name)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    import cv2

    cv2.setNumThreads(1)


@contextmanager
def open_runner(workers: int) -> Iterator[TaskRunner[Any]]:
    """A started task runner; which one is $LONGDANCE_RUNNER's choice (processes, ray or dask).

    Ray and Dask take the address of their cluster from $RAY_ADDRESS and $DASK_SCHEDULER_ADDRESS. The data
    folder must then lie on storage that all machines share.

    Raises:
        LongdanceError: an unknown runner, or one whose package is not installed.
    """
    name = os.environ.get("LONGDANCE_RUNNER", "processes")
    with _shared_server(), tempfile.TemporaryDirectory() as empty, _make(name, workers, Path(empty)) as runner:
        yield runner


@contextmanager
def _shared_server() -> Iterator[None]:
    """Within the block workers talk to the server of this process; without an address each would start its own."""
    with get_client(sync_client=True) as client:
        address = str(client.api_url)
    with temporary_settings(updates={PREFECT_API_URL: address}):
        yield


def _make(name: str, workers: int, empty: Path) -> TaskRunner[Any]:
    if name == "processes":
        return ProcessPoolTaskRunner(max_workers=workers, initializer=init_worker)
    try:
        if name == "ray":
            from prefect_ray import RayTaskRunner

            # Without a directory of its own Ray puts this one, whatever is in it, first on its workers' path.
            own = {"runtime_env": {"working_dir": str(empty)}}
            return RayTaskRunner(address=os.environ.get("RAY_ADDRESS"), init_kwargs=own)
        if name == "dask":
            from prefect_dask import DaskTaskRunner

            return DaskTaskRunner(address=os.environ.get("DASK_SCHEDULER_ADDRESS"))
    except ImportError as error:
        raise LongdanceError(f"LONGDANCE_RUNNER is {name!r}: pip install 'longdance[{name}]' first.") from error
    raise LongdanceError(f"LONGDANCE_RUNNER is {name!r}; expected one of {', '.join(RUNNERS)}.")

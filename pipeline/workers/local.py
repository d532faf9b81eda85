"""Workers on this machine: processes, each in a pool of its own, so that a death says whose it was."""

import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

from data_catalog.base.processes import end_with, kill_workers
from pipeline.workers.process import Answer, answer, set_up
from pipeline.workers.workers import ClosedError, WorkerDiedError, Workers


class LocalWorkers(Workers):
    """Processes that are started as they are needed, and end with this one, however that ends."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free: queue.LifoQueue[ProcessPoolExecutor] = queue.LifoQueue()  # the last used first: it is warm
        self._closed = threading.Event()
        for _ in range(count):
            self._free.put(_new_process())

    def run(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """See `Workers.run`."""
        process = self._free.get()
        try:
            if self._closed.is_set():
                raise ClosedError
            if _died_idle(process):  # which is no fault of what it is given
                process.shutdown(wait=False)
                process = _new_process()
            done: Answer = process.submit(answer, work, arguments).result()
        except BrokenProcessPool as error:
            process.shutdown(wait=False)
            process = _new_process()
            if self._closed.is_set():
                raise ClosedError from error
            raise WorkerDiedError("its process ended") from error
        finally:
            self._free.put(process)
        return done.result()

    def close(self) -> None:
        """See `Workers.close`."""
        self._closed.set()
        kill_workers()


def _died_idle(process: ProcessPoolExecutor) -> bool:
    try:
        process.submit(bool).result()
    except BrokenProcessPool:
        return True
    return False


def _new_process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_begin, initargs=(os.getpid(),))


def _begin(head: int) -> None:
    set_up()
    end_with(head)

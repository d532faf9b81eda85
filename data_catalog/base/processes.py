"""Worker processes and Ctrl-C: they never hear it, and end with the command; and how a process ends quietly."""

import atexit
import contextlib
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import active_children, get_context

import psutil

WATCH_S = 0.5
AT_STOP: list[Callable[[], None]] = []
"""What Ctrl-C also does before it ends a command at once, the last first."""


@contextlib.contextmanager
def at_stop(note: Callable[[], None]) -> Iterator[None]:
    """Within the block Ctrl-C also does this, once a training that is at work has ended."""
    AT_STOP.append(note)
    try:
        yield
    finally:
        AT_STOP.remove(note)


def mute_stderr_at_exit() -> None:
    """Shut stderr behind the last Python code: nanobind then lists DuckDB's types as leaked, which helps nobody."""
    atexit.register(lambda: (sys.stderr.flush(), os.dup2(os.open(os.devnull, os.O_WRONLY), 2)))


@contextlib.contextmanager
def defer_sigint() -> Iterator[None]:
    """Within the block Ctrl-C waits; a process that is started in it never hears it.

    The mask is for those processes, which inherit it. Here another thread may take the signal, and Python would raise
    in this one all the same, with a process half started: so it is noted, and raised at the end.
    """
    heard: list[int] = []
    in_main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, lambda number, _: heard.append(number)) if in_main else None
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if in_main:
            signal.signal(signal.SIGINT, handler or signal.default_int_handler)
    if heard:
        raise KeyboardInterrupt


@contextlib.contextmanager
def worker_pool(count: int, initializer: Callable[[], None] | None = None) -> Iterator[ProcessPoolExecutor]:
    """A pool of `count` processes, which end at once where the block is left by an exception, Ctrl-C among them."""
    before = set(threading.enumerate())
    with ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=initializer) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # first: a pool that breaks trips over cancelled futures
            kill_workers()
            for thread in set(threading.enumerate()) - before:
                if not thread.daemon:  # the pool's, which Python's own end would race
                    thread.join(10)
            raise


def kill_workers() -> None:
    """End the workers and what they started, and not multiprocessing's own tracker, which would be missed."""
    for worker in active_children():
        with contextlib.suppress(psutil.NoSuchProcess):
            family = psutil.Process(worker.pid)
            for process in (*family.children(recursive=True), family):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()


def end_with(parent: int, private: str | None = None) -> None:
    """From now on end this process, at once, when its parent is gone: a `kill -9` tells nobody.

    private: a folder that is removed then.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_S)
        if private:
            shutil.rmtree(private, ignore_errors=True)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

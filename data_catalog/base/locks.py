"""The one lock between processes: it ends with its process, however that ends. Its file stays and says nothing.

The kernel keeps it (flock) on an open file, so a kill lets go of it; a folder can be locked, too, and no file is left.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_catalog.base.errors import LongdanceError

_PAUSE_S = 0.02


@contextmanager
def exclusive(path: Path, refusal: LongdanceError, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the lock `path`, a file that is made or a folder that is there.

    Raises:
        refusal: another process held it for all of `wait_s`.
        OSError: the file cannot be opened.
    """
    deadline = time.monotonic() + wait_s
    with _opened(path) as descriptor:
        while not _taken(descriptor):
            if time.monotonic() >= deadline:
                raise refusal
            time.sleep(_PAUSE_S)
        yield


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Wait for the lock `path` and hold it: who comes second finds the work of the first. Raises OSError."""
    with _opened(path) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    if path.is_dir():
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

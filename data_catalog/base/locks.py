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
from data_catalog.base.files import make_folder

_PAUSE_S = 0.02
_GLANCE_S = 0.5
"""Longer than `check_free` of another process holds what it looks at: nobody is refused for that."""


@contextmanager
def exclusive(path: Path, refusal: LongdanceError, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the lock `path`, a file that is made or a folder that is there.

    Raises:
        refusal: another process held it for all of `wait_s`, or half a second.
        OSError: the file cannot be opened.
    """
    deadline = time.monotonic() + max(wait_s, _GLANCE_S)
    with _opened(path) as descriptor:
        while not _taken(descriptor):
            if time.monotonic() >= deadline:
                raise refusal
            time.sleep(_PAUSE_S)
        yield


def check_free(path: Path, refusal: LongdanceError) -> None:
    """Raise `refusal` if another process holds the lock `path`. Nothing is made, and it is free again at once."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # not there, or not for us to open: whoever takes it will say so
        return
    try:
        if not _taken(descriptor, fcntl.LOCK_SH):
            raise refusal
    finally:
        os.close(descriptor)


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
        make_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _taken(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

"""Which files of a folder anybody opens, by inotify: what a hostile file names must not be among them."""

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IN_OPEN, IN_NONBLOCK = 0x20, os.O_NONBLOCK
HEADER = struct.Struct("iIII")


@contextmanager
def watching(folder: Path) -> Iterator[set[str]]:
    """A set that holds, once the block has ended, the names of all files of the folder that were opened in it."""
    system = ctypes.CDLL(None, use_errno=True)
    queue = system.inotify_init1(IN_NONBLOCK)
    if queue < 0 or system.inotify_add_watch(queue, os.fsencode(folder), IN_OPEN) < 0:
        raise OSError(ctypes.get_errno(), "inotify is not to be had")
    opened: set[str] = set()
    try:
        yield opened
        opened |= set(_names(queue))
    finally:
        os.close(queue)


def _names(queue: int) -> Iterator[str]:
    while True:
        try:
            events = os.read(queue, 1 << 16)
        except BlockingIOError:
            return
        at = 0
        while at < len(events):
            *_, length = HEADER.unpack_from(events, at)
            name = events[at + HEADER.size : at + HEADER.size + length].rstrip(b"\0")
            at += HEADER.size + length
            if name:
                yield os.fsdecode(name)

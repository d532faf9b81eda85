"""Parts of objects on this host's disk: blocks, of which the one that was not read for longest goes first.

A block has its sha256 before it: one that a disk or a kill has damaged is fetched again. It is of the object with the
tag that was listed, so no two versions of an object meet in one file.
"""

import contextlib
import functools
import hashlib
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import TEMP_MARK, temp_name
from data_catalog.base.paths import stored_blocks
from data_catalog.base.store import Store, StoreError

VARIABLE = "LONGDANCE_CACHE_GIB"
DEFAULT_GIB = 20.0
BLOCK = 4 << 20
_DIGEST = hashlib.sha256().digest_size
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredFile:
    """A file that object storage alone has; `store` is the address of its folder."""

    store: str
    name: str
    size: int
    tag: str

    def blocks(self, offset: int, length: int) -> Iterator[tuple[int, int, int]]:
        """(number of a block, first byte in it, last byte + 1) of a part, cut where the file ends."""
        end = min(offset + length, self.size)
        for number in range(offset // BLOCK, -(-end // BLOCK) if offset < end else 0):
            start = number * BLOCK
            yield number, max(offset - start, 0), min(end - start, BLOCK)

    def bytes_of(self, number: int) -> int:
        """How long a block is: the last one is shorter."""
        return min(BLOCK, self.size - number * BLOCK)


class BlockCache:
    """A folder of blocks; any number of threads and processes share it."""

    def __init__(self, folder: Path, limit: int) -> None:
        """limit: bytes that it may take; while it is written, each process may exceed that by a sixteenth."""
        self.folder, self.limit = folder, limit
        self._checked: set[str] = set()
        self._new, self._tidying = limit, threading.Lock()  # so that the first block looks at what is there

    def read(self, file: StoredFile, offset: int, length: int) -> bytes:
        """A part of a stored file, shorter where that ends. Raises StoreError."""
        if self.limit < BLOCK:
            return _fetched(file, offset, min(length, max(0, file.size - offset)))
        return b"".join(self._part(file, *block) for block in file.blocks(offset, length))

    def _part(self, file: StoredFile, number: int, first: int, last: int) -> bytes:
        path = self._path(file, number)
        with contextlib.suppress(FileNotFoundError):
            found = self._kept(path, file.bytes_of(number), first, last)
            if found is not None:
                return found
        content = _fetched(file, number * BLOCK, file.bytes_of(number))
        self._keep(path, content)
        return content[first:last]

    def _path(self, file: StoredFile, number: int) -> Path:
        name = hashlib.sha256(f"{file.store}/{file.name}\n{file.tag}\n{file.size}\n{number}".encode()).hexdigest()[:40]
        return self.folder / name[:2] / name

    def _kept(self, path: Path, size: int, first: int, last: int) -> bytes | None:
        """A part of a block; None for one that is damaged. A process checks each block the first time it reads it."""
        with path.open("rb", buffering=0) as file:
            if path.name not in self._checked:
                digest, content = file.read(_DIGEST), file.read(size + 1)
                if len(content) != size or hashlib.sha256(content).digest() != digest:
                    logger.warning("A block of the cache in %s was damaged: it is fetched again.", self.folder)
                    return None
                self._checked.add(path.name)
                found = content[first:last]
            else:
                found = os.pread(file.fileno(), last - first, _DIGEST + first)
            os.utime(file.fileno())
        return found if len(found) == last - first else None

    def _keep(self, path: Path, content: bytes) -> None:
        """Write a block, whole or not at all, and make room. A kill or a lost disk costs it, which is noticed."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temp = temp_name(path)
        try:
            with temp.open("wb") as file:
                file.write(hashlib.sha256(content).digest())
                file.write(content)
            temp.replace(path)
        finally:
            temp.unlink(missing_ok=True)
        self._checked.add(path.name)
        with self._tidying:
            self._new += len(content)
            if self._new >= self.limit // 16:
                self._new = 0
                self._make_room()

    def _make_room(self) -> None:
        """Remove what was not read for longest, down to a sixteenth below the limit."""
        blocks = []
        for path in self.folder.rglob("*"):
            with contextlib.suppress(FileNotFoundError):  # another process made room
                info = path.stat()
                if path.is_file():
                    blocks.append((info.st_mtime_ns, info.st_size, path))
        room = self.limit - self.limit // 16 - sum(size for _, size, _ in blocks)
        for _, size, path in sorted(blocks):
            if room >= 0:
                return
            if not path.name.startswith(TEMP_MARK):
                self._checked.discard(path.name)
            path.unlink(missing_ok=True)
            room += size


def _fetched(file: StoredFile, offset: int, length: int) -> bytes:
    content = _store(file.store).read_range(file.name, offset, length, file.tag) if length else b""
    if len(content) != length:
        raise StoreError(
            f"{file.store}/{file.name} gave {len(content)} bytes for {length}: run the same command again."
        )
    return content


@functools.lru_cache(maxsize=256)
def _store(url: str) -> Store:
    """One client for each folder."""
    return Store(url)


@functools.cache
def block_cache() -> BlockCache:
    """This user's cache. Raises LongdanceError where its size is given as no number."""
    given = os.environ.get(VARIABLE, str(DEFAULT_GIB))
    try:
        limit = int(float(given) * 2**30)
    except (ValueError, OverflowError):
        limit = -1
    if limit < 0:
        raise LongdanceError(f"{VARIABLE} is {given!r}: expected GiB for parts of object storage, as 20; 0 keeps none.")
    return BlockCache(stored_blocks(), limit)

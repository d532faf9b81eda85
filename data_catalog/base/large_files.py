"""Shards and latents by parts, wherever they lie: in a folder here, or in object storage, read through a cache.

A folder of a mirror says in `.elsewhere` which of its files the store alone has.
"""

import functools
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from data_catalog.base.block_cache import BLOCK, StoredFile, block_cache
from data_catalog.base.files import sha256_file, write_json
from data_catalog.base.store import ObjectInfo

ELSEWHERE = ".elsewhere"


class LargeFile(Protocol):
    """One that is open; any number of threads may share it."""

    def read(self, offset: int, length: int) -> bytes:
        """A part of it, shorter where it ends."""
        ...

    def read_into(self, view: memoryview, offset: int) -> int:
        """Fill a view of bytes from `offset` on; returns how many there were."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class FileHere:
    """A file of this host."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self, offset: int, length: int) -> bytes:
        """See `LargeFile.read`: one pread."""
        return os.pread(self._descriptor, length, offset)

    def read_into(self, view: memoryview, offset: int) -> int:
        """See `LargeFile.read_into`: one pread."""
        return os.preadv(self._descriptor, [view], offset)

    def close(self) -> None:
        """See `LargeFile.close`."""
        os.close(self._descriptor)


class FileElsewhere:
    """A file that object storage alone has."""

    def __init__(self, file: StoredFile) -> None:
        self._file = file

    def read(self, offset: int, length: int) -> bytes:
        """See `LargeFile.read`. Raises StoreError."""
        return block_cache().read(self._file, offset, length)

    def read_into(self, view: memoryview, offset: int) -> int:
        """See `LargeFile.read_into`. Raises StoreError."""
        content = self.read(offset, len(view))
        view[: len(content)] = content
        return len(content)

    def close(self) -> None:
        """Nothing is open."""


def open_large(path: Path) -> LargeFile:
    """A file, here or elsewhere. Raises OSError, FileNotFoundError where it is nowhere."""
    try:
        return FileHere(path)
    except FileNotFoundError:
        stored = elsewhere(path)
        if stored is None:
            raise
        return FileElsewhere(stored)


def read_part(path: Path, offset: int, length: int) -> bytes:
    """A part of a file, here or elsewhere, shorter where it ends. Raises OSError, StoreError."""
    file = open_large(path)
    try:
        return file.read(offset, length)
    finally:
        file.close()


def is_there(path: Path) -> bool:
    """Whether there is such a file, here or elsewhere."""
    return path.is_file() or elsewhere(path) is not None


def stored_size(path: Path) -> int:
    """Bytes of a file, here or elsewhere. Raises FileNotFoundError."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        stored = elsewhere(path)
        if stored is None:
            raise
        return stored.size


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file, here or elsewhere. Raises OSError, StoreError."""
    stored = None if path.is_file() else elsewhere(path)
    if stored is None:
        return sha256_file(path)
    digest = hashlib.sha256()
    for offset in range(0, stored.size, BLOCK):
        digest.update(block_cache().read(stored, offset, BLOCK))
    return digest.hexdigest()


def elsewhere(path: Path) -> StoredFile | None:
    """What the store has of a file that lies in no folder here; None for any other."""
    marker = path.parent / ELSEWHERE
    try:
        info = marker.stat()
    except FileNotFoundError:
        return None
    store, files = _said(marker, info.st_mtime_ns, info.st_ino)
    return StoredFile(store, path.name, *files[path.name]) if path.name in files else None


@functools.lru_cache(maxsize=64)
def _said(marker: Path, mtime_ns: int, inode: int) -> tuple[str, dict[str, tuple[int, str]]]:
    """(store, size and tag by name) of a marker that was written then."""
    said = json.loads(marker.read_bytes())
    return said["store"], {name: (size, tag) for name, (size, tag) in said["files"].items()}


def say_elsewhere(folder: Path, url: str, objects: Iterable[ObjectInfo]) -> None:
    """Write into a mirror's folders what of each the store `url` alone has; old marks go."""
    files: dict[str, dict[str, tuple[int, str]]] = defaultdict(dict)
    for info in objects:
        place, _, name = info.key.rpartition("/")
        files[place][name] = (info.size, info.tag)
    for stale in folder.rglob(ELSEWHERE):
        if str(stale.parent.relative_to(folder)) not in files:
            stale.unlink()
    for place, of_place in files.items():
        write_json(folder / place / ELSEWHERE, {"store": f"{url}/{place}".rstrip("/"), "files": of_place})

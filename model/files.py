"""Writing that survives a power cut: a name appears only when what it names is whole and on the disk."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TEMP_MARK = ".tmp-"


def fsync_path(path: Path) -> None:
    """Push a file's bytes, or a folder's names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temp path to write; it becomes `path` on success and is removed on an exception."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temp = path.with_name(f"{TEMP_MARK}{uuid.uuid4().hex[:12]}{path.suffix}")
    try:
        yield temp
        fsync_path(temp)
        temp.replace(path)
        fsync_path(path.parent)
    finally:
        temp.unlink(missing_ok=True)


def canonical_json(value: Any) -> bytes:
    """The one spelling of `value`: hashes rest on it. Raises ValueError on NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def write_json(path: Path, value: Any) -> None:
    """Atomically write `value` as canonical JSON (sorted keys, no NaN)."""
    with atomic(path) as temp:
        temp.write_bytes(canonical_json(value) + b"\n")


def read_json(path: Path) -> Any:
    """The value in a JSON file."""
    return json.loads(path.read_bytes())


def sha256_json(value: Any) -> str:
    """Hex sha256 of `canonical_json(value)`."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def sha256_file(path: Path, *, from_disk: bool = False) -> str:
    """Hex sha256 of a file's bytes. `from_disk` first drops the file from the page cache, so that what is read
    back is what the disk holds and not what memory remembers."""
    with path.open("rb") as file:
        if from_disk and hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temp folder; on success its files are fsynced and it is renamed to `path`, which must not
    exist; on an exception it is removed. What a killed process leaves, `remove_temps` clears."""
    temp = path.with_name(f"{TEMP_MARK}{uuid.uuid4().hex[:12]}")
    temp.mkdir(parents=True)
    try:
        yield temp
        for file in sorted(temp.rglob("*")):
            fsync_path(file)
        fsync_path(temp)
        temp.rename(path)
        fsync_path(path.parent)
    finally:
        shutil.rmtree(temp, ignore_errors=True)


def remove_temps(folder: Path) -> None:
    """Remove what killed processes left half-written in `folder`. The caller holds the folder's lock."""
    for path in folder.glob(f"{TEMP_MARK}*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()

"""Folders that are either whole or not there, beside the files that `pipeline.files` looks after."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.files import TEMP_MARK, canonical_json, fsync_path, sha256_file, temp_name


def sha256_json(value: Any) -> str:
    """Hex sha256 of the one spelling of a JSON value."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def sha256_from_disk(path: Path) -> str:
    """Hex sha256 of what the disk holds of a file, and not of what memory remembers of it."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return sha256_file(path)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temp folder; on success its files are fsynced and it is renamed to `path`, which must not
    exist; on an exception it is removed. What a killed process leaves, `remove_temp_folders` clears."""
    temp = temp_name(path)
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


def remove_temp_folders(root: Path) -> None:
    """Remove the folders that killed processes left half-written in `root`. The caller holds its lock."""
    for path in root.glob(f"{TEMP_MARK}*"):
        if path.is_dir():
            shutil.rmtree(path)

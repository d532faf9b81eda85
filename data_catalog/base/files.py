"""Files and folders that are either whole or not there: temp name, fsync, rename, fsync the folder."""

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_catalog.base.errors import LongdanceError

TEMP_MARK = ".tmp-"


def temp_name(path: Path) -> Path:
    """A name beside `path` that no other process uses and that `remove_temps` recognises."""
    return path.with_name(f"{TEMP_MARK}{uuid.uuid4().hex[:12]}{path.suffix}")


def fsync_path(path: Path) -> None:
    """Push a file's bytes, or a folder's names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder and what is missing above it, durably: a file's own name is no use where its folder's is lost."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    fsync_path(path.parent)


def publish(temp: Path, path: Path) -> None:
    """Give a finished temp file its name, durably."""
    fsync_path(temp)
    temp.replace(path)
    fsync_path(path.parent)


@contextlib.contextmanager
def atomic(path: Path, temps: Path | None = None) -> Iterator[Path]:
    """Yield a temp path to write; it becomes `path` on success and is removed on an exception.

    temps: a folder of ours on the same disk for it, where what a kill leaves is found by `remove_temps`: beside a
    file of a user's, others may be at work.
    """
    make_folder(path.parent)
    temp = temp_name(temps / path.name if temps else path)
    try:
        yield temp
        publish(temp, path)
    finally:
        temp.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temp folder; on success its files are fsynced and it is renamed to `path`, which must not
    exist; on an exception it is removed. What a killed process leaves, `remove_temp_folders` clears."""
    temp = temp_name(path)
    make_folder(path.parent)
    temp.mkdir()
    try:
        yield temp
        for file in sorted(temp.rglob("*")):
            fsync_path(file)
        fsync_path(temp)
        temp.rename(path)
        fsync_path(path.parent)
    finally:
        shutil.rmtree(temp, ignore_errors=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Atomically write `data`; does nothing when the file already holds it."""
    if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
        return
    with atomic(path) as temp:
        temp.write_bytes(data)


def write_json(path: Path, value: Any) -> None:
    """Atomically write `value` as canonical JSON (sorted keys, no NaN)."""
    write_bytes(path, canonical_json(value) + b"\n")


def canonical_json(value: Any) -> bytes:
    """The one spelling of `value`: hashes and byte-identical reruns rest on it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def sha256_json(value: Any) -> str:
    """Hex sha256 of the one spelling of a JSON value."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def sealed(record: dict[str, Any]) -> dict[str, Any]:
    """The record with the hash of all else in it, so that a byte changed on the disk is noticed: `is_sealed`."""
    return {**record, "seal": sha256_json({name: value for name, value in record.items() if name != "seal"})}


def is_sealed(record: Any) -> bool:
    """Whether a JSON value is a record as `sealed` made it."""
    return isinstance(record, dict) and "seal" in record and record == sealed(record)


def read_json(path: Path) -> Any:
    """The value in a JSON file. Raises ValueError where it is none (NaN is not), or nested beyond all use."""
    try:
        return json.loads(path.read_bytes(), parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def write_sealed(path: Path, record: dict[str, Any]) -> dict[str, Any]:
    """Atomically write a record with its seal; returns both."""
    write_json(path, sealed(record))
    return sealed(record)


def read_sealed(path: Path) -> dict[str, Any]:
    """A record of ours; one without a seal was written by an older longdance.

    Raises LongdanceError if it is not as it was written.
    """
    try:
        record = read_json(path)
    except ValueError:
        record = None
    if not isinstance(record, dict) or ("seal" in record and not is_sealed(record)):
        raise LongdanceError(
            f"{path} is damaged: delete it and run `longdance build` again, which makes it and what follows from it."
        )
    return record


def sha256_file(path: Path) -> str:
    """Hex sha256 of a file of our own."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_from_disk(path: Path) -> str:
    """Hex sha256 of what the disk holds of a file, and not of what memory remembers of it."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return sha256_file(path)


def remove_temps(*folders: Path) -> int:
    """Remove what a killed process left half-written below these folders of ours; returns how many files."""
    count = 0
    for folder in folders:
        for path in folder.rglob(f"{TEMP_MARK}*"):
            if path.is_file():
                path.unlink(missing_ok=True)
                count += 1
    return count


def remove_temp_folders(root: Path) -> None:
    """Remove the folders that killed processes left half-written in `root`. The caller holds its lock."""
    for path in root.glob(f"{TEMP_MARK}*"):
        if path.is_dir():
            shutil.rmtree(path)


def names_in(folder: Path, suffix: str) -> set[str]:
    """Stems of the finished files with this suffix in a folder, which need not exist."""
    if not folder.is_dir():
        return set()
    with os.scandir(folder) as entries:
        return {e.name[: -len(suffix)] for e in entries if e.name.endswith(suffix) and not e.name.startswith(".")}

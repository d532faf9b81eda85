"""A source's bytes for ffmpeg: its file, or an object that is fetched once into this worker's scratch."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import psutil

from data_catalog.base.errors import RejectedError
from data_catalog.base.store import MissingError, Store
from pipeline.video.ffmpeg import open_source

SCRATCH = "LONGDANCE_SCRATCH"
_MARK = "longdance-scratch-"
_fetched: dict[tuple[bytes, str], int] = {}


def open_raw(path: bytes, source_id: str) -> int:
    """A read-only descriptor of a source, wherever it lies.

    Raises:
        RejectedError: it cannot be opened, or an object has other bytes than it was named by.
    """
    if not path.startswith((b"s3://", b"gs://", b"az://")):
        return open_source(path)
    if (path, source_id) not in _fetched:
        for kept in _fetched.values():
            os.close(kept)  # one at a time: its file has no name, so that is its end
        _fetched.clear()
        _fetched[path, source_id] = _fetch(path, source_id)
    # Opened again, so that it has an offset of its own.
    return os.open(f"/proc/self/fd/{_fetched[path, source_id]}", os.O_RDONLY | os.O_CLOEXEC)


def _fetch(path: bytes, source_id: str) -> int:
    store, key = object_of(path)
    with tempfile.TemporaryFile(dir=scratch()) as file:
        digest = hashlib.sha256()
        try:
            for chunk in store.stream(key):
                digest.update(chunk)
                file.write(chunk)
        except MissingError:
            raise RejectedError("unreadable", "The object is gone.") from None
        if digest.hexdigest() != source_id:
            raise RejectedError("unreadable", "The object has other bytes than when it was listed.")
        file.flush()
        return os.dup(file.fileno())


def hash_object(path: bytes) -> str:
    """The source id of an object. Raises RejectedError where it is gone."""
    store, key = object_of(path)
    try:
        return store.sha256(key)
    except MissingError:
        raise RejectedError("unreadable", "The object is gone.") from None


def object_of(path: bytes) -> tuple[Store, str]:
    """(bucket, key) of an object's address."""
    scheme, _, rest = path.decode().partition("://")
    bucket, _, key = rest.partition("/")
    return Store(f"{scheme}://{bucket}"), key


def scratch() -> Path:
    """This process's folder for what it works on: below $LONGDANCE_SCRATCH, or where temporary files lie.

    What dead processes left there is removed.
    """
    place = Path(os.environ.get(SCRATCH) or tempfile.gettempdir())
    own = place / f"{_MARK}{os.getpid()}"
    if not own.is_dir():
        for left in place.glob(f"{_MARK}*"):
            with contextlib.suppress(ValueError):
                if not psutil.pid_exists(int(left.name.removeprefix(_MARK))):
                    shutil.rmtree(left, ignore_errors=True)
        own.mkdir(parents=True)
    return own

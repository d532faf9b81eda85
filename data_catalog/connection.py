"""Opening the catalog: one writer or many readers, so every opening is short and is retried.

DuckDB lets either one process write or many read. A writer opens, makes one short transaction and
closes; whoever finds the file held tries again until its time is over.
"""

import os
import random
import re
import shutil
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import duckdb

from data_catalog.base.files import fsync_path, make_folder
from data_catalog.base.locks import exclusive
from data_catalog.errors import (
    CatalogDamagedError,
    CatalogError,
    CatalogLockedError,
    CatalogMissingError,
    CatalogVersionError,
)
from data_catalog.migrations import MIGRATIONS, migrate, require_known, schema_version
from data_catalog.quarantine import is_damage, quarantine, read_mark, set_mark, wal_path

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.002, 0.05
_HELD = (
    "Could not set lock on file",
    "different configuration than existing connections",
    "already attached by database",
)
_OTHER_DUCKDB = "trying to read a database file with version number"
# In one process DuckDB would share one database among writers, and a close would not let readers in.
_writers: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)
# What a reader may not do: no other file, no extension, no Python variable, no way to undo this.
_READ_ONLY_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": False,
    "autoload_known_extensions": False,
    "autoinstall_known_extensions": False,
    "python_enable_replacements": False,
    "lock_configuration": True,
}


@contextmanager
def open_catalog(
    path: str | os.PathLike[str], *, read_only: bool = False, timeout_s: float = 30.0
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the catalog, closed at the end of the block. Keep the block short.

    For writing, a missing catalog is created and an older one migrated; a damaged one is moved
    aside and replaced by what can be opened, and `needs_rebuild` says so. For reading, nothing on
    disk changes (except that an older schema is migrated first), and SQL reaches no other file.

    Raises CatalogLockedError if others hold it for `timeout_s`, CatalogMissingError,
    CatalogDamagedError, CatalogVersionError, and CatalogError for what else DuckDB refuses.
    """
    file, deadline = _absolute(path), time.monotonic() + timeout_s
    if read_only:
        with _closing(file, _open_reader(file, deadline), deadline, repair=False) as con:
            yield con
        return
    if not _writers[file].acquire(timeout=timeout_s):
        raise CatalogLockedError(f"Another thread is writing to the catalog {file}: open it for one batch at a time.")
    try:
        with _closing(file, _open_writer(file, deadline), deadline, repair=True) as con:
            yield con
    finally:
        _writers[file].release()


@contextmanager
def open_copy(path: str | os.PathLike[str], *, timeout_s: float = 30.0) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection for reading to a copy of the catalog, for as long as one likes: no writer waits for it.

    The copy needs as much room as the catalog where temporary files go, and is gone when the block or the process
    ends, however it ends. Raises what `open_catalog` raises.
    """
    file, deadline = _absolute(path), time.monotonic() + timeout_s
    config = _READ_ONLY_CONFIG | {"temp_directory": f"{file}.tmp"}  # where the catalog's own queries spill to, too
    with tempfile.TemporaryDirectory(prefix="longdance-") as folder:
        copy = Path(folder) / file.name
        with open_catalog(file, read_only=True, timeout_s=timeout_s):  # so that nobody writes meanwhile
            shutil.copyfile(file, copy)
            if wal_path(file).exists():
                shutil.copyfile(wal_path(file), wal_path(copy))
        con = duckdb.connect(str(copy), read_only=True, config=config)
    with _closing(file, con, deadline, repair=False):
        yield con


def needs_rebuild(path: str | os.PathLike[str], *, timeout_s: float = 30.0) -> str | None:
    """Why the catalog must be rebuilt from the manifests on disk, in a sentence, or None.

    Opens it for writing once, so that it exists and is sound afterwards. A rebuild is due when the
    catalog is new, when damage was moved aside, and when a writer was killed: a log whose end is
    torn off opens without complaint, so nobody can tell whether its last rows are there.
    """
    with open_catalog(path, timeout_s=timeout_s):
        pass
    return read_mark(Path(path))


@contextmanager
def _closing(
    path: Path, con: duckdb.DuckDBPyConnection, deadline: float, *, repair: bool
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Close at the end; DuckDB's own errors leave as ours, and damage found late is moved aside."""
    try:
        yield con
    except duckdb.Error as error:
        con.close()
        if not is_damage(error):
            raise CatalogError(f"The catalog {path} refused a statement: {error}") from error
        if repair:
            with _alone(path.parent, deadline):
                quarantine(path, error)
        raise _damaged(path, error) from error
    finally:
        con.close()


def _absolute(path: str | os.PathLike[str]) -> Path:
    """The path as DuckDB can take it: absolute, so that nothing in it reads as a URL."""
    file = Path(os.path.abspath(path))  # noqa: PTH100 (resolve would follow links)
    shown = os.fsencode(file).decode("utf-8", "backslashreplace")
    if "?" in shown or shown != str(file):
        # DuckDB takes what follows a '?' for parameters and puts its log elsewhere.
        raise CatalogError(f"DuckDB cannot work in {shown}: use a folder whose name is UTF-8 and holds no '?'.")
    return file


def _open_reader(path: Path, deadline: float) -> duckdb.DuckDBPyConnection:
    if not path.exists():
        raise CatalogMissingError(f"There is no catalog at {path}: build a data set there first.")
    try:
        con, version = _connect_versioned(path, deadline, read_only=True)
    except duckdb.Error as error:
        raise _damaged(path, error) if is_damage(error) else _refused(path, error) from error
    if version == len(MIGRATIONS):
        return con
    con.close()
    require_known(version)
    with open_catalog(path, timeout_s=max(0.0, deadline - time.monotonic())):
        pass
    return _connect(path, deadline, read_only=True)


def _open_writer(path: Path, deadline: float) -> duckdb.DuckDBPyConnection:
    """Connect for writing; create what is missing and move aside what is damaged, one process at a time."""
    make_folder(path.parent)
    try:
        if path.exists():
            return _connect_migrated(path, deadline)
    except duckdb.Error as error:
        if not is_damage(error):
            raise _refused(path, error) from error
    with _alone(path.parent, deadline):
        while True:  # each turn moves a damaged file away, so it ends
            if not path.exists():
                _create(path)
            try:
                return _connect_migrated(path, deadline)
            except duckdb.Error as error:
                if not is_damage(error):
                    raise _refused(path, error) from error
                quarantine(path, error)


def _alone(folder: Path, deadline: float) -> AbstractContextManager[None]:
    """Hold the folder against other processes that create or fix its catalog; leaves no file."""
    busy = CatalogLockedError(f"Another process creates or fixes the catalog in {folder}: try again when it has ended.")
    return exclusive(folder, busy, deadline - time.monotonic())


def _connect_migrated(path: Path, deadline: float) -> duckdb.DuckDBPyConnection:
    """A connection for writing to the newest schema; marks the catalog if its last writer was killed."""
    con, version = _connect_versioned(path, deadline, read_only=False)
    try:
        # The log of a writer that closed is gone; ours is not begun, and we hold the lock.
        wal = wal_path(path)
        if wal.exists() and wal.stat().st_size:
            set_mark(path, "The catalog's last writer was killed in the middle of its work.")
        if version != len(MIGRATIONS):
            migrate(con)
    except BaseException:
        con.close()
        raise
    return con


def _connect_versioned(path: Path, deadline: float, *, read_only: bool) -> tuple[duckdb.DuckDBPyConnection, int]:
    """A connection and the schema it found."""
    con = _connect(path, deadline, read_only=read_only)
    try:
        return con, schema_version(con)
    except BaseException:
        con.close()
        raise


def _create(path: Path) -> None:
    """A new empty catalog, under a temporary name until it is whole: a kill leaves no half file."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    wal_path(new).unlink(missing_ok=True)
    con = duckdb.connect(str(new))
    try:
        migrate(con)
    finally:
        con.close()
    if read_mark(path) is None:
        set_mark(path, "The catalog is new.")
    new.rename(path)
    fsync_path(path.parent)


def _connect(path: Path, deadline: float, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """DuckDB's connect, tried again while others hold the file. Raises CatalogLockedError, duckdb.Error."""
    pause = _FIRST_PAUSE_S
    while True:
        try:
            return duckdb.connect(str(path), read_only=read_only, config=_READ_ONLY_CONFIG if read_only else {})
        except duckdb.Error as error:
            if not any(sign in str(error) for sign in _HELD):
                raise
            if time.monotonic() > deadline:
                holder = re.search(r"PID (\d+)", str(error))
                who = f"process {holder[1]}" if holder else "another connection of this process"
                raise CatalogLockedError(
                    f"The catalog {path} is held by {who}: try again when it has ended."
                ) from error
        time.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(2 * pause, _LONGEST_PAUSE_S)


def _damaged(path: Path, error: Exception) -> CatalogDamagedError:
    return CatalogDamagedError(
        f"The catalog {path} is damaged: run `longdance catalog rebuild`, which makes it again from "
        f"the manifests on disk ({str(error).splitlines()[0]})."
    )


def _refused(path: Path, error: Exception) -> CatalogError:
    if _OTHER_DUCKDB in str(error):
        return CatalogVersionError(f"Another version of DuckDB wrote the catalog {path}: update duckdb.")
    return CatalogError(f"The catalog {path} cannot be opened: {str(error).splitlines()[0]}")

"""Which file is which source: a record on disk, and the catalog's rows. There may be a million names: DuckDB holds and
compares them, Python reads and writes them in groups.
"""

import json
import logging
import mmap
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import duckdb
import pyarrow as pa

from data_catalog.arrow import Row, registered
from data_catalog.base.files import atomic, canonical_json
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.transactions import transaction
from data_catalog.writes import shown_path

_OF_PATH = ("source_id", "size", "mtime_ns", "inode")
_COLUMNS = ", ".join(("path", "shown", *_OF_PATH))
_TYPES = pa.schema(
    {"path": pa.binary(), "source_id": pa.string(), **dict.fromkeys(_OF_PATH[1:], pa.int64()), "shown": pa.string()}
)
_GROUP = 10_000
_ROW = re.compile(rb"\{[^{}]*\}")
_DAMAGE = (ValueError, KeyError, TypeError)
logger = logging.getLogger(__name__)


def record_paths(data: DataFolder, rows: Iterable[Row]) -> None:
    """Remember, in the catalog and on disk, which file is which source.

    A source that was found has the names under which it was found, no older ones; one whose file is gone stays
    in the data set under its last name.
    """
    with open_catalog(data.catalog) as con:
        _fill(con, "kept", rows)
        try:
            _fill(con, "known", _recorded(data.paths_record))
        except _DAMAGE:
            _warn(data.paths_record)
            _fill(con, "known", ())
        con.execute(
            "INSERT INTO kept FROM known WHERE source_id NOT IN (SELECT source_id FROM kept) "
            "AND path NOT IN (SELECT path FROM kept)"
        )
        if not _same(con, "known"):
            _write(con, data.paths_record)
        if not _same(con, "path_rows"):
            with transaction(con):
                con.execute("DELETE FROM path_rows")
                con.execute(f"INSERT INTO path_rows ({_COLUMNS}) SELECT {_COLUMNS} FROM kept ORDER BY path")


def stored_paths(data: DataFolder) -> list[Row]:
    """The paths on record, in bytes, since a name may be no text. Of a damaged record none: a build hashes its files
    again."""
    try:
        return list(_recorded(data.paths_record))
    except _DAMAGE:
        _warn(data.paths_record)
        return []


def known_ids(con: duckdb.DuckDBPyConnection) -> Iterator[tuple[bytes, tuple[int, int, int], str]]:
    """(path, (size, mtime_ns, inode), source id) of every file on record."""
    asked = con.execute("SELECT path, size, mtime_ns, inode, source_id FROM path_rows")
    while rows := asked.fetchmany(_GROUP):
        for path, size, mtime_ns, inode, source_id in rows:
            yield bytes(path), (size, mtime_ns, inode), source_id


def _fill(con: duckdb.DuckDBPyConnection, name: str, rows: Iterable[Row]) -> None:
    """A table of this connection with these rows."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT {_COLUMNS} FROM path_rows LIMIT 0")
    coming = iter(rows)
    while group := list(islice(coming, _GROUP)):
        columns = {column: [row[column] for row in group] for column in ("path", *_OF_PATH)}
        columns["shown"] = [shown_path(path) for path in columns["path"]]
        with registered(con, "coming", pa.table(columns, _TYPES)):
            con.execute(f"INSERT INTO {name} SELECT {_COLUMNS} FROM coming")


def _same(con: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Whether a table has what is kept."""
    [(counts, more)] = con.execute(
        f"SELECT (SELECT count(*) FROM kept) = (SELECT count(*) FROM {name}), (SELECT count(*) FROM "
        f"(SELECT {_COLUMNS} FROM kept EXCEPT SELECT {_COLUMNS} FROM {name}))"
    ).fetchall()
    return bool(counts) and not more


def _write(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """The record on disk, as `write_json` would write it."""
    asked = con.execute(f"SELECT hex(path), {', '.join(_OF_PATH)} FROM kept ORDER BY path")
    with atomic(path) as temp, temp.open("wb") as file:
        between = b"["
        while rows := asked.fetchmany(_GROUP):
            for name, *values in rows:
                file.write(between + canonical_json({"path": name.lower(), **dict(zip(_OF_PATH, values, strict=True))}))
                between = b","
        file.write(b"[]\n" if between == b"[" else b"]\n")


def _recorded(path: Path) -> Iterator[Row]:
    """The rows of the record, one by one. Raises ValueError, KeyError or TypeError where it is damaged."""
    if not path.is_file():
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        at, between = 0, b"["
        for found in _ROW.finditer(text):
            if text[at : found.start()].strip() != between:
                raise ValueError(f"{path} has something between its rows.")
            row = json.loads(found[0])
            yield {"path": bytes.fromhex(row["path"])} | {name: row[name] for name in _OF_PATH}
            at, between = found.end(), b","
        if text[at:].strip() != (b"]" if at else b"[]"):
            raise ValueError(f"{path} does not end where its rows do.")


def _warn(path: Path) -> None:
    logger.warning("%s is damaged and is made again by the next build.", path)

"""The catalog again from rows that the caller read from shards and manifests."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import duckdb

from data_catalog.arrow import Rows
from data_catalog.connection import open_catalog
from data_catalog.errors import CatalogDamagedError
from data_catalog.quarantine import clear_mark
from data_catalog.tables import TABLES
from data_catalog.transactions import transaction
from data_catalog.writes import merge


def rebuild(
    path: str | os.PathLike[str], tables: Mapping[str, Rows], finish: Callable[[], None] = lambda: None
) -> None:
    """Empty the named tables and fill them with exactly these rows, in one transaction.

    `tables` maps a view's name to rows; a row may say `current` (default: true). Tables that are not
    named keep their rows. Readers see the old catalog or the new one, nothing between. `finish` does what
    else belongs to it; once that has returned `needs_rebuild` has nothing to say. Raises RowError (nothing
    changed) and what `open_catalog` raises.
    """
    try:
        _refill(path, tables)
    except CatalogDamagedError:
        # Damage inside the file shows only when its block is read; it has been moved aside by now.
        _refill(path, tables)
    finish()
    clear_mark(Path(path))


def _refill(path: str | os.PathLike[str], tables: Mapping[str, Rows]) -> None:
    con: duckdb.DuckDBPyConnection
    with open_catalog(path) as con, transaction(con):
        for name, rows in tables.items():
            con.execute(f"DELETE FROM {TABLES[name].base}")
            merge(con, name, rows)

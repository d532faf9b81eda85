"""Rows about runs and rollouts, whose own files lie elsewhere: kept in the data set, to make its catalog again.

A file for each run and rollout, written before the rows are merged.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from data_catalog.arrow import Row
from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import read_sealed, write_sealed
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.writes import merge_tables

logger = logging.getLogger(__name__)


def keep_and_merge(data: DataFolder, name: str, tables: Mapping[str, Sequence[Row]]) -> Path:
    """Write rows down, durably, and merge them; the file. name: of what they are about; what was kept under it is
    replaced."""
    path = data.kept_rows / f"{name}.json"
    kept = {table: [_plain(row) for row in rows] for table, rows in tables.items()}
    write_sealed(path, {"tables": kept})
    with open_catalog(data.catalog) as con:
        merge_tables(con, tables)
    return path


def restore_kept(data: DataFolder) -> None:
    """Merge all rows that were written down; what is damaged costs its own run or rollout alone."""
    for path in sorted(data.kept_rows.glob("[!.]*.json")):
        try:
            tables = read_sealed(path)["tables"]
            rows = {table: [_restored(row) for row in tables[table]] for table in tables}
            with open_catalog(data.catalog) as con:
                merge_tables(con, rows)
        except (LongdanceError, KeyError, TypeError) as error:
            logger.warning("The rows of %s are passed over: %s", path, error)


def _plain(row: Row) -> dict[str, Any]:
    """JSON values alone."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def _restored(row: Row) -> Row:
    created = row.get("created")
    return {**row, "created": datetime.fromisoformat(created)} if isinstance(created, str) else row

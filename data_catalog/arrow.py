"""Plain rows to an Arrow table with exactly the columns and types of a catalog table."""

import json
import operator
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from data_catalog.errors import RowError
from data_catalog.tables import TABLES

Row: TypeAlias = dict[str, Any]
"""Values by the names of their columns."""
Rows: TypeAlias = Sequence[Row] | pa.Table


@contextmanager
def registered(con: duckdb.DuckDBPyConnection, name: str, arrow: pa.Table) -> Iterator[None]:
    """Let SQL inside the block read the Arrow table under `name`."""
    con.register(name, arrow)
    yield
    # Not after an error: an aborted transaction refuses it, and the next register replaces the name.
    con.unregister(name)


def as_arrow(con: duckdb.DuckDBPyConnection, name: str, rows: Rows) -> pa.Table:
    """Rows for the view `name` as a table with the columns and types of its base table.

    Missing columns become NULL (`current`: true). JSON columns take text, or a dict or list, which
    is written with sorted keys. Raises RowError for an unknown column, a key that is NULL, or a
    value that does not fit its column.
    """
    table = TABLES[name]
    empty = con.table(table.base).limit(0)
    json_columns = {column for column, kind in zip(empty.columns, empty.types) if str(kind) == "JSON"}
    schema = empty.to_arrow_table().schema
    given = rows.column_names if isinstance(rows, pa.Table) else sorted({key for row in rows for key in row})
    unknown = sorted(set(given) - set(schema.names))
    if unknown:
        raise RowError(f"{name}: there is no column {unknown[0]!r}, expected some of {', '.join(schema.names)}.")
    arrays = [_column(name, field, rows, field.name in given, field.name in json_columns) for field in schema]
    arrow = pa.table(arrays, schema=schema)
    for key in table.key:
        if arrow[key].null_count:
            raise RowError(f"{name}: {arrow[key].null_count} rows are without their {key}, every row needs one.")
    return arrow


def _column(name: str, field: pa.Field, rows: Rows, given: bool, is_json: bool) -> pa.Array:
    if not given:
        return pa.repeat(True, len(rows)) if field.name == "current" else pa.nulls(len(rows), field.type)
    try:
        if isinstance(rows, pa.Table):
            array = rows[field.name].combine_chunks().cast(field.type)
        else:
            values = [row.get(field.name) for row in rows]
            if is_json:
                values = [_json_text(value) for value in values]
            elif pa.types.is_integer(field.type):  # Arrow alone would cut 1.5 down to 1
                values = [None if value is None else operator.index(value) for value in values]
            array = pa.array(values, field.type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise RowError(f"{name}: a value of {field.name} does not fit {field.type}: {error}.") from error
    if field.name == "current":
        return array.fill_null(True)
    if name == "clips" and pa.types.is_floating(field.type):
        # DuckDB orders NaN above every number, so that an unmeasured score would break every '>'.
        return pc.if_else(pc.is_nan(array), None, array)
    return array


def _json_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, allow_nan=False)

"""The user's own SQL, read-only, and its answer as a table, JSON or CSV."""

import csv
import io
import json
import math
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from itertools import chain
from typing import Any, TypeAlias

import duckdb
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from data_catalog.connection import open_catalog, open_copy
from data_catalog.errors import QueryError
from data_catalog.quarantine import is_damage

FORMATS = ("table", "json", "csv")
BATCH = 10_000  # rows in memory at a time
WIDEST, MOST_SHOWN = 20, 8  # columns of a table; of a wider one the first are shown
_AMBIGUOUS = (
    "\nThe view clips holds its source's path: leave JOIN sources out, or join it by USING (source_id, path) and write "
    "clips.reason or sources.reason for what both have."
)
Values: TypeAlias = Sequence[Any]


def run_query(
    path: str | os.PathLike[str],
    sql: str,
    params: Sequence[Any] = (),
    *,
    most: int | None = None,
    timeout_s: float = 30.0,
) -> tuple[list[str], list[Values]]:
    """Answer of one SELECT as (column names, rows, at most `most` of them); waits while a build writes.

    The SQL can read the catalog and nothing else on disk, and writes nothing. Raises QueryError
    with DuckDB's own words, and what `open_catalog` raises.
    """
    with open_catalog(path, read_only=True, timeout_s=timeout_s) as con, _refusing():
        columns, result = _ask(con, sql, params)
        return columns, result.fetchall() if most is None else result.fetchmany(most)


def stream_query(path: str | os.PathLike[str], sql: str, format: str, *, timeout_s: float = 30.0) -> Iterator[str]:
    """Answer of one SELECT as text in one of FORMATS, piece by piece, however many rows it has.

    What is longer than BATCH rows is asked of a copy of the catalog: whoever reads slowly keeps no build waiting. A
    table is as wide as its widest row, so it ends after BATCH rows and says so. Raises as `run_query` does.
    """
    columns, rows = run_query(path, sql, most=BATCH + 1, timeout_s=timeout_s)
    if len(rows) <= BATCH or format not in ("json", "csv"):
        yield format_rows(columns, rows[:BATCH], format)
        if len(rows) > BATCH:
            yield f"These are the first {BATCH} rows: --format csv or json prints all.\n"
        return
    del rows
    with open_copy(path, timeout_s=timeout_s) as con, _refusing():
        columns, result = _ask(con, sql, ())
        yield from (_as_json if format == "json" else _as_csv)(columns, iter(lambda: result.fetchmany(BATCH), []))


def _ask(
    con: duckdb.DuckDBPyConnection, sql: str, params: Sequence[Any]
) -> tuple[list[str], duckdb.DuckDBPyConnection]:
    """(column names, the running query, whose rows are computed as they are fetched). Raises QueryError."""
    statements = con.extract_statements(sql)
    # A read-only DuckDB still lets COPY write over the catalog's own log.
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise QueryError("Expected one SELECT (or FROM, WITH, DESCRIBE, SHOW, SUMMARIZE) statement.")
    result = con.execute(statements[0], list(params))
    return _unique([column[0] for column in result.description]), result


@contextmanager
def _refusing() -> Iterator[None]:
    """DuckDB's complaints about a query as QueryError."""
    try:
        yield
    except duckdb.Error as error:
        if is_damage(error):
            raise
        raise QueryError(str(error) + (_AMBIGUOUS if "Ambiguous reference" in str(error) else "")) from error


def format_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]], format: str) -> str:
    """Rows as text in one of FORMATS, with a line end after the last line. Raises QueryError.

    json: a list of objects; NaN and infinities are null. csv: NULL is empty. Both write times as
    ISO 8601 and blobs as text, with \\xNN for what is no UTF-8.
    """
    if format == "json":
        return "".join(_as_json(columns, [rows]))
    if format == "csv":
        return "".join(_as_csv(columns, [rows]))
    if format == "table":
        return _as_table(columns, rows)
    raise QueryError(f"The format {format!r} is unknown: expected one of {', '.join(FORMATS)}.")


def _as_json(columns: Sequence[str], batches: Iterable[Sequence[Values]]) -> Iterator[str]:
    """One list of objects, in pieces."""
    lead = "["
    for rows in batches:
        objects = [dict(zip(columns, map(_json_value, row))) for row in rows]
        if objects:
            yield lead + json.dumps(objects, indent=1, ensure_ascii=False, allow_nan=False)[1:-2]
            lead = ","
    yield "[]\n" if lead == "[" else "\n]\n"


def _as_csv(columns: Sequence[str], batches: Iterable[Sequence[Values]]) -> Iterator[str]:
    """A header and a line for each row, in pieces."""
    for rows in chain([[columns]], batches):
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([_flat(value) for value in row] for row in rows)
        yield out.getvalue()


def _unique(names: Sequence[str]) -> list[str]:
    """Column names as keys of an object: the second `path` becomes `path_2`."""
    unique: list[str] = []
    for name in names:
        number, candidate = 1, name
        while candidate in unique:
            number += 1
            candidate = f"{name}_{number}"
        unique.append(candidate)
    return unique


def _json_value(value: Any) -> Any:
    """A value of DuckDB as JSON has it."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float | Decimal):
        value = float(value)
        return value if math.isfinite(value) else None
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {str(key): _json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(item) for item in value]
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return str(value)


def _flat(value: Any) -> Any:
    """A value as one cell of CSV."""
    if isinstance(value, list | tuple | dict):
        return json.dumps(_json_value(value), ensure_ascii=False)
    return value if isinstance(value, float | Decimal) else _json_value(value)


def _as_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table for the eye. On a terminal it folds to its width; in a pipe no line is broken."""
    hidden = len(columns) - MOST_SHOWN if len(columns) > WIDEST else 0
    columns = columns[: len(columns) - hidden]
    table = Table(box=SIMPLE_HEAD)
    for index, name in enumerate(columns):
        numbers = all(row[index] is None or isinstance(row[index], int | float | Decimal) for row in rows)
        table.add_column(_cell(name), justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row[: len(columns)]))
    out = io.StringIO()
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 1_000_000
    Console(file=out, width=width, color_system=None).print(table)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    count = f"{len(rows)} row" + ("" if len(rows) == 1 else "s")
    count += f"; {hidden} more columns: name those that you want, or --format csv or json prints all" if hidden else ""
    return "\n".join([*(line for line in lines if line), count]) + "\n"


def _cell(value: Any) -> Text:
    """Text without control characters: a file name must not steer the terminal."""
    flat = None if isinstance(value, float) and math.isnan(value) else _flat(value)
    text = "" if flat is None else str(flat)
    return Text("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text))

"""Rows into the catalog: idempotent merges, in bulk, one short transaction each.

Rows are dicts (or an Arrow table) whose keys are columns of the table; a column that is missing is
NULL. A merge replaces the whole row of the same key, so the same rows again change nothing. What is
merged is `current` unless the row says otherwise; `set_current` has the last word.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import duckdb
import pyarrow as pa

from data_catalog.arrow import Row, Rows, as_arrow, registered
from data_catalog.errors import RowError
from data_catalog.tables import TABLES, Table
from data_catalog.transactions import transaction

Connection: TypeAlias = duckdb.DuckDBPyConnection


def shown_path(path: bytes) -> str:
    r"""A name for the eye: bytes that are no UTF-8 become \xNN."""
    return path.decode("utf-8", "backslashreplace")


def merge_paths(con: Connection, rows: Sequence[Row]) -> None:
    """Files as last seen: path (bytes), source_id, size, mtime_ns, inode. `shown` is made here."""
    merge_tables(con, {"paths": [{**row, "shown": shown_path(row["path"])} for row in rows]})


def merge_sources(con: Connection, rows: Sequence[Row]) -> None:
    """One row per source, accepted or rejected, with `path_bytes`. `path` is made here."""
    merge_tables(con, {"sources": [{**row, "path": shown_path(row["path_bytes"])} for row in rows]})


def merge_clips(con: Connection, rows: Rows) -> None:
    """Clips with their crop and scores. A score that is NaN is stored as NULL: not measured."""
    merge_tables(con, {"clips": rows})


def merge_versions(con: Connection, versions: Rows, version_samples: Rows) -> None:
    """Versions with their samples. A version never changes: another hash is a RowError."""
    merge_tables(con, {"versions": versions, "version_samples": version_samples})


def merge_runs(con: Connection, rows: Rows) -> None:
    """Runs. Status and step may change; what makes the run what it is may not (RowError)."""
    merge_tables(con, {"runs": rows})


def merge_checkpoints(con: Connection, rows: Rows) -> None:
    """Checkpoints of runs, by (run, step)."""
    merge_tables(con, {"checkpoints": rows})


def merge_losses(con: Connection, rows: Rows) -> None:
    """The ledger, one row per (run, checkpoint, stage, bank, sample_key, window, k)."""
    merge_tables(con, {"losses": rows})


def merge_rollouts(con: Connection, rows: Rows) -> None:
    """Generated videos with their plan, seed and metrics."""
    merge_tables(con, {"rollouts": rows})


def merge_decisions(con: Connection, rows: Rows) -> None:
    """What somebody decided about clips; a decision never changes, a newer one overrules it."""
    merge_tables(con, {"decisions": rows})


def merge_latents(con: Connection, rows: Rows) -> None:
    """Where each sample's latents lie, by (sample_key, codec)."""
    merge_tables(con, {"latents": rows})


def merge_tables(con: Connection, tables: Mapping[str, Rows]) -> None:
    """Merge rows into several tables in one transaction. Raises RowError, and then nothing is merged."""
    with transaction(con):
        for name, rows in tables.items():
            merge(con, name, rows)


def register_shards(con: Connection, shards: Rows, samples: Rows) -> None:
    """Shards together with all their samples; samples that a shard no longer holds are forgotten.

    Raises RowError if a shard's number of samples is not the number of rows given for it.
    """
    shard_table, sample_table = as_arrow(con, "shards", shards), as_arrow(con, "samples", samples)
    _check_counts(shard_table, sample_table)
    with transaction(con):
        with registered(con, "new_samples", sample_table), registered(con, "new_shards", shard_table):
            con.execute(
                """DELETE FROM sample_rows WHERE shard IN (SELECT shard FROM new_shards)
                   AND (shard, sample_key) NOT IN (SELECT (shard, sample_key) FROM new_samples)"""
            )
        merge(con, "shards", shard_table)
        merge(con, "samples", sample_table)


def _check_counts(shards: pa.Table, samples: pa.Table) -> None:
    """Raise RowError unless every shard states as many samples as there are rows for it."""
    counts = samples.group_by("shard").aggregate([("sample_key", "count")])
    given = dict(zip(counts["shard"].to_pylist(), counts["sample_key_count"].to_pylist()))
    stated = dict(zip(shards["shard"].to_pylist(), shards["samples"].to_pylist()))
    for shard in sorted(given.keys() | stated.keys()):
        if stated.get(shard) != given.get(shard, 0):
            raise RowError(
                f"Shard {shard!r} states {stated.get(shard, 'no')} samples and {given.get(shard, 0)} rows were given."
            )


def set_current(
    con: Connection, clip_ids: Iterable[str], shard_names: Iterable[str], source_ids: Iterable[str]
) -> None:
    """Say what the data set consists of now: exactly these rows are shown by the views.

    Older rows stay in the base tables. Raises RowError for an id that was never merged.
    """
    with transaction(con):
        for name, ids in (("clips", clip_ids), ("shards", shard_names), ("sources", source_ids)):
            table = TABLES[name]
            key = table.key[0]
            chosen = pa.table({"id": pa.array(list(ids), pa.string())})
            with registered(con, "chosen", chosen):
                unknown = con.execute(
                    f"SELECT id FROM chosen WHERE id NOT IN (SELECT {key} FROM {table.base}) ORDER BY id LIMIT 1"
                ).fetchall()
                if unknown:
                    raise RowError(f"{name}: {unknown[0][0]!r} cannot be current, it was never merged.")
                con.execute(
                    f"UPDATE {table.base} SET current = NOT current WHERE current <> ({key} IN (SELECT id FROM chosen))"
                )


def merge(con: Connection, name: str, rows: Rows) -> int:
    """Merge rows into the table behind the view `name`, inside the caller's transaction.

    Returns the number of rows that were new or different. Raises RowError if two of the rows
    contradict each other, or one would change what is frozen.
    """
    table = TABLES[name]
    incoming = as_arrow(con, name, rows)
    if not incoming.num_rows:
        return 0
    once = incoming.group_by(list(table.key)).aggregate([]).num_rows == incoming.num_rows
    with registered(con, "incoming", incoming):
        if not once:
            _refuse_contradictions(con, name, table)
        if table.frozen:
            _refuse_frozen_changes(con, name, table)
        rows_sql = "incoming" if once else "(SELECT DISTINCT * FROM incoming)"
        [(changed,)] = con.execute(_merge_sql(table, rows_sql, incoming.column_names)).fetchall()
    return int(changed)


def _merge_sql(table: Table, rows_sql: str, columns: Sequence[str]) -> str:
    """MERGE by the table's key, which leaves rows alone that already say the same."""
    quoted = {column: f'"{column}"' for column in columns}
    values = [quoted[column] for column in columns if column not in table.key]
    on = " AND ".join(f"old.{quoted[k]} = new.{quoted[k]}" for k in table.key)
    differs = " OR ".join(f"old.{v} IS DISTINCT FROM new.{v}" for v in values)
    update = f"WHEN MATCHED AND ({differs}) THEN UPDATE SET {', '.join(f'{v} = new.{v}' for v in values)}"
    return f"""MERGE INTO {table.base} AS old USING {rows_sql} AS new ON {on} {update if values else ""}
        WHEN NOT MATCHED THEN INSERT ({", ".join(quoted.values())})
            VALUES ({", ".join(f"new.{q}" for q in quoted.values())})"""


def _refuse_contradictions(con: Connection, name: str, table: Table) -> None:
    """Raise RowError if one key comes with two contents."""
    key = _quoted(table.key)
    twice = con.execute(
        f"SELECT {key} FROM (SELECT DISTINCT * FROM incoming) GROUP BY {key} HAVING count(*) > 1 ORDER BY {key} LIMIT 1"
    ).fetchall()
    if twice:
        raise RowError(f"{name}: {_key_text(table, twice[0])} comes twice with different contents.")


def _refuse_frozen_changes(con: Connection, name: str, table: Table) -> None:
    """Raise RowError if a frozen column of a row that exists would change."""
    key = _quoted(table.key)
    changed = " OR ".join(f"old.{column} IS DISTINCT FROM new.{column}" for column in table.frozen)
    frozen = con.execute(
        f"SELECT {key} FROM {table.base} old JOIN incoming new USING ({key}) WHERE {changed} ORDER BY {key} LIMIT 1"
    ).fetchall()
    if frozen:
        raise RowError(
            f"{name}: {_key_text(table, frozen[0])} exists and its {', '.join(table.frozen)} cannot change: "
            "use another name."
        )


def _quoted(columns: Sequence[str]) -> str:
    """`window` is a word of SQL's own."""
    return ", ".join(f'"{column}"' for column in columns)


def _key_text(table: Table, values: Sequence[Any]) -> str:
    return ", ".join(f"{name} {value!r}" for name, value in zip(table.key, values))

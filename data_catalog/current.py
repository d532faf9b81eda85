"""Which build the views show: the rows of one clip set and of one sample set."""

import duckdb

from data_catalog.transactions import transaction


def show_build(con: duckdb.DuckDBPyConnection, clip_set: str, plan_key: str) -> None:
    """Make exactly the sources and clips of `clip_set` and the shards of `plan_key` current."""
    columns = {"source_rows": ("clip_set", clip_set), "clip_rows": ("clip_set", clip_set)}
    columns["shard_rows"] = ("plan_key", plan_key)
    with transaction(con):
        for table, (column, value) in columns.items():
            wanted = f"{column} IS NOT DISTINCT FROM $1"
            con.execute(f"UPDATE {table} SET current = NOT current WHERE current <> ({wanted})", [value])

"""Damage inside a database file shows when its block is read: so read all of them once."""

import duckdb

from data_catalog.tables import TABLES


def read_everything(con: duckdb.DuckDBPyConnection) -> None:
    """Read every block of every table.

    Raises duckdb.Error where a checksum is wrong; within `open_catalog` that moves the file aside and becomes
    CatalogDamagedError.
    """
    for table in TABLES.values():
        con.execute(f"SELECT bit_xor(hash(row)) FROM {table.base} row").fetchall()

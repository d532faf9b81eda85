"""Manifests and records on disk become rows, whatever the last build got done."""

from pathlib import Path

from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from flows.catalog.path_rows import record_paths
from tests.data_catalog.rows import table


def test_paths_that_were_written_down_and_not_merged_are_merged_by_the_next_build(tmp_path: Path) -> None:
    data = DataFolder(tmp_path)
    found = [{"path": b"a.mp4", "source_id": "s", "size": 1, "mtime_ns": 2, "inode": 3}]
    record_paths(data, found)
    expected = table(data.catalog, "SELECT * FROM paths")
    assert len(expected) == 1
    with open_catalog(data.catalog) as con:
        con.execute("DELETE FROM path_rows")  # a build that ended in between
    record_paths(data, found)
    assert table(data.catalog, "SELECT * FROM paths") == expected

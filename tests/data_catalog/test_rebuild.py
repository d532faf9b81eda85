from pathlib import Path

import pytest

from data_catalog.connection import needs_rebuild, open_catalog
from data_catalog.errors import RowError
from data_catalog.rebuild import rebuild
from data_catalog.writes import merge_clips, merge_runs, register_shards
from tests.data_catalog.rows import clip, sample, source, table


def test_a_rebuild_holds_exactly_the_rows_given_and_keeps_tables_not_named(path: Path) -> None:
    with open_catalog(path) as con:
        merge_clips(con, [clip(0), clip(1)])
        merge_runs(con, [{"run": "r"}])
    rebuild(path, {"clips": [clip(1, blur=0.5), clip(2, current=False)], "sources": [source()]})
    assert table(path, "SELECT clip_id, blur FROM clips") == [("clip-1", 0.5)]
    assert table(path, "SELECT clip_id, current FROM clip_rows") == [("clip-1", True), ("clip-2", False)]
    assert table(path, "SELECT run FROM runs") == [("r",)]


def test_a_rebuild_equals_what_the_merges_had_made(path: Path) -> None:
    clips, samples = [clip(0), clip(1)], [sample(0), sample(1)]
    with open_catalog(path) as con:
        merge_clips(con, clips)
        register_shards(con, [{"shard": "a.tar", "samples": 2}], samples)
    before = table(path, "SELECT * FROM clips"), table(path, "SELECT * FROM samples")
    rows = {"clips": clips[::-1], "shards": [{"shard": "a.tar", "samples": 2}], "samples": samples[::-1]}
    path.unlink()
    rebuild(path, rows)
    assert (table(path, "SELECT * FROM clips"), table(path, "SELECT * FROM samples")) == before
    assert needs_rebuild(path) is None


def test_a_rebuild_with_a_wrong_row_changes_nothing_and_is_still_due(path: Path) -> None:
    with open_catalog(path) as con:
        merge_clips(con, [clip(0)])
    rows = table(path, "SELECT * FROM clip_rows")
    with pytest.raises(RowError):
        rebuild(path, {"clips": [clip(1)], "sources": [{"source_id": None}]})
    assert table(path, "SELECT * FROM clip_rows") == rows
    path.unlink()
    with pytest.raises(RowError):
        rebuild(path, {"clips": [{"clip_id": None}]})
    assert needs_rebuild(path) == "The catalog is new."

import os
import threading
import time
from pathlib import Path

import duckdb
import pytest

from data_catalog.connection import needs_rebuild, open_catalog
from data_catalog.errors import (
    CatalogDamagedError,
    CatalogError,
    CatalogLockedError,
    CatalogMissingError,
    CatalogVersionError,
)
from data_catalog.migrations import MIGRATIONS, schema_version
from data_catalog.queries import run_query
from data_catalog.rebuild import rebuild
from data_catalog.writes import merge_clips, merge_runs
from tests.data_catalog.rows import HOLD, clip, heard, spawn, table


def test_a_new_catalog_asks_for_a_rebuild_and_after_it_nothing_lies_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "catalog.duckdb"
    assert needs_rebuild(file) == "The catalog is new."
    rebuild(file, {})
    assert needs_rebuild(file) is None
    assert [entry.name for entry in file.parent.iterdir()] == ["catalog.duckdb"]


def test_reading_where_there_is_no_catalog_says_so_and_makes_none(tmp_path: Path) -> None:
    with pytest.raises(CatalogMissingError, match="no catalog"), open_catalog(tmp_path / "c.duckdb", read_only=True):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("read_only", [False, True])
def test_a_catalog_held_by_another_process_is_an_error_that_names_it(path: Path, read_only: bool) -> None:
    with spawn(HOLD, path) as child:
        assert heard(child) == "open"
        held = pytest.raises(CatalogLockedError, match=f"process {child.pid}")
        with held, open_catalog(path, read_only=read_only, timeout_s=0.05):
            pass
        child.communicate()
    with open_catalog(path, read_only=read_only):
        pass


@pytest.mark.parametrize("read_only", [False, True])
def test_opening_waits_until_the_other_process_has_closed(path: Path, read_only: bool) -> None:
    with spawn(HOLD, path) as child:
        assert heard(child) == "open"
        release = threading.Timer(0.3, child.communicate)
        release.start()
        with open_catalog(path, read_only=read_only) as con:
            assert con.execute("SELECT count(*) FROM clips").fetchall() == [(0,)]
        release.join()


def test_many_readers_read_at_once(path: Path) -> None:
    reader = "import sys\nfrom data_catalog.connection import open_catalog\n"
    reader += "with open_catalog(sys.argv[1], read_only=True):\n    print('in', flush=True)\n    sys.stdin.read()"
    with spawn(reader, path) as first, spawn(reader, path) as second:
        assert (heard(first), heard(second)) == ("in", "in")
        assert run_query(path, "SELECT count(*) FROM clips", timeout_s=0)[1] == [(0,)]
        first.communicate()
        second.communicate()


def test_queries_get_through_between_the_writes_of_a_build_and_see_whole_batches(path: Path) -> None:
    writer = """
import sys, time
from data_catalog.connection import open_catalog
from data_catalog.writes import merge_clips
for batch in range(12):
    with open_catalog(sys.argv[1]) as con:
        merge_clips(con, [{"clip_id": f"clip-{10 * batch + i}"} for i in range(10)])
    print(batch, flush=True)
    time.sleep(0.05)  # the work between two writes
"""
    seen = set()
    with spawn(writer, path) as child:
        heard(child)
        while child.poll() is None:
            [(count,)] = run_query(path, "SELECT count(*) FROM clips")[1]
            seen.add(count)
    assert all(count % 10 == 0 for count in seen)
    assert len(seen) > 1, "no query got in between two writes"
    assert run_query(path, "SELECT count(*) FROM clips")[1] == [(120,)]


def test_processes_that_create_the_catalog_together_lose_no_row(tmp_path: Path) -> None:
    file = tmp_path / "catalog.duckdb"
    writer = """
import sys
from data_catalog.connection import open_catalog
from data_catalog.writes import merge_clips
sys.stdin.readline()
with open_catalog(sys.argv[1]) as con:
    merge_clips(con, [{"clip_id": sys.argv[2]}])
"""
    children = [spawn(writer, file, number) for number in range(3)]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        with child:
            child.communicate()
        assert child.returncode == 0
    assert table(file, "SELECT clip_id FROM clips") == [("0",), ("1",), ("2",)]


def test_a_second_writer_in_the_same_process_waits_like_any_other(path: Path) -> None:
    held = pytest.raises(CatalogLockedError, match="one batch at a time")
    with open_catalog(path), held, open_catalog(path, timeout_s=0.05):
        pass
    with open_catalog(path):
        pass


def test_an_exception_inside_the_block_releases_the_catalog(path: Path) -> None:
    with pytest.raises(KeyError), open_catalog(path):
        raise KeyError
    with open_catalog(path, timeout_s=0.05):
        pass


def test_a_statement_that_duckdb_refuses_leaves_as_an_error_of_the_catalog(path: Path) -> None:
    with pytest.raises(CatalogError, match="refused"), open_catalog(path) as con:
        merge_runs(con, [{"run": "r", "config": "{not json"}])
    assert table(path, "SELECT * FROM runs") == []


@pytest.mark.parametrize("read_only", [False, True])
def test_a_newer_schema_is_one_clear_error(path: Path, read_only: bool) -> None:
    with open_catalog(path) as con:
        con.execute("UPDATE meta SET value = ? WHERE key = 'schema'", [str(len(MIGRATIONS) + 3)])
    with pytest.raises(CatalogVersionError, match="update longdance"), open_catalog(path, read_only=read_only):
        pass


def test_an_older_schema_is_migrated_even_when_it_is_opened_for_reading(tmp_path: Path) -> None:
    file = tmp_path / "catalog.duckdb"
    duckdb.connect(str(file)).close()
    with open_catalog(file, read_only=True) as con:
        assert schema_version(con) == len(MIGRATIONS)
        assert con.execute("SELECT * FROM clips").fetchall() == []


def test_migrating_again_changes_nothing(path: Path) -> None:
    with open_catalog(path) as con:
        merge_clips(con, [clip()])
    before = path.read_bytes()
    with open_catalog(path):
        pass
    assert path.read_bytes() == before


def test_a_folder_name_that_looks_like_a_url_or_like_sql_is_a_folder_name(tmp_path: Path) -> None:
    file = tmp_path / "s3:" / "bucket%20#'; DROP TABLE clip_rows; --\n" / "catalog.duckdb"
    rebuild(file, {"clips": [clip()]})
    assert table(file, "SELECT clip_id FROM clips") == [("clip-0",)]
    assert [entry.name for entry in file.parent.iterdir()] == ["catalog.duckdb"]


@pytest.mark.parametrize("name", [b"what?", b"no utf \xff"])
def test_a_folder_that_duckdb_cannot_work_in_is_refused_before_anything_is_made(tmp_path: Path, name: bytes) -> None:
    folder = tmp_path / os.fsdecode(name)
    with pytest.raises(CatalogError, match="use a folder"), open_catalog(folder / "catalog.duckdb"):
        pass
    assert not folder.exists()


def test_reading_a_damaged_catalog_raises_and_touches_nothing(path: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)
    with pytest.raises(CatalogDamagedError, match="catalog rebuild"), open_catalog(path, read_only=True):
        pass
    assert [entry.name for entry in path.parent.iterdir()] == ["catalog.duckdb"]
    assert path.read_bytes().startswith(b"this is no database")


def test_threads_that_read_and_one_that_writes_wait_for_each_other(tmp_path: Path) -> None:
    file = tmp_path / "catalog.duckdb"
    with open_catalog(file):
        pass
    errors: list[Exception] = []
    opened: list[object] = []
    end = time.monotonic() + 4

    def work(read_only: bool) -> None:
        while time.monotonic() < end:
            try:
                with open_catalog(file, read_only=read_only) as con:
                    opened.append(con.execute("SELECT 1").fetchall())
            except Exception as error:  # whatever it is, it is one too many
                errors.append(error)

    threads = [threading.Thread(target=work, args=(number > 0,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(opened) > 20

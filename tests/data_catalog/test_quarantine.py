"""Real damage: bytes flipped in files that a killed writer left, and in whole ones."""

import random
import shutil
from pathlib import Path

import pytest

from data_catalog.connection import needs_rebuild, open_catalog
from data_catalog.errors import CatalogDamagedError
from data_catalog.quarantine import mark_path, wal_path
from data_catalog.rebuild import rebuild
from tests.data_catalog.rows import WRITE_BATCHES, clip, heard, spawn, table

CLIPS = [clip(number) for number in range(60)]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog whose writer got SIGKILL after six committed batches, with its log."""
    file = tmp_path_factory.mktemp("killed") / "catalog.duckdb"
    rebuild(file, {})
    with spawn(WRITE_BATCHES, file, 6) as child:
        while heard(child) != "5":
            pass
        child.kill()
    assert wal_path(file).stat().st_size
    return file


def copied(killed: Path, folder: Path) -> Path:
    for file in (killed, wal_path(killed)):
        shutil.copy(file, folder)
    return folder / killed.name


def flip(file: Path, offset: int) -> None:
    data = bytearray(file.read_bytes())
    data[offset] ^= 0x55
    file.write_bytes(data)


def clip_ids(path: Path) -> set[str]:
    return {row[0] for row in table(path, "SELECT clip_id FROM clips")}


def test_a_killed_writer_loses_no_committed_row_and_the_next_one_is_told(killed: Path, tmp_path: Path) -> None:
    path = copied(killed, tmp_path)
    assert clip_ids(path) == {row["clip_id"] for row in CLIPS}
    assert "killed" in (needs_rebuild(path) or "")
    rebuild(path, {"clips": CLIPS})
    assert needs_rebuild(path) is None
    assert [entry.name for entry in tmp_path.iterdir()] == ["catalog.duckdb"]


def test_the_mark_stays_until_the_rebuild(killed: Path, tmp_path: Path) -> None:
    path = copied(killed, tmp_path)
    for _ in range(3):
        assert needs_rebuild(path)


@pytest.mark.parametrize("moment", range(4))
def test_killed_while_writing_leaves_whole_transactions_only(path: Path, moment: int) -> None:
    with spawn(WRITE_BATCHES, path, 10_000) as child:
        for _ in range(1 + 3 * moment):
            acknowledged = int(heard(child))
        child.kill()
    clips = clip_ids(path)
    assert len(clips) % 10 == 0
    assert len(clips) >= 10 * (acknowledged + 1)


@pytest.mark.parametrize("seed", range(12))
def test_a_flipped_byte_in_the_log_costs_a_rebuild_and_no_row(killed: Path, tmp_path: Path, seed: int) -> None:
    path = copied(killed, tmp_path)
    size = wal_path(path).stat().st_size
    # Some of these hit a length field, where DuckDB drops the rest of the log in silence.
    flip(wal_path(path), [0, size - 1, 100][seed] if seed < 3 else random.Random(seed).randrange(size))
    damaged = wal_path(path).read_bytes()
    assert needs_rebuild(path)
    for aside in tmp_path.glob("*.damaged-*"):
        assert aside.read_bytes() == damaged
    rebuild(path, {"clips": CLIPS})
    assert needs_rebuild(path) is None
    assert clip_ids(path) == {row["clip_id"] for row in CLIPS}


def test_a_damaged_log_is_kept_beside_under_a_free_name(killed: Path, tmp_path: Path) -> None:
    path = copied(killed, tmp_path)
    (tmp_path / "catalog.duckdb.wal.damaged-1").write_text("an older one")
    flip(wal_path(path), wal_path(path).stat().st_size - 1)
    damaged = wal_path(path).read_bytes()
    assert needs_rebuild(path) == "The catalog's log was damaged and moved aside."
    assert (tmp_path / "catalog.duckdb.wal.damaged-1").read_text() == "an older one"
    assert (tmp_path / "catalog.duckdb.wal.damaged-2").read_bytes() == damaged


@pytest.mark.parametrize("seed", range(16))
def test_a_flipped_byte_in_the_file_never_gives_wrong_rows(path: Path, seed: int) -> None:
    rebuild(path, {"clips": CLIPS})
    size = path.stat().st_size
    flip(path, [0, 8, 40, 4100][seed] if seed < 4 else random.Random(seed).randrange(size))
    try:
        with open_catalog(path) as con:
            rows = con.execute("SELECT * FROM clips").fetchall()
        assert len(rows) == 60 or needs_rebuild(path)
    except CatalogDamagedError:
        assert needs_rebuild(path)
    rebuild(path, {"clips": CLIPS})
    assert clip_ids(path) == {row["clip_id"] for row in CLIPS}
    assert needs_rebuild(path) is None


@pytest.mark.parametrize("content", [b"", b"no database " * 2000, None], ids=["empty", "text", "truncated"])
def test_a_ruined_file_is_moved_aside_and_replaced(path: Path, content: bytes | None) -> None:
    rebuild(path, {"clips": CLIPS})
    path.write_bytes(path.read_bytes()[:9000] if content is None else content)
    ruined = path.read_bytes()
    assert needs_rebuild(path) == "The catalog's file was damaged and moved aside."
    assert path.with_name("catalog.duckdb.damaged-1").read_bytes() == ruined
    assert clip_ids(path) == set()
    rebuild(path, {"clips": CLIPS})
    assert clip_ids(path) == {row["clip_id"] for row in CLIPS}


def test_with_a_ruined_file_its_log_goes_too(killed: Path, tmp_path: Path) -> None:
    path = copied(killed, tmp_path)
    path.write_bytes(b"no database " * 2000)
    assert needs_rebuild(path)
    assert path.with_name("catalog.duckdb.wal.damaged-1").exists()
    assert clip_ids(path) == set()


def test_damage_that_shows_only_when_its_block_is_read_is_moved_aside_then(path: Path) -> None:
    rebuild(path, {"clips": [clip(number, clip_set=str(number) * 50) for number in range(2500)]})
    sound = path.read_bytes()
    opened = late = False
    offsets = iter(range(20_000, len(sound), 30_011))
    while not late:
        path.write_bytes(sound)
        flip(path, next(offsets))
        opened = False
        try:
            with open_catalog(path) as con:
                opened = True
                con.execute("SELECT * FROM clips").fetchall()
        except CatalogDamagedError:
            late = opened
    assert mark_path(path).exists()
    assert list(path.parent.glob("catalog.duckdb.damaged-*"))
    rebuild(path, {"clips": CLIPS})
    assert clip_ids(path) == {row["clip_id"] for row in CLIPS}


def test_a_creation_that_was_killed_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "catalog.duckdb"
    path.with_name("catalog.duckdb.new").write_bytes(b"half a file")
    assert needs_rebuild(path) == "The catalog is new."
    assert not path.with_name("catalog.duckdb.new").exists()

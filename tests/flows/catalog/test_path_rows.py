"""Which file is which source: on disk and in the catalog alike, whatever the names, in groups as in one."""

import json
from pathlib import Path

import pytest

from data_catalog.base.files import write_json
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from flows.catalog import path_rows
from flows.catalog.path_rows import known_ids, record_paths, stored_paths
from tests.data_catalog.rows import table

NAMES = [b"b.mp4", b"a'\n\".mp4", b"\xff\xfe.mp4", b"x" * 1000, "ä{}[],.mp4".encode(), b"a"]


def rows(*numbers: int, size: int = 1) -> list[dict[str, object]]:
    return [{"path": NAMES[n], "source_id": f"s{n}", "size": size, "mtime_ns": 10**18 + n, "inode": n} for n in numbers]


@pytest.mark.parametrize("group", [1, 2, 10_000])
def test_any_names_come_back_and_the_record_is_the_one_spelling(tmp_path: Path, monkeypatch, group: int) -> None:
    monkeypatch.setattr(path_rows, "_GROUP", group)
    data = DataFolder(tmp_path)
    record_paths(data, rows(0, 1, 2, 3, 4, 5))
    assert stored_paths(data) == sorted(rows(0, 1, 2, 3, 4, 5), key=lambda row: row["path"])
    write_json(tmp_path / "expected", [row | {"path": row["path"].hex()} for row in stored_paths(data)])
    assert data.paths_record.read_bytes() == (tmp_path / "expected").read_bytes()
    with open_catalog(data.catalog) as con:
        known = {path: source for path, _, source in known_ids(con)}
    assert known == {NAMES[n]: f"s{n}" for n in range(6)}
    assert ("\\xff\\xfe.mp4",) in table(data.catalog, "SELECT shown FROM paths")


def test_a_source_has_the_names_it_was_found_under_and_one_that_is_gone_its_last(tmp_path: Path) -> None:
    data = DataFolder(tmp_path)
    record_paths(data, rows(0, 1))
    moved = {**rows(0)[0], "path": b"moved"}
    record_paths(data, iter([moved]))
    assert [(row["path"], row["source_id"]) for row in stored_paths(data)] == [(NAMES[1], "s1"), (b"moved", "s0")]
    record_paths(data, [{**rows(2)[0], "path": b"moved"}])  # another file lies there by now
    assert [row["source_id"] for row in stored_paths(data)] == ["s1", "s2"]


def test_what_is_on_record_is_not_written_again_and_what_changed_is(tmp_path: Path) -> None:
    data = DataFolder(tmp_path)
    record_paths(data, rows(0, 1))
    before = data.paths_record.stat()
    record_paths(data, rows(1, 0))
    assert data.paths_record.stat().st_ino == before.st_ino
    record_paths(data, rows(0, 1, size=2))
    assert [row["size"] for row in stored_paths(data)] == [2, 2]
    assert table(data.catalog, "SELECT DISTINCT size FROM paths") == [(2,)]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-3], lambda text: text.replace('"size"', '"sise"', 1), lambda text: "", lambda text: "{}",
        lambda text: text.replace("},{", "}{"), lambda text: text.replace('"path":"', '"path":"g', 1),
        lambda text: text.replace('"size":1', '"size":NaN', 1),
    ],
)  # fmt: skip
def test_a_damaged_record_is_made_again(tmp_path: Path, damage, caplog) -> None:
    data = DataFolder(tmp_path)
    record_paths(data, rows(0, 1))
    whole = data.paths_record.read_text()
    data.paths_record.write_text(damage(whole))
    record_paths(data, rows(0, 1))
    assert "is damaged" in caplog.text
    assert data.paths_record.read_text() == whole
    data.paths_record.write_text(json.dumps(json.loads(whole), indent=1))  # by somebody's editor
    assert stored_paths(data) == sorted(rows(0, 1), key=lambda row: row["path"])


def test_a_record_without_rows_is_one(tmp_path: Path) -> None:
    data = DataFolder(tmp_path)
    write_json(data.paths_record, [])
    assert stored_paths(data) == []
    record_paths(data, [])
    assert json.loads(data.paths_record.read_bytes()) == []

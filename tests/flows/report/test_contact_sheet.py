"""The contact sheet says what each clip is, marks what is bad, and is drawn again when that changed."""

import re
from collections.abc import Callable
from pathlib import Path

import cv2
import duckdb
import numpy as np
import pytest
import webdataset

from data_catalog.connection import open_catalog
from data_catalog.views import set_thresholds
from data_catalog.writes import merge_versions
from flows.catalog.decisions import decide
from flows.report.contact_sheet import BAD, LINE, OK, TILE, write_contact_sheet
from flows.report.version_diff import diff
from tests.data_catalog.rows import threshold
from tests.flows.shown import Shown, make_shown

CAPTION = 3 * LINE + 2


@pytest.fixture
def shown(tmp_path: Path, dancer: Path, pose_model: Path) -> Shown:
    """Two stored clips, whose verdicts a test may change."""
    return make_shown(tmp_path, dancer, pose_model)


def marks(sheet: Path, count: int = 2) -> list[str]:
    """Of each tile, by its pixels: ok (green words below) or bad (red words, red frame)."""
    picture = cv2.imread(str(sheet))[:, :, ::-1].astype(int)
    assert picture.shape == (TILE + CAPTION, 10 * TILE, 3)
    found = []
    for number in range(count):
        tile = picture[:, number * TILE : (number + 1) * TILE]
        reds, greens = (np.abs(tile - np.array(colour)).max(-1) < 60 for colour in (BAD, OK))
        framed = reds[1:3, 5:-5].mean() > 0.9
        assert reds[TILE + 2 * LINE :].any() == framed
        assert greens[TILE + 2 * LINE :].any() != framed
        found.append("bad" if framed else "ok")
    assert picture[:, count * TILE :].max() < 20
    return found


def drop(shown: Shown) -> None:
    decide(shown.data, [shown.real[0]], "drop", "ann", "feet cut off")


def raise_a_threshold(shown: Shown) -> None:
    with open_catalog(shown.data.catalog) as con:
        rule = f"SELECT start_s FROM clips WHERE clip_id = '{shown.real[0]}'"
        [(start,)] = con.execute(rule).fetchall()
        [(other,)] = con.execute(rule.replace(shown.real[0], shown.real[1])).fetchall()
        set_thresholds(con, [threshold("start_s", "<" if start < other else ">", (start + other) / 2, "early")])


def fail_to_encode(shown: Shown) -> None:
    with open_catalog(shown.data.catalog) as con:
        con.execute("UPDATE clip_rows SET encode_error = 'short' WHERE clip_id = ?", [shown.real[0]])


@pytest.mark.parametrize("make_bad", [drop, raise_a_threshold, fail_to_encode])
def test_a_clip_that_is_bad_by_now_is_framed_in_red_and_the_sheet_drawn_once_for_it(
    shown: Shown, make_bad: Callable[[Shown], None]
) -> None:
    with open_catalog(shown.data.catalog) as con:
        set_thresholds(con, [])
    sheet = shown.data.contact_sheet
    assert write_contact_sheet(shown.data) == 2
    assert marks(sheet) == ["ok", "ok"]
    assert write_contact_sheet(shown.data) == 0
    make_bad(shown)
    assert write_contact_sheet(shown.data) == 2
    assert sorted(marks(sheet)) == ["bad", "ok"]
    assert write_contact_sheet(shown.data) == 0
    with open_catalog(shown.data.catalog, read_only=True) as con:
        told = dict(con.execute("SELECT clip_id, clip_verdict FROM samples WHERE variant = 0").fetchall())
    assert told == {shown.real[0]: "bad", shown.real[1]: "ok"}


def test_a_data_set_without_stored_clips_has_no_sheet(shown: Shown) -> None:
    with open_catalog(shown.data.catalog) as con:
        con.execute("UPDATE shard_rows SET current = false")
    assert write_contact_sheet(shown.data) == 0
    assert not shown.data.contact_sheet.exists()


def test_a_diff_draws_what_goes(shown: Shown) -> None:
    keys = shown.ids("SELECT sample_key FROM samples ORDER BY 1")
    with open_catalog(shown.data.catalog) as con:
        members = {"one": keys, "two": keys[1:]}
        rows = [{"version": v, "sample_key": key, "weight": 1.0} for v, list_ in members.items() for key in list_]
        merge_versions(con, [{"version": v} for v in members], rows)
    rows_, sheet, _ = diff(shown.data.root, "one", "two")
    assert {row["what"]: row["samples"] for row in rows_} == {"goes": 1, "stays": len(keys) - 1}
    assert sheet is not None
    assert len(marks(sheet, 1)) == 1
    assert diff(shown.data.root, "two", "one")[1] is None


def test_the_snippet_of_the_docs_passes_over_what_was_dropped(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[3] / "docs" / "data.md").read_text()
    [snippet] = re.findall(r"```python\n(.*?)```", page, re.S)
    [shard] = list(shown.data.shards.glob("*.tar"))
    monkeypatch.chdir(shown.data.root.parent)
    code = snippet.replace("dance/shards/SHARD.tar", str(shard)).replace('"dance/', f'"{shown.data.root}/')
    read: list[str] = []
    exec(code.replace("print(", "read.append("), {"read": Keys(read)})
    drop(shown)
    kept: list[str] = []
    exec(code.replace("print(", "read.append("), {"read": Keys(kept)})
    all_keys = [sample["__key__"] for sample in webdataset.WebDataset(str(shard), shardshuffle=False)]
    assert read == all_keys
    with duckdb.connect(str(shown.data.catalog), read_only=True) as con:
        gone = {key for (key,) in con.execute("SELECT sample_key FROM samples WHERE clip_verdict = 'bad'").fetchall()}
    assert gone
    assert kept == [key for key in all_keys if key not in gone]


class Keys:
    """Notes the first of what is printed."""

    def __init__(self, keys: list[str]) -> None:
        self.keys = keys

    def append(self, key: str, *rest: object) -> None:
        self.keys.append(key)

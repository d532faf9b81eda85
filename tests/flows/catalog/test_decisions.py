"""A decision is a file first and a row second: it survives the catalog, and a build honours it."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import write_json
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.views import set_thresholds
from data_catalog.writes import merge_clips, merge_decisions, merge_sources
from flows.catalog.decisions import decide, merge_recorded, recorded
from flows.catalog.manifests import rebuild_from_record, repair_catalog
from flows.catalog.wanted import wanted_clips
from pipeline.batches.prepare_sources import build_keys
from pipeline.config import BuildConfig
from tests.data_catalog.rows import clip, source, table, threshold


@pytest.fixture
def data(tmp_path: Path) -> DataFolder:
    """Four clips: good, blurred, without a crop, and one that failed to encode."""
    folder = DataFolder(tmp_path)
    with open_catalog(folder.catalog) as con:
        merge_sources(con, [source()])
        span = {"step": 1, "frames": 181}
        merge_clips(con, [clip(0, blur=0.1, first_frame=0, **span), clip(1, blur=0.9, first_frame=181, **span)])
        merge_clips(con, [clip(2, align_reason="too_small"), clip(3, encode_error="damaged")])
        set_thresholds(con, [threshold("blur", ">", 0.5, reason="blurred")])
    return folder


def wanted(data: DataFolder) -> list[str]:
    config = BuildConfig()
    with open_catalog(data.catalog) as con:
        return [clip.clip_id for clip in wanted_clips(con, config, build_keys(config).sample_set)]


def test_a_decision_changes_the_verdict_at_once_and_says_who_when_and_why(data: DataFolder) -> None:
    answer = decide(data, ["clip-0"], "drop", "ann", "feet cut off")
    now = {"verdict": "bad", "reason": "marked_drop", "reasons": ["marked_drop"], "decision": "drop"}
    assert answer["clips"] == {"clip-0": now}
    [record] = [json.loads(path.read_text()) for path in data.decisions.glob("*.json")]
    assert (record["who"], record["why"], record["decision"]) == ("ann", "feet cut off", "drop")
    [(who, why, decided)] = table(data.catalog, "SELECT who, why, decided FROM decisions")
    assert (who, why, decided.isoformat()) == ("ann", "feet cut off", record["decided"])


def test_the_next_build_encodes_what_was_kept_and_not_what_was_dropped(data: DataFolder) -> None:
    assert wanted(data) == ["clip-0"]
    decide(data, ["clip-0"], "drop", "ann", "")
    decide(data, ["clip-1"], "keep", "ann", "the blur is motion")
    assert wanted(data) == ["clip-1"]


def test_decisions_come_back_when_the_catalog_is_made_again_from_disk(data: DataFolder) -> None:
    decide(data, ["clip-0", "clip-1"], "drop", "ann", "one")
    decide(data, ["clip-1"], "keep", "bob", "two")
    before = table(data.catalog, "SELECT * FROM decisions")
    assert len(before) == 3
    write_json(data.build_record, {"raw": "raw", "config": BuildConfig().model_dump(mode="json")})
    data.catalog.unlink()
    rebuild_from_record(data)
    assert table(data.catalog, "SELECT * FROM decisions") == before


def test_a_decision_that_was_killed_before_the_catalog_still_counts_after_a_rebuild(data: DataFolder) -> None:
    decide(data, ["clip-0"], "drop", "ann", "")
    with open_catalog(data.catalog) as con:
        con.execute("DELETE FROM decision_rows")
    with open_catalog(data.catalog) as con:
        merge_decisions(con, recorded(data))
    assert table(data.catalog, "SELECT decision FROM clips WHERE clip_id = 'clip-0'") == [("drop",)]


def test_half_written_and_foreign_files_are_no_decisions(data: DataFolder) -> None:
    decide(data, ["clip-0"], "drop", "ann", "")
    (data.decisions / ".tmp-abc.json").write_text('{"decision": "keep"')
    (data.decisions / "notes.json").write_text('{"hello": 1}')
    (data.decisions / "torn.json").write_text('{"decision": "ke')
    assert [row["decision"] for row in recorded(data)] == ["drop"]


def test_a_reason_of_half_a_character_is_refused_and_leaves_a_data_set_that_can_be_rebuilt(data: DataFolder) -> None:
    with pytest.raises(LongdanceError, match=r"reason '\\ud800' is not text"):
        decide(data, ["clip-0"], "drop", "ann", "\ud800")
    assert not data.decisions.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"who": "J\udcf6rg"},
        {"why": "\ud800"},
        {"decision": "perhaps"},
        {"decided": "yesterday"},
        {"decided": "2026-11-01T12:00:00+01:00"},
        {"clips": [{"clip_id": "clip-1", "source_id": "s", "first_frame": "first", "step": 1, "frames": 181}]},
        {"clips": [{"clip_id": "clip-1", "source_id": "s", "first_frame": 2**40, "step": 1, "frames": 181}]},
        {"clips": [{"source_id": "s"}]},
    ],
)
def test_a_file_that_no_catalog_takes_is_passed_over_by_a_rebuild_and_named(
    data: DataFolder, change: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    decide(data, ["clip-0"], "drop", "ann", "")
    [path] = data.decisions.glob("*.json")
    (data.decisions / "odd.json").write_text(json.dumps(json.loads(path.read_text()) | change))
    write_json(data.build_record, {"raw": "raw", "config": BuildConfig().model_dump(mode="json")})
    rebuild_from_record(data)
    assert table(data.catalog, "SELECT clip_id, decision, who FROM decisions") == [("clip-0", "drop", "ann")]
    assert "odd.json is not a record of a decision" in caplog.text


def test_a_mark_that_was_killed_before_the_catalog_is_honoured_by_an_ordinary_build(data: DataFolder) -> None:
    config = BuildConfig()
    repair_catalog(data, config, build_keys(config))  # a new catalog is made again once; from here on it is sound
    with open_catalog(data.catalog) as con:
        merge_clips(con, [clip(0, blur=0.1, first_frame=0, step=1, frames=181)])
    decide(data, ["clip-0"], "drop", "ann", "")
    with open_catalog(data.catalog) as con:
        con.execute("DELETE FROM decision_rows")
    assert repair_catalog(data, config, build_keys(config)) is None
    assert table(data.catalog, "SELECT reason FROM clips WHERE clip_id = 'clip-0'") == [("marked_drop",)]
    assert merge_recorded(data) == 0


def test_a_later_word_wins_even_where_the_clock_went_back(data: DataFolder) -> None:
    future = datetime(2126, 1, 1)
    with open_catalog(data.catalog) as con:
        row = {"clip_id": "clip-0", "source_id": "source-0", "first_frame": 0, "step": 1, "frames": 181}
        merge_decisions(con, [row | {"decided": future, "decision": "keep", "who": "ann", "why": ""}])
    decide(data, ["clip-0"], "drop", "bob", "")
    assert table(data.catalog, "SELECT decision FROM clips WHERE clip_id = 'clip-0'") == [("drop",)]
    assert table(data.catalog, "SELECT max(decided) FROM decisions") == [(future + timedelta(microseconds=1),)]


@pytest.mark.parametrize(
    ("clips", "decision", "who", "words"),
    [
        (["clip-0", "nobody"], "drop", "ann", "no clip 'nobody'"),
        (["clip-2"], "keep", "ann", "cannot be kept"),
        (["clip-3"], "keep", "ann", "cannot be kept"),
        (["clip-0"], "delete", "ann", "'delete'"),
        ([], "drop", "ann", "0 clips"),
        (["clip-0"], "drop", "  ", "a name"),
        (["clip-0"], "drop", "x" * 3000, "at most"),
        (["clip-0"], "drop", "J\udcf6rg", r"name 'J\\udcf6rg' is not text"),
    ],
)
def test_a_decision_that_does_not_fit_is_one_sentence_and_leaves_nothing(
    data: DataFolder, clips: list[str], decision: str, who: str, words: str
) -> None:
    with pytest.raises(LongdanceError, match=words):
        decide(data, clips, decision, who, "")
    assert not data.decisions.exists()
    assert table(data.catalog, "SELECT * FROM decisions") == []

"""A person's word on a clip: the newest counts, the thresholds come after it, and it outlives another crop."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from data_catalog.connection import open_catalog
from data_catalog.errors import RowError
from data_catalog.migrations import FIRST_TABLES, MIGRATIONS, schema_version
from data_catalog.views import set_thresholds
from data_catalog.writes import merge_clips, merge_decisions
from tests.data_catalog.rows import clip, table, threshold

NOON = datetime(2026, 11, 1, 12)
BLURRED = threshold("blur", ">", 0.5, reason="blurred")


def said(decision: str, minute: int = 0, number: int = 0, **columns: Any) -> dict[str, Any]:
    row = {"clip_id": f"clip-{number}", "decided": NOON + timedelta(minutes=minute), "decision": decision}
    return row | {"who": "ann", "why": "because"} | columns


def verdicts(path: Path, clips: list[Any], decisions: list[Any]) -> dict[str, Any]:
    with open_catalog(path) as con:
        merge_clips(con, clips)
        set_thresholds(con, [BLURRED])
        merge_decisions(con, decisions)
    rows = table(path, "SELECT clip_id, verdict, reason, reasons, decision FROM clips")
    return {row[0]: row[1:] for row in rows}


def test_drop_makes_a_good_clip_bad_and_names_itself(path: Path) -> None:
    found = verdicts(path, [clip(0, blur=0.1), clip(1, blur=0.1)], [said("drop")])
    assert found["clip-0"] == ("bad", "marked_drop", ["marked_drop"], "drop")
    assert found["clip-1"] == ("ok", None, [], None)


def test_keep_overrules_thresholds_and_not_what_alignment_or_encoding_said(path: Path) -> None:
    clips = [clip(0, blur=0.9), clip(1, align_reason="too_small"), clip(2, encode_error="damaged", blur=0.9)]
    found = verdicts(path, clips, [said("keep", number=n) for n in range(3)])
    assert found["clip-0"] == ("ok", None, [], "keep")
    assert found["clip-1"][:3] == ("bad", "too_small", ["too_small"])
    assert found["clip-2"][:2] == ("bad", "damaged")


def test_a_dropped_clip_lists_what_else_is_wrong_with_it(path: Path) -> None:
    assert verdicts(path, [clip(0, blur=0.9)], [said("drop")])["clip-0"][1:3] == (
        "marked_drop",
        ["marked_drop", "blurred"],
    )


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        (["drop", "keep"], "ok"),
        (["keep", "drop"], "bad"),
        (["drop", "clear"], "ok"),
        (["keep", "clear", "drop"], "bad"),
    ],
)
def test_the_newest_decision_counts_in_whatever_order_they_arrive(path: Path, words: list[str], verdict: str) -> None:
    decisions = [said(word, minute) for minute, word in enumerate(words)]
    assert verdicts(path, [clip(0, blur=0.1)], decisions[::-1])["clip-0"][0] == verdict
    assert table(path, "SELECT decision FROM decisions WHERE newest") == [(words[-1],)]
    assert len(table(path, "SELECT * FROM decisions")) == len(words)


def test_clearing_a_keep_lets_the_thresholds_decide_again(path: Path) -> None:
    found = verdicts(path, [clip(0, blur=0.9)], [said("keep"), said("clear", 1)])
    assert found["clip-0"] == ("bad", "blurred", ["blurred"], None)


def test_a_decision_holds_for_the_same_stretch_under_another_crop_and_for_no_other(path: Path) -> None:
    span = {"source_id": "source-0", "first_frame": 30, "step": 1, "frames": 181}
    clips = [clip(0, **span, current=False), clip(1, **span), clip(2, **span | {"first_frame": 211})]
    found = verdicts(path, clips, [said("drop", **span)])
    assert {name: row[0] for name, row in found.items()} == {"clip-1": "bad", "clip-2": "ok"}


def test_a_decision_that_was_written_cannot_change(path: Path) -> None:
    with open_catalog(path) as con:
        merge_decisions(con, [said("drop"), said("drop")])
        with pytest.raises(RowError, match="decision"):
            merge_decisions(con, [said("keep")])


def test_a_catalog_from_before_decisions_is_migrated_and_keeps_its_clips(tmp_path: Path) -> None:
    path = tmp_path / "catalog.duckdb"
    con = duckdb.connect(str(path))
    con.execute(FIRST_TABLES)
    con.execute("CREATE TABLE meta (key VARCHAR NOT NULL, value VARCHAR)")
    con.execute("INSERT INTO meta VALUES ('schema', '1')")
    con.execute("INSERT INTO clip_rows (clip_id, current) VALUES ('old', true)")
    con.close()
    assert table(path, "SELECT clip_id, verdict, decision FROM clips") == [("old", "ok", None)]
    with open_catalog(path, read_only=True) as con:
        assert schema_version(con) == len(MIGRATIONS)

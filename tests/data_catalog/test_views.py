from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_catalog.connection import open_catalog
from data_catalog.errors import QueryError, ThresholdError
from data_catalog.queries import format_rows, run_query
from data_catalog.rebuild import rebuild
from data_catalog.views import set_thresholds
from data_catalog.writes import merge_clips, merge_sources, register_shards
from tests.data_catalog.rows import clip, sample, source, table, threshold

PUBLIC = {
    "sources": "source_id path status reason width height fps frames duration_s sound sound_reason",
    "clips": "clip_id source_id start_s end_s crop_x crop_y crop_side crop_mode crop_path cam_translation cam_zoom "
    "cam_rotation cam_shake out_of_frame out_of_frame_joints out_of_crop_joints no_pose visibility people "
    "identity_switches overlay overlay_dancer blur brightness motion_energy duplicated upscale phash sound tempo "
    "beats beat_alignment "
    "verdict reason reasons decision",
    "samples": "sample_key clip_id variant clip_verdict clip_reason recipe shard mp4_offset mp4_length "
    "json_offset json_length npy_offset "
    "npy_length flac_offset flac_length",
    "shards": "shard samples bytes sha256",
    "versions": "version parent policy hash",
    "version_samples": "version sample_key weight",
    "version_contents": "version parent samples clips sources hours motion motion_lost",
    "losses": "sample_key stage run checkpoint bank bin window k loss",
    "runs": "run config parent version",
    "checkpoints": "run step path verified",
    "decisions": "clip_id decision who why decided newest",
    "rollouts": "path plan seed metrics",
    "measures": "clip_id scorer column_name value version",
    "captions": "clip_id caption_set caption model prompt created",
    "forgotten": "source_id why forgotten seen_by",
    "exports": "export target folder version version_hash samples created",
    "export_sources": "export source_id",
    "thresholds": "reason score op value rank",
    "paths": "path shown source_id size mtime_ns inode",
}
SCORES = ("cam_translation", "out_of_frame", "blur")


@pytest.mark.parametrize("view", PUBLIC)
def test_the_public_columns_are_there(path: Path, view: str) -> None:
    with open_catalog(path, read_only=True) as con:
        names = {column[0] for column in con.execute(f"SELECT * FROM {view}").description}
    assert set(PUBLIC[view].split()) <= names
    assert "current" not in names


def reasons_by_hand(row: dict[str, Any], thresholds: list[dict[str, Any]]) -> list[str]:
    reasons = [row[name] for name in ("align_reason", "encode_error") if row[name]]
    for rule in sorted(thresholds, key=lambda t: (t["rank"], t["reason"], t["score"], t["op"])):
        score = row[rule["score"]]
        broken = score is not None and (score > rule["value"] if rule["op"] == ">" else score < rule["value"])
        if broken and rule["reason"] not in reasons:
            reasons.append(rule["reason"])
    return reasons


def verdicts(path: Path, rows: list[Any], thresholds: list[Any]) -> dict[str, tuple[list[str], str, str]]:
    with open_catalog(path) as con:
        con.execute("DELETE FROM clip_rows")
        merge_clips(con, rows)
        set_thresholds(con, thresholds)
        answer = con.execute("SELECT clip_id, reasons, reason, verdict FROM clips").fetchall()
    return {clip_id: (reasons, reason, verdict) for clip_id, reasons, reason, verdict in answer}


values = st.sampled_from([-1.0, 0.0, 0.1, 0.3, 0.5, 1e-7, 2.0])
rules = st.builds(
    threshold,
    st.sampled_from(SCORES),
    st.sampled_from("<>"),
    values,
    st.sampled_from(["a", "b", "c"]),
    st.integers(0, 3),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(rules, max_size=5, unique_by=lambda t: (t["reason"], t["score"], t["op"])),
    st.lists(st.tuples(*[st.none() | values] * 3, st.sampled_from([None, "too_small"])), min_size=1, max_size=6),
)
def test_verdict_and_reasons_are_what_a_loop_in_python_says(
    path: Path, thresholds: list[Any], scores: list[Any]
) -> None:
    names = (*SCORES, "align_reason")
    rows = [clip(n, encode_error=None, **dict(zip(names, row))) for n, row in enumerate(scores)]
    seen = verdicts(path, rows, thresholds)
    for row in rows:
        reasons, reason, verdict = seen[row["clip_id"]]
        assert set(reasons) == set(reasons_by_hand(row, thresholds))
        assert reason == (reasons[0] if reasons else None)
        assert verdict == ("bad" if reasons else "ok")
        firsts = {t["reason"]: min(u["rank"] for u in thresholds if u["reason"] == t["reason"]) for t in thresholds}
        ranks = [firsts[name] for name in reasons if name in firsts]
        assert ranks == sorted(ranks)


def test_the_lowest_rank_names_the_reason_and_all_are_listed(path: Path) -> None:
    with open_catalog(path) as con:
        set_thresholds(con, [threshold("blur", "<", 0.2, "blurred", 2), threshold("cam_shake", ">", 3, rank=1)])
        merge_clips(con, [clip(0, blur=0.1, cam_shake=4.0), clip(1, blur=0.1, cam_shake=3.0), clip(2)])
    assert table(path, "SELECT clip_id, verdict, reason, reasons FROM clips") == [
        ("clip-0", "bad", "camera_motion", ["camera_motion", "blurred"]),
        ("clip-1", "bad", "blurred", ["blurred"]),
        ("clip-2", "ok", None, []),
    ]


def test_what_alignment_or_encoding_said_comes_first_and_needs_no_threshold(path: Path) -> None:
    with open_catalog(path) as con:
        merge_clips(con, [clip(0, align_reason="too_small"), clip(1, encode_error="short", align_reason="cut")])
        assert con.execute("SELECT reason, verdict FROM clips ORDER BY clip_id").fetchall() == [
            ("too_small", "bad"),
            ("cut", "bad"),
        ]
        set_thresholds(con, [threshold("start_s", "<", 100, "early", rank=-5)])
    assert table(path, "SELECT reasons FROM clips ORDER BY clip_id") == [
        (["cut", "short", "early"],),
        (["too_small", "early"],),
    ]


def test_a_changed_threshold_changes_verdicts_and_no_clip_row(path: Path) -> None:
    with open_catalog(path) as con:
        merge_clips(con, [clip(0, cam_translation=2.0)])
        rows = con.execute("SELECT rowid, * FROM clip_rows").fetchall()
        verdicts = []
        for limit in (1.0, 2.0, 3.0):
            set_thresholds(con, [threshold("cam_translation", ">", limit)])
            verdicts += con.execute("SELECT verdict FROM clips").fetchall()
        assert verdicts == [("bad",), ("ok",), ("ok",)]
        assert con.execute("SELECT rowid, * FROM clip_rows").fetchall() == rows


def test_thresholds_survive_a_reopening_and_a_rebuild(path: Path) -> None:
    with open_catalog(path) as con:
        set_thresholds(con, [threshold("blur", "<", 0.5, "blurred")])
    rebuild(path, {"clips": [clip(0, blur=0.1)]})
    assert table(path, "SELECT reason FROM clips") == [("blurred",)]


@pytest.mark.parametrize(
    "wrong",
    [
        threshold("blur) OR (1=1", "<", 1.0),
        threshold("crop_mode", "<", 1.0),
        threshold("clip_id", ">", 1.0),
        threshold("blur", ">=", 1.0),
        threshold("blur", "> 0 OR 1 >", 1.0),
        threshold("blur", "<", float("nan")),
        threshold("blur", "<", float("inf")),
        threshold("blur", "<", 1.0, "x' THEN 'y"),
        threshold("blur", "<", 1.0, ""),
        {"score": "blur", "op": "<", "value": 1.0},
        threshold("blur", "<", 1.0) | {"note": "x"},
    ],
)
def test_nothing_from_outside_reaches_sql_text(path: Path, wrong: dict[str, Any]) -> None:
    with open_catalog(path) as con:
        set_thresholds(con, [threshold("blur", "<", 0.5)])
        with pytest.raises(ThresholdError):
            set_thresholds(con, [wrong])
        assert con.execute("SELECT value FROM thresholds").fetchall() == [(0.5,)]


def test_one_threshold_given_twice_is_refused(path: Path) -> None:
    with open_catalog(path) as con, pytest.raises(ThresholdError, match="each once"):
        set_thresholds(con, [threshold("blur", "<", 0.5), threshold("blur", "<", 0.6)])


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT path, reason, fps, frames, sound FROM clips",  # what wanted a join and prefixes before
        "SELECT path, reason, fps, frames, sound FROM samples JOIN clips USING (clip_id)",
        "SELECT path, clips.reason, sources.reason, duration_s FROM clips JOIN sources USING (source_id, path)",
    ],
)
def test_a_clip_says_where_it_comes_from_without_a_join_or_a_prefix(path: Path, sql: str) -> None:
    with open_catalog(path) as con:
        merge_sources(con, [source(0, path_bytes=b"a.mp4")])
        merge_clips(con, [clip(0), clip(1, source_id="source-9")])
        register_shards(con, [{"shard": "a.tar", "samples": 1}], [sample(0)])
        assert con.execute(f"{sql} WHERE path = 'a.mp4'").fetchall()[0][0] == "a.mp4"
        assert con.execute("SELECT path FROM clips ORDER BY clip_id").fetchall() == [("a.mp4",), (None,)]


def test_clips_begin_with_what_one_looks_at_first_and_a_table_ends_there(path: Path) -> None:
    with open_catalog(path) as con:
        merge_clips(con, [clip(0)])
    columns, rows = run_query(path, "FROM clips")
    assert columns[:6] == ["clip_id", "path", "start_s", "end_s", "verdict", "reason"]
    assert len(set(columns)) == len(columns) > 40
    shown = format_rows(columns, rows, "table")
    assert max(map(len, shown.splitlines()[:-1])) < 120
    assert f"1 row; {len(columns) - 8} more columns" in shown
    assert "cam_shake" not in shown
    for form in ("csv", "json"):
        assert "cam_shake" in format_rows(columns, rows, form)
    narrow = format_rows(columns[:20], [row[:20] for row in rows], "table")
    assert columns[19] in narrow


def test_a_join_that_is_ambiguous_now_says_what_to_type(path: Path) -> None:
    with pytest.raises(QueryError, match=r"leave JOIN sources out, or join it by USING \(source_id, path\)"):
        run_query(path, "SELECT path FROM clips JOIN sources USING (source_id)")


def test_an_older_catalog_gets_the_views_of_today_when_it_is_read(path: Path) -> None:
    with open_catalog(path) as con:
        merge_sources(con, [source(0, path_bytes=b"a.mp4")])
        merge_clips(con, [clip(0)])
        con.execute("DROP VIEW version_contents")
        con.execute("CREATE OR REPLACE VIEW clips AS SELECT * EXCLUDE (current), 'ok' AS verdict FROM clip_rows")
        for column in ("mask_offset", "mask_length"):  # of the schema after that
            con.execute(f"ALTER TABLE sample_rows DROP COLUMN {column}")
        con.execute("UPDATE meta SET value = '6' WHERE key = 'schema'")
    assert run_query(path, "SELECT clip_id, path FROM clips")[1] == [("clip-0", "a.mp4")]
    assert run_query(path, "SELECT samples FROM version_contents")[1] == [(0,)]

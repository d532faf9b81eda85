"""The public views, and the verdict: decisions are SQL over scores and thresholds."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import duckdb

from data_catalog.errors import ThresholdError
from data_catalog.transactions import transaction

_REASON = re.compile(r"[a-z][a-z0-9_]*")
_NUMERIC = ("DOUBLE", "INTEGER")

# One name for the same stretch of the same source, whatever crop it got.
_SPAN = "coalesce(source_id || '/' || first_frame || '/' || step || '/' || frames, clip_id)"

_PLAIN_VIEWS = f"""
CREATE OR REPLACE VIEW paths AS SELECT * FROM path_rows;
CREATE OR REPLACE VIEW sources AS
    SELECT * EXCLUDE (current) FROM source_rows LEFT JOIN right_rows USING (source_id) WHERE current;
CREATE OR REPLACE VIEW rights AS SELECT * FROM right_rows;
CREATE OR REPLACE VIEW forgotten AS SELECT * FROM forgotten_rows;
CREATE OR REPLACE VIEW shards AS SELECT * EXCLUDE (current) FROM shard_rows WHERE current;
CREATE OR REPLACE VIEW latents AS SELECT * FROM latent_rows;
CREATE OR REPLACE VIEW versions AS SELECT * FROM version_rows;
CREATE OR REPLACE VIEW version_samples AS SELECT * FROM version_sample_rows;
CREATE OR REPLACE VIEW runs AS SELECT * FROM run_rows;
CREATE OR REPLACE VIEW run_sources AS SELECT * FROM run_source_rows;
CREATE OR REPLACE VIEW checkpoints AS SELECT * FROM checkpoint_rows;
CREATE OR REPLACE VIEW losses AS SELECT * FROM loss_rows;
CREATE OR REPLACE VIEW ledgers AS SELECT * FROM ledger_rows;
CREATE OR REPLACE VIEW worth AS SELECT * FROM worth_rows;
CREATE OR REPLACE VIEW rollouts AS SELECT * FROM rollout_rows;
CREATE OR REPLACE VIEW measures AS SELECT * FROM measure_rows;
CREATE OR REPLACE VIEW captions AS SELECT * FROM caption_rows;
CREATE OR REPLACE VIEW exports AS SELECT * FROM export_rows;
CREATE OR REPLACE VIEW export_sources AS SELECT * FROM export_source_rows;
CREATE OR REPLACE VIEW decisions AS
    SELECT * EXCLUDE (span), decided = max(decided) OVER (PARTITION BY span) AS newest
    FROM (SELECT *, {_SPAN} AS span FROM decision_rows);
CREATE OR REPLACE VIEW thresholds AS SELECT * FROM threshold_rows;
"""

# `clip_verdict`, not `verdict`: a join with `clips` needs no prefix for either.
_SAMPLES = """
CREATE OR REPLACE VIEW samples AS
SELECT sample_rows.*, verdict AS clip_verdict, reason AS clip_reason
FROM sample_rows LEFT JOIN (SELECT clip_id, verdict, reason FROM clips) USING (clip_id)
WHERE shard IN (SELECT shard FROM shard_rows WHERE current);
"""
# What a version weighs, for every reader of it. The row without a version is all good clips: what a version without a
# parent is compared with.
_VERSION_CONTENTS = """
CREATE OR REPLACE VIEW version_contents AS
WITH named AS (SELECT version, parent FROM versions UNION ALL SELECT NULL, NULL),
held AS (
    SELECT version, sample_key FROM version_samples
    UNION ALL SELECT NULL, sample_key FROM samples JOIN clips USING (clip_id) WHERE verdict = 'ok'
), summed AS (
    SELECT version, count(*) AS samples, count(DISTINCT clip_id) AS clips, count(DISTINCT source_id) AS sources,
           sum(end_s - start_s) / 3600 AS hours, sum(motion_energy * clips.frames) AS motion
    FROM held JOIN samples USING (sample_key) JOIN clips USING (clip_id)
    GROUP BY version
), contents AS (
    SELECT named.version, parent, coalesce(samples, 0) AS samples, coalesce(clips, 0) AS clips,
           coalesce(sources, 0) AS sources, coalesce(hours, 0) AS hours, coalesce(motion, 0) AS motion
    FROM named LEFT JOIN summed ON named.version IS NOT DISTINCT FROM summed.version
)
SELECT now.*, 1 - now.motion / nullif(before.motion, 0) AS motion_lost
FROM contents now LEFT JOIN contents before ON before.version IS NOT DISTINCT FROM now.parent;
"""

Threshold = tuple[str, str, str, float, int]


def create_views(con: duckdb.DuckDBPyConnection) -> None:
    """Create or replace every public view; `clips` from the thresholds that are stored."""
    con.execute(_PLAIN_VIEWS)
    con.execute(clips_view_sql(stored_thresholds(con), measured_columns(con)))
    con.execute(_SAMPLES + _VERSION_CONTENTS)


def stored_thresholds(con: duckdb.DuckDBPyConnection) -> list[Threshold]:
    """The rows (reason, score, op, value, rank) in the order in which they decide."""
    return con.execute(
        "SELECT reason, score, op, value, rank FROM threshold_rows ORDER BY rank, reason, score, op"
    ).fetchall()


def set_thresholds(con: duckdb.DuckDBPyConnection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replace all thresholds and with them every clip's verdict; no clip row is touched.

    A row is {reason, score, op, value, rank}: a clip whose `score` is `op` ('>' or '<') `value` is
    bad for `reason`. The lowest rank among a clip's violations names its `reason`. A score that is
    NULL violates nothing. Raises ThresholdError.
    """
    checked = sorted((_checked(con, row) for row in rows), key=lambda t: (t[4], *t[:3]))
    keys = [threshold[:3] for threshold in checked]
    if len(set(keys)) < len(keys):
        raise ThresholdError(f"Two thresholds share reason, score and op: give each once, got {keys}.")
    if checked == stored_thresholds(con):
        return
    with transaction(con):
        con.execute("DELETE FROM threshold_rows")
        for threshold in checked:
            con.execute("INSERT INTO threshold_rows VALUES (?, ?, ?, ?, ?)", list(threshold))
        con.execute(clips_view_sql(checked, measured_columns(con)))


def score_columns(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The numeric columns of a clip, which a threshold may name."""
    rows = con.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'clip_rows' ORDER BY column_index"
    ).fetchall()
    return [*(name for name, kind in rows if kind in _NUMERIC), *measured_columns(con)]


def measured_columns(con: duckdb.DuckDBPyConnection) -> list[str]:
    """The columns of `clips` that scorers of the user's own have given."""
    return [name for (name,) in con.execute("SELECT DISTINCT column_name FROM measure_rows ORDER BY 1").fetchall()]


def replace_measures(con: duckdb.DuckDBPyConnection, scorer: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Make `rows` (clip_id, column_name, value, version) all that a scorer says, and its columns columns of `clips`.

    Raises ThresholdError for a column that cannot be one, or that a threshold needs and the rows no longer give.
    """
    with transaction(con):
        check_measured(con, scorer, {str(row["column_name"]) for row in rows})
        con.execute("DELETE FROM measure_rows WHERE scorer = ?", [scorer])
        if rows:
            values = [[row["clip_id"], scorer, row["column_name"], row["value"], row["version"]] for row in rows]
            con.executemany("INSERT INTO measure_rows VALUES (?, ?, ?, ?, ?)", values)
        known = set(score_columns(con))
        for _, score, *_ in stored_thresholds(con):
            if score not in known:
                raise ThresholdError(f"A threshold needs the column {score!r}, which {scorer!r} no longer gives.")
        create_views(con)


def check_measured(con: duckdb.DuckDBPyConnection, scorer: str, names: Iterable[str]) -> None:
    """Raise ThresholdError for a name that a scorer's column cannot have: one of `clips`, or a word of SQL's own."""
    own = con.execute("SELECT DISTINCT column_name FROM measure_rows WHERE scorer = ?", [scorer]).fetchall()
    taken = {*_columns_of(con, "clips"), *_columns_of(con, "clip_rows"), "span"} - {name for (name,) in own}
    words = "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category IN ('reserved', 'type_function')"
    reserved = {name for (name,) in con.execute(words).fetchall()}
    for name in sorted(names):
        if name in taken or name in reserved or not _REASON.fullmatch(name):
            why = "which `clips` has already" if name in taken else "a word of SQL's own"
            raise ThresholdError(f"The scorer {scorer!r} gives a column {name!r}, {why}: rename it.")


def _columns_of(con: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    rows = con.execute("SELECT column_name FROM duckdb_columns() WHERE table_name = ?", [table]).fetchall()
    return [name for (name,) in rows]


def _checked(con: duckdb.DuckDBPyConnection, row: Mapping[str, Any]) -> Threshold:
    """One threshold whose every part is safe to stand in SQL text."""
    expected = {"reason", "score", "op", "value", "rank"}
    if set(row) != expected:
        raise ThresholdError(f"A threshold has the keys {sorted(row)}, expected {sorted(expected)}.")
    if not isinstance(row["reason"], str) or not _REASON.fullmatch(row["reason"]):
        raise ThresholdError(f"The reason {row['reason']!r} must be lower-case letters, digits and underscores.")
    known = score_columns(con)
    if row["score"] not in known:
        raise ThresholdError(f"There is no score {row['score']!r}: expected one of {', '.join(known)}.")
    if row["op"] not in (">", "<"):
        raise ThresholdError(f"The operator {row['op']!r} must be '>' or '<'.")
    value = float(row["value"])
    if not math.isfinite(value):
        raise ThresholdError(f"The threshold of {row['score']} is {value}: expected a finite number.")
    return row["reason"], row["score"], row["op"], value, int(row["rank"])


def clips_view_sql(thresholds: Iterable[Threshold], measured: Sequence[str] = ()) -> str:
    """SQL of the view `clips`, from checked thresholds in rank order.

    What alignment or encoding said comes first, then what somebody decided about the clip (the newest
    decision counts), then the thresholds. `reasons` lists all violations in the same order; `reason`
    is its first. A clip that was kept by hand violates nothing. What one looks at first are the first columns.
    """
    violated: dict[str, list[str]] = {}
    for reason, score, op, value, _ in thresholds:
        violated.setdefault(reason, []).append(f"{score} {op} {value!r}")
    cases = [(" OR ".join(tests), reason) for reason, tests in violated.items()]
    first = "".join(f"\n            WHEN {test} THEN '{reason}'" for test, reason in cases)
    kept = "decision IS DISTINCT FROM 'keep'"
    listed = "".join(f",\n            CASE WHEN {kept} AND ({test}) THEN '{reason}' END" for test, reason in cases)
    columns = "".join(f", max(value) FILTER (column_name = '{name}') AS {name}" for name in measured)
    joined = (
        f"LEFT JOIN (SELECT clip_id{columns} FROM measure_rows GROUP BY clip_id) USING (clip_id)" if measured else ""
    )
    return f"""
CREATE OR REPLACE VIEW clips AS
SELECT clip_id, path, start_s, end_s, CASE WHEN reason IS NULL THEN 'ok' ELSE 'bad' END AS verdict, reason, framing,
    * EXCLUDE (clip_id, path, start_s, end_s, reason, framing)
FROM (
    SELECT * EXCLUDE (current, span),
        CASE
            WHEN align_reason IS NOT NULL THEN align_reason
            WHEN encode_error IS NOT NULL THEN encode_error
            WHEN decision = 'drop' THEN 'marked_drop'
            WHEN decision = 'keep' THEN NULL{first}
        END AS reason,
        list_filter([
            align_reason,
            encode_error,
            CASE WHEN decision = 'drop' THEN 'marked_drop' END{listed}
        ], lambda reason: reason IS NOT NULL) AS reasons
    FROM (SELECT *, {_SPAN} AS span FROM clip_rows WHERE current)
    {joined}
    LEFT JOIN (
        SELECT {_SPAN} AS span, nullif(arg_max(decision, decided), 'clear') AS decision FROM decision_rows GROUP BY ALL
    ) USING (span)
    LEFT JOIN (SELECT source_id, path FROM source_rows) USING (source_id)
    LEFT JOIN (SELECT source_id, licence, consent FROM right_rows) USING (source_id)
)"""

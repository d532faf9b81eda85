"""What the report shows, in SQL: one short read of the catalog, plain rows and Arrow columns out."""

import math
from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa

from data_catalog.arrow import Row
from data_catalog.views import score_columns, stored_thresholds

MAX_LOSSES = 12  # columns of the ledger in the gallery, newest runs first
LEDGER = ("stage", "run", "checkpoint", "bank")  # what a column of losses belongs to
TEXTS = ("clip_id", "source_id", "verdict", "reason", "decision", "framing", "crop_mode")

OVERVIEW = {
    "sources": """SELECT source_id, path, status, reason, detail, width, height, fps, duration_s, size_bytes
                  FROM sources ORDER BY path, source_id""",
    "shards": """SELECT count(*) AS shards, coalesce(sum(samples), 0)::BIGINT AS samples,
                 coalesce(sum(bytes), 0)::BIGINT AS bytes FROM shards""",
    "decisions": "SELECT clip_id, decision, who, why, decided, newest FROM decisions ORDER BY decided",
    "versions": """SELECT version, v.parent, policy, hash, v.samples, created, motion_lost
                   FROM versions v JOIN version_contents USING (version) ORDER BY created, version""",
    "runs": """SELECT run, stage, parent, config, coalesce(version, data_version) AS version, code_hash, status, step,
               created FROM runs ORDER BY created, run""",
    "checkpoints": "SELECT run, step, path, verified, bytes FROM checkpoints ORDER BY run, step",
    "rollouts": """SELECT rollout, path, plan, seed, runs, metrics, config, created FROM rollouts
                   ORDER BY created, rollout""",
}

# The marks of a version: what became of each clip of its parent.
OUTSIDE, KEPT, REMOVED, THINNED = range(4)


def rows_of(con: duckdb.DuckDBPyConnection, sql: str, params: Sequence[Any] = ()) -> list[Row]:
    """The answer of a query as dicts."""
    result = con.execute(sql, list(params))
    names = [column[0] for column in result.description]
    return [dict(zip(names, map(_finite, row))) for row in result.fetchall()]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def loss_columns(con: duckdb.DuckDBPyConnection) -> list[Row]:
    """What the ledger holds: {stage, run, checkpoint, bank, samples} of each scoring, newest run first."""
    return rows_of(
        con,
        f"""SELECT l.stage, l.run, l.checkpoint, l.bank, count(DISTINCT l.sample_key) AS samples
            FROM losses l LEFT JOIN runs r USING (run)
            GROUP BY l.stage, l.run, l.checkpoint, l.bank, r.created
            ORDER BY r.created DESC NULLS LAST, l.stage, l.run, l.checkpoint DESC, l.bank LIMIT {MAX_LOSSES}""",
    )


def clip_table(con: duckdb.DuckDBPyConnection) -> pa.Table:
    """Every clip, ordered by clip_id: texts, `reasons`, `stored`, each numeric column, `borderline`, `loss_0` ...

    `loss_i` is the mean over all numbers of the ledger for the clip's samples under `loss_columns(con)[i]`.
    `stored` says whether variant 0 lies in a shard.
    """
    losses = loss_columns(con)
    params = [loss[name] for loss in losses for name in LEDGER]
    means = [f"avg(loss) FILTER ({_same(i)}) AS loss_{i}" for i in range(len(losses))]
    ledger = f"""LEFT JOIN (
        SELECT clip_id, {", ".join(means)} FROM losses
        JOIN (SELECT DISTINCT sample_key, clip_id FROM sample_rows) USING (sample_key) GROUP BY clip_id
    ) USING (clip_id)"""
    columns = [*TEXTS, "reasons", *(f"{name}::DOUBLE AS {name}" for name in score_columns(con))]
    columns += [f"{borderline_sql(con)} AS borderline", *(f"loss_{i}" for i in range(len(losses)))]
    sql = f"""SELECT {", ".join(columns)}, clip_id IN (SELECT clip_id FROM samples WHERE variant = 0) AS stored
              FROM clips {ledger if losses else ""} ORDER BY clip_id"""
    return con.sql(sql, params=params).to_arrow_table()


def _same(index: int) -> str:
    return "WHERE " + " AND ".join(f"{name} = ${len(LEDGER) * index + place}" for place, name in enumerate(LEDGER, 1))


def borderline_sql(con: duckdb.DuckDBPyConnection) -> str:
    """SQL of how far a clip is from the other verdict, by the thresholds alone.

    A distance is |score - threshold| over the score's spread (5 to 95 % of the clips). A clip within all
    thresholds is as near as its nearest one; a clip beyond some is as far as the farthest of those. NULL where
    alignment or encoding decided, or nothing was measured.
    """
    thresholds = stored_thresholds(con)
    spread = spreads(con, sorted({score for _, score, *_ in thresholds}))
    distances, beyond = ["NULL"], ["NULL"]
    for _, score, op, value, _ in thresholds:
        distance = f"abs({score} - {value!r}) / {spread[score] or abs(value) or 1.0!r}"
        distances.append(distance)
        beyond.append(f"CASE WHEN {score} {op} {value!r} THEN {distance} END")
    return f"""CASE WHEN coalesce(align_reason, encode_error) IS NULL
        THEN coalesce(greatest({", ".join(beyond)}), least({", ".join(distances)}))::DOUBLE END"""


def spreads(con: duckdb.DuckDBPyConnection, scores: Sequence[str]) -> dict[str, float]:
    """From the 5 % to the 95 % quantile of each score over all clips; 0 where nothing was measured."""
    if not scores:
        return {}
    parts = [f"coalesce(quantile_cont({s}, 0.95) - quantile_cont({s}, 0.05), 0)::DOUBLE" for s in scores]
    [values] = con.execute(f"SELECT {', '.join(parts)} FROM clips").fetchall()
    return dict(zip(scores, values))


def version_marks(con: duckdb.DuckDBPyConnection, version: str, parent: str | None) -> dict[str, int]:
    """clip_id -> OUTSIDE (left out), KEPT, REMOVED or THINNED, for the clips that the parent or the version holds.

    A version without a parent is compared with all good clips.
    """
    good = "SELECT sample_key FROM samples JOIN clips USING (clip_id) WHERE verdict = 'ok'"
    before = "SELECT sample_key FROM version_samples WHERE version = $2" if parent else good
    rows = con.execute(
        f"""WITH now AS (SELECT sample_key FROM version_samples WHERE version = $1), before AS ({before}),
                 keys AS (SELECT DISTINCT sample_key, clip_id FROM sample_rows)
            SELECT clip_id, count(now.sample_key) AS kept, count(*) FILTER (now.sample_key IS NULL) AS gone
            FROM (FROM now UNION FROM before) JOIN keys USING (sample_key) LEFT JOIN now USING (sample_key)
            GROUP BY clip_id""",
        [version, parent] if parent else [version],
    ).fetchall()
    return {clip: KEPT if not gone else THINNED if kept else REMOVED for clip, kept, gone in rows}


def overview(con: duckdb.DuckDBPyConnection) -> dict[str, list[Row]]:
    """Everything else, by the name of what it is."""
    return {name: rows_of(con, sql) for name, sql in OVERVIEW.items()}

"""Which clips are to be stored and are not: what a build encodes, and what a dry run counts."""

import duckdb

from pipeline.batches.jobs import WantedClip
from pipeline.config import BuildConfig


def wanted_clips(con: duckdb.DuckDBPyConnection, config: BuildConfig, sample_set: str) -> list[WantedClip]:
    """Clips whose samples should be stored and are in no shard yet, in the order of the data set."""
    verdict = "align_reason IS NULL AND encode_error IS NULL" if config.shards.keep_bad else "verdict = 'ok'"
    rows = con.execute(
        f"""SELECT clip_id, source_id, path_bytes FROM clips JOIN sources USING (source_id) WHERE {verdict}
            AND clip_id NOT IN (SELECT clip_id FROM sample_rows JOIN shard_rows USING (shard) WHERE plan_key = ?)
            ORDER BY source_id, first_frame""",
        [sample_set],
    ).fetchall()
    return [WantedClip(*row) for row in rows]

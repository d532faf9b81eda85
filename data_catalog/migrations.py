"""The schema, as numbered steps that are only ever appended to.

A step is frozen once released: a change of a table or of a view is a new step. Tables declare no
primary key: an index would double the file and slow every open, and `writes.merge` (the only door
for rows) keeps keys unique.
"""

from collections.abc import Callable

import duckdb

from data_catalog.errors import CatalogVersionError
from data_catalog.transactions import transaction
from data_catalog.views import create_views

FIRST_TABLES = """
CREATE TABLE path_rows (
    path BLOB NOT NULL,          -- os.fsencode of the name: the truth
    shown VARCHAR,               -- the same name for the eye
    source_id VARCHAR, size BIGINT, mtime_ns BIGINT, inode BIGINT);
CREATE TABLE source_rows (
    source_id VARCHAR NOT NULL, path VARCHAR, path_bytes BLOB,
    status VARCHAR, reason VARCHAR, detail VARCHAR,
    width INTEGER, height INTEGER, fps DOUBLE, frames BIGINT, duration_s DOUBLE,
    codec VARCHAR, pix_fmt VARCHAR, rotation INTEGER, variable_rate BOOLEAN, size_bytes BIGINT,
    shots INTEGER, analysis_key VARCHAR, clip_set VARCHAR, current BOOLEAN NOT NULL);
CREATE TABLE clip_rows (
    clip_id VARCHAR NOT NULL, source_id VARCHAR, shot INTEGER,
    start_s DOUBLE, end_s DOUBLE, first_frame INTEGER, step INTEGER, fps DOUBLE, frames INTEGER,
    crop_x DOUBLE, crop_y DOUBLE, crop_side DOUBLE, crop_mode VARCHAR, crop_path JSON, framing VARCHAR,
    cam_translation DOUBLE, cam_zoom DOUBLE, cam_rotation DOUBLE, cam_shake DOUBLE,
    out_of_frame DOUBLE, out_of_frame_joints DOUBLE, out_of_crop_joints DOUBLE,
    no_pose DOUBLE, visibility DOUBLE, people DOUBLE, identity_switches INTEGER,
    blur DOUBLE, brightness DOUBLE, motion_energy DOUBLE, duplicated DOUBLE, upscale DOUBLE,
    pelvis_x DOUBLE, pelvis_y DOUBLE, body_size DOUBLE, phash UBIGINT,
    align_reason VARCHAR, encode_error VARCHAR, clip_set VARCHAR, current BOOLEAN NOT NULL);
CREATE TABLE shard_rows (
    shard VARCHAR NOT NULL, samples INTEGER, bytes BIGINT, sha256 VARCHAR, plan_key VARCHAR,
    current BOOLEAN NOT NULL);
CREATE TABLE sample_rows (
    sample_key VARCHAR NOT NULL, clip_id VARCHAR, variant INTEGER, recipe JSON,
    shard VARCHAR NOT NULL, bytes BIGINT,
    mp4_offset BIGINT, mp4_length BIGINT, json_offset BIGINT, json_length BIGINT,
    npy_offset BIGINT, npy_length BIGINT, mp4_sha256 VARCHAR);
CREATE TABLE latent_rows (
    sample_key VARCHAR NOT NULL, codec VARCHAR NOT NULL, shard VARCHAR,
    "offset" BIGINT, length BIGINT, frames INTEGER, dtype VARCHAR, shape JSON);
CREATE TABLE version_rows (
    version VARCHAR NOT NULL, parent VARCHAR, policy JSON, hash VARCHAR, samples BIGINT,
    created TIMESTAMP);
CREATE TABLE version_sample_rows (
    version VARCHAR NOT NULL, sample_key VARCHAR NOT NULL, weight DOUBLE);
CREATE TABLE run_rows (
    run VARCHAR NOT NULL, stage VARCHAR, parent VARCHAR, config JSON, version VARCHAR,
    data_version VARCHAR, code_hash VARCHAR, libraries JSON, status VARCHAR, step BIGINT,
    created TIMESTAMP);
CREATE TABLE checkpoint_rows (
    run VARCHAR NOT NULL, step BIGINT NOT NULL, path VARCHAR, verified BOOLEAN, bytes BIGINT,
    sha256 VARCHAR, created TIMESTAMP);
CREATE TABLE loss_rows (
    sample_key VARCHAR NOT NULL, run VARCHAR NOT NULL, checkpoint VARCHAR NOT NULL,
    stage VARCHAR NOT NULL, bank VARCHAR NOT NULL, "window" INTEGER NOT NULL, bin INTEGER,
    k INTEGER NOT NULL, log_snr DOUBLE, loss DOUBLE);
CREATE TABLE rollout_rows (
    rollout VARCHAR NOT NULL, path VARCHAR, plan VARCHAR, seed BIGINT, runs JSON, metrics JSON,
    config JSON, created TIMESTAMP);
CREATE TABLE threshold_rows (
    reason VARCHAR NOT NULL, score VARCHAR NOT NULL, op VARCHAR NOT NULL, value DOUBLE NOT NULL,
    rank INTEGER NOT NULL);
"""


def _first_tables(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(FIRST_TABLES)


LEDGER_TABLES = """
CREATE TABLE ledger_rows (
    fragment VARCHAR NOT NULL, run VARCHAR, checkpoint VARCHAR, stage VARCHAR, bank VARCHAR, bank_config JSON,
    shard VARCHAR, latents VARCHAR, first_k INTEGER, last_k INTEGER, samples INTEGER, sha256 VARCHAR);
CREATE TABLE worth_rows (
    evidence VARCHAR NOT NULL, sample_key VARCHAR NOT NULL, stage VARCHAR, run VARCHAR, bank VARCHAR,
    k INTEGER, loss DOUBLE, irreducible_loss DOUBLE,
    high_loss DOUBLE, irreducible DOUBLE, rho DOUBLE, unlearnable DOUBLE, learnt DOUBLE, random DOUBLE,
    error DOUBLE, certainty DOUBLE, irreducible_runs VARCHAR[]);
"""


def _ledger_tables(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(LEDGER_TABLES)


DECISIONS = """
CREATE TABLE decision_rows (
    clip_id VARCHAR NOT NULL, decided TIMESTAMP NOT NULL, decision VARCHAR, who VARCHAR, why VARCHAR,
    -- The stretch of the source that was decided on: another crop gives the same clip another id.
    source_id VARCHAR, first_frame INTEGER, step INTEGER, frames INTEGER);
"""


def _decisions(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(DECISIONS)


def _run_sources(con: duckdb.DuckDBPyConnection) -> None:
    # What a run's weights have seen, through those that it began from too.
    con.execute("CREATE TABLE run_source_rows (run VARCHAR NOT NULL, source_id VARCHAR NOT NULL)")


SOUND = """
ALTER TABLE source_rows ADD COLUMN sound BOOLEAN;  -- NULL: nobody listened
ALTER TABLE source_rows ADD COLUMN sound_reason VARCHAR;  -- why there is none
ALTER TABLE clip_rows ADD COLUMN sound BOOLEAN;
ALTER TABLE clip_rows ADD COLUMN tempo DOUBLE;
ALTER TABLE clip_rows ADD COLUMN beats INTEGER;
ALTER TABLE clip_rows ADD COLUMN beat_alignment DOUBLE;
ALTER TABLE sample_rows ADD COLUMN flac_offset BIGINT;  -- NULL: a sample without sound
ALTER TABLE sample_rows ADD COLUMN flac_length BIGINT;
"""


def _sound(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(SOUND)


FILLED = """
ALTER TABLE clip_rows ADD COLUMN crop_width DOUBLE;
ALTER TABLE clip_rows ADD COLUMN crop_height DOUBLE;
ALTER TABLE clip_rows ADD COLUMN filled DOUBLE;
UPDATE clip_rows SET crop_width = crop_side, crop_height = crop_side;
-- Where the source's picture lies in the clip, [[x0, y0, x1, y1]] in pixels; NULL where it is all of it.
ALTER TABLE sample_rows ADD COLUMN picture JSON;
"""


def _filled(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(FILLED)


def _masks(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("ALTER TABLE sample_rows ADD COLUMN mask_offset BIGINT")  # NULL: a sample without masks
    con.execute("ALTER TABLE sample_rows ADD COLUMN mask_length BIGINT")


EXPORTS = """
CREATE TABLE IF NOT EXISTS export_rows (
    export VARCHAR NOT NULL, target VARCHAR, folder VARCHAR, version VARCHAR, version_hash VARCHAR, samples BIGINT,
    created TIMESTAMP);
CREATE TABLE IF NOT EXISTS export_source_rows (export VARCHAR NOT NULL, source_id VARCHAR NOT NULL);
"""


def _exports(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(EXPORTS)


RIGHTS = """
CREATE TABLE IF NOT EXISTS right_rows (
    source_id VARCHAR NOT NULL, licence VARCHAR, consent VARCHAR, url VARCHAR, creator VARCHAR, note VARCHAR);
-- seen_by: versions, runs, checkpoints, rollouts and exports that had it
CREATE TABLE IF NOT EXISTS forgotten_rows (
    source_id VARCHAR NOT NULL, why VARCHAR, forgotten TIMESTAMP, seen_by JSON);
"""


def _rights(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(RIGHTS)


CAPTIONS = """
CREATE TABLE IF NOT EXISTS caption_rows (
    clip_id VARCHAR NOT NULL, caption_set VARCHAR NOT NULL, caption VARCHAR, model VARCHAR, prompt VARCHAR,
    created TIMESTAMP);
"""


def _captions(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(CAPTIONS)


MEASURES = """
CREATE TABLE IF NOT EXISTS measure_rows (
    clip_id VARCHAR NOT NULL, scorer VARCHAR NOT NULL, column_name VARCHAR NOT NULL, value DOUBLE, version VARCHAR);
"""


def _measures(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(MEASURES)


def _views_alone(con: duckdb.DuckDBPyConnection) -> None:
    """No table changes: `migrate` makes the views, of which there are others now."""


OVERLAYS = """
ALTER TABLE clip_rows ADD COLUMN IF NOT EXISTS overlay DOUBLE;  -- NULL: nobody looked
ALTER TABLE clip_rows ADD COLUMN IF NOT EXISTS overlay_dancer DOUBLE;
"""


def _overlays(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(OVERLAYS)


def _steadied(con: duckdb.DuckDBPyConnection) -> None:
    # Pixels a frame at 512 that were taken out of a camera's motion; NULL: it was left as it is.
    con.execute("ALTER TABLE clip_rows ADD COLUMN IF NOT EXISTS steadied DOUBLE")


def _hands(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("ALTER TABLE sample_rows ADD COLUMN IF NOT EXISTS hands_offset BIGINT")  # NULL: a sample without hands
    con.execute("ALTER TABLE sample_rows ADD COLUMN IF NOT EXISTS hands_length BIGINT")


MIGRATIONS: tuple[Callable[[duckdb.DuckDBPyConnection], None], ...] = (
    _first_tables, _ledger_tables, _decisions, _run_sources, _sound, _filled,
    _views_alone, _masks, _exports, _rights, _captions, _measures, _overlays, _steadied, _hands,
)  # fmt: skip


def schema_version(con: duckdb.DuckDBPyConnection) -> int:
    """How many migrations the open catalog has seen; 0 for an empty file."""
    try:
        [(version,)] = con.execute("SELECT value FROM meta WHERE key = 'schema'").fetchall()
    except duckdb.CatalogException:  # no such table: cheaper than asking first, on every open
        return 0
    return int(version)


def require_known(version: int) -> None:
    """Raise CatalogVersionError for a schema that is newer than this code."""
    if version > len(MIGRATIONS):
        raise CatalogVersionError(
            f"The catalog has schema {version} and this longdance knows schemas up to {len(MIGRATIONS)}: "
            "update longdance."
        )


def migrate(con: duckdb.DuckDBPyConnection) -> None:
    """Bring the open catalog to the newest schema, in one transaction.

    Raises CatalogVersionError if the catalog is newer than this code.
    """
    version = schema_version(con)
    require_known(version)
    if version == len(MIGRATIONS):
        return
    with transaction(con):
        for step in MIGRATIONS[version:]:
            step(con)
        create_views(con)
        con.execute("CREATE TABLE IF NOT EXISTS meta (key VARCHAR NOT NULL, value VARCHAR)")
        con.execute("DELETE FROM meta WHERE key = 'schema'")
        con.execute("INSERT INTO meta VALUES ('schema', ?)", [str(len(MIGRATIONS))])

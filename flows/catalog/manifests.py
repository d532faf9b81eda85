"""Manifests on disk to rows of the catalog: the flow's process alone writes them."""

import logging
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import duckdb

from data_catalog.arrow import Row
from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import names_in, read_json, read_sealed
from data_catalog.base.paths import DataFolder, no_data_set
from data_catalog.checks import read_everything
from data_catalog.connection import needs_rebuild, open_catalog
from data_catalog.current import show_build
from data_catalog.errors import CatalogDamagedError, ThresholdError
from data_catalog.rebuild import rebuild
from data_catalog.views import score_columns, set_thresholds
from data_catalog.writes import merge_clips, merge_sources, register_shards, shown_path
from flows.catalog.decisions import merge_recorded, recorded
from flows.catalog.measure_rows import merge_measures
from flows.catalog.path_rows import stored_paths
from flows.catalog.rights_rows import merge_rights
from flows.catalog.scoring_rows import restore_evidence
from pipeline.batches.sources import is_nameless
from pipeline.config import BuildConfig
from pipeline.shards.tar import manifests

if TYPE_CHECKING:
    from pipeline.batches.prepare_sources import BuildKeys

logger = logging.getLogger(__name__)


def source_row(manifest: Row, path: bytes, size: int, keys: "BuildKeys") -> Row:
    """A row of `sources` from a clip manifest."""
    probe = manifest["probe"] or {}
    same = ("source_id", "status", "reason", "detail")
    measured = ("fps", "frames", "duration_s", "variable_rate", "shots", "sound", "sound_reason")
    return (
        {name: manifest[name] for name in same}
        | {name: probe.get(name) for name in ("width", "height", "codec", "pix_fmt", "rotation", "fps", "duration_s")}
        | {name: manifest[name] for name in measured if name in manifest}
        | {
            "path": shown_path(path),
            "path_bytes": path,
            "size_bytes": size,
            "analysis_key": keys.analysis,
            "clip_set": keys.clip_set,
        }
    )


def clip_rows(manifest: Row, data: DataFolder, sample_set: str) -> Iterator[Row]:
    """Rows of `clips` from a clip manifest, with what encoding said."""
    for clip in manifest["clips"]:
        failure = data.failure(clip["clip_id"], sample_set)
        yield clip | {"encode_error": read_sealed(failure)["code"] if failure.is_file() else None}


def shard_rows(manifest: Row) -> tuple[Row, list[Row]]:
    """(row of `shards`, rows of `samples`) from a shard's manifest."""
    shard = {name: manifest[name] for name in ("shard", "bytes", "sha256", "plan_key")}
    return shard | {"samples": len(manifest["samples"])}, manifest["samples"]


def merge_prepared(data: DataFolder, prepared: Iterable[tuple[str, bytes, int]], keys: "BuildKeys") -> None:
    """Put (source_id, path, size) whose clip manifests are on disk into the catalog."""
    sources: list[Row] = []
    clips: list[Row] = []
    for source_id, path, size in prepared:
        place = data.clips(source_id, keys.clip_set)
        if not place.is_file():  # it failed, and the log says why
            continue
        manifest = read_sealed(place)
        sources.append(source_row(manifest, path, size, keys))
        clips += clip_rows(manifest, data, keys.sample_set)
    with open_catalog(data.catalog) as con:
        merge_sources(con, sources)
        merge_clips(con, clips)


def merge_shards(data: DataFolder, found: list[Row]) -> None:
    """Put shard manifests into the catalog."""
    shards: list[Row] = []
    samples: list[Row] = []
    for manifest in found:
        shard, rows = shard_rows(manifest)
        shards.append(shard)
        samples += rows
    with open_catalog(data.catalog) as con:
        register_shards(con, shards, samples)


def mark_current(data: DataFolder, keys: "BuildKeys", config: BuildConfig) -> None:
    """Show this config's clips and shards, older ones no more; set the thresholds.

    One by a column that no scorer gives any more, since its clips were forgotten, say, is left out with a warning.
    """
    with open_catalog(data.catalog) as con:
        show_build(con, keys.clip_set, keys.sample_set)
        unknown = _unknown_scores(con, config)
        if unknown:
            logger.warning("No clip has %s: thresholds by that are left out.", ", ".join(sorted(unknown)))
        set_thresholds(con, [row for row in config.thresholds.rows() if row["score"] not in unknown])


def check_thresholds(data: DataFolder, config: BuildConfig) -> None:
    """Raise ThresholdError for one by a score that no clip has."""
    with open_catalog(data.catalog, read_only=True) as con:
        for name in sorted(_unknown_scores(con, config)):
            known = ", ".join(score_columns(con))
            raise ThresholdError(f"There is no score {name!r} for thresholds.measured: expected one of {known}.")


def _unknown_scores(con: duckdb.DuckDBPyConnection, config: BuildConfig) -> set[str]:
    return {str(row["score"]) for row in config.thresholds.rows()} - set(score_columns(con))


def rebuild_catalog(data: DataFolder, config: BuildConfig, keys: "BuildKeys") -> dict[str, int]:
    """The catalog again, from the manifests on disk alone; returns how many rows of each kind."""
    paths = stored_paths(data)
    by_source = {row["source_id"]: row for row in sorted(paths, key=lambda row: row["path"], reverse=True)}
    sources: list[Row] = []
    clips: list[Row] = []
    shards: list[Row] = []
    samples: list[Row] = []
    for source_id in sorted(names_in(data.clip_set(keys.clip_set), ".json")):
        manifest = read_sealed(data.clips(source_id, keys.clip_set))
        row = by_source.get(source_id, {"path": bytes.fromhex(manifest["path"]), "size": None})  # its file was replaced
        sources.append(source_row(manifest, row["path"], row["size"], keys))
        clips += clip_rows(manifest, data, keys.sample_set)
    for manifest in manifests(data.shards):
        shard, rows = shard_rows(manifest)
        shards.append(shard | {"current": manifest["plan_key"] == keys.sample_set})
        samples += rows
    tables = {"sources": sources, "clips": clips, "shards": shards, "samples": samples}
    rows_of_paths = [row | {"shown": shown_path(row["path"])} for row in paths]

    def finish() -> None:
        merge_rights(data)
        merge_measures(data)  # before the thresholds, which may name their columns
        mark_current(data, keys, config)
        restore_evidence(data.root)

    rebuild(data.catalog, {"paths": rows_of_paths, "decisions": recorded(data), **tables}, finish)
    return {name: len(rows) for name, rows in tables.items()}


def repair_catalog(data: DataFolder, config: BuildConfig, keys: "BuildKeys") -> str | None:
    """Create the catalog, or rebuild it where it is new, damaged or was left by a killed writer; says why.

    A mark that is on disk alone is merged in any case.
    """
    try:
        with open_catalog(data.catalog) as con:
            read_everything(con)
    except CatalogDamagedError as error:
        logger.warning("%s", error)  # it has been moved aside
    reason = needs_rebuild(data.catalog)
    if reason is not None:
        rebuild_catalog(data, config, keys)
    else:
        merge_recorded(data)
    return reason


def merge_failures(data: DataFolder, sources: Iterable[str], keys: "BuildKeys") -> None:
    """Put what encoding said about the clips of some sources into the catalog."""
    rows: list[Row] = []
    for source_id in sources:
        manifest = read_sealed(data.clips(source_id, keys.clip_set))
        rows += [row for row in clip_rows(manifest, data, keys.sample_set) if row["encode_error"]]
    if rows:
        with open_catalog(data.catalog) as con:
            merge_clips(con, rows)


def forget_nameless(data: DataFolder, keep: set[str], keys: "BuildKeys") -> set[str]:
    """Drop the records of files that could not be read before and can be now, or are gone; returns their ids."""
    stale = {name for name in names_in(data.clip_set(keys.clip_set), ".json") if is_nameless(name)} - keep
    for source_id in stale:
        data.clips(source_id, keys.clip_set).unlink()
    if stale:
        with open_catalog(data.catalog) as con:
            con.execute("DELETE FROM source_rows WHERE source_id IN (SELECT unnest($1))", [sorted(stale)])
    return stale


def limited_sources(data: DataFolder, keys: "BuildKeys") -> list[str]:
    """Sources that were rejected for a reason that other limits might change."""
    from pipeline.batches.prepare_sources import LIMITED

    with open_catalog(data.catalog) as con:
        rows = con.execute(
            "SELECT source_id FROM source_rows WHERE clip_set = $1 AND reason IN (SELECT unnest($2))",
            [keys.clip_set, list(LIMITED)],
        ).fetchall()
    return [source_id for (source_id,) in rows]


def forget_missing_shards(data: DataFolder, keys: "BuildKeys") -> int:
    """Drop shards that are gone or cut short from the catalog, so that their clips are wanted again; how many."""
    there = {manifest["shard"] for manifest in manifests(data.shards)}
    with open_catalog(data.catalog) as con:
        rows = con.execute("SELECT shard FROM shard_rows WHERE plan_key = ?", [keys.sample_set]).fetchall()
        gone = sorted({shard for (shard,) in rows} - there)
        for table in ("shard_rows", "sample_rows"):
            con.execute(f"DELETE FROM {table} WHERE shard IN (SELECT unnest($1))", [gone])
    for shard in gone:
        logger.warning("Shard %s is gone from the disk, or damaged: its clips are encoded again.", shard)
    return len(gone)


def reasons(con: duckdb.DuckDBPyConnection) -> list[Row]:
    """Counts of sources by status and of clips by verdict, each with its reason."""
    found = con.execute(
        """SELECT 'source' AS what, status AS verdict, coalesce(reason, '') AS reason, count(*) AS count FROM sources
           GROUP BY ALL
           UNION ALL SELECT 'clip', verdict, coalesce(reason, ''), count(*) FROM clips GROUP BY ALL
           ORDER BY 1 DESC, 2 DESC, 4 DESC, 3"""
    ).fetchall()
    return [dict(zip(("what", "verdict", "reason", "count"), row, strict=True)) for row in found]


def totals(data: DataFolder) -> dict[str, int]:
    """How many sources, clips, samples and shards the data set holds now."""
    with open_catalog(data.catalog) as con:
        counts = con.execute(
            """SELECT (SELECT count(*) FROM sources), (SELECT count(*) FROM sources WHERE status = 'ok'),
                      (SELECT count(*) FROM clips), (SELECT count(*) FROM clips WHERE verdict = 'ok'),
                      (SELECT count(*) FROM samples), (SELECT count(*) FROM shards)"""
        ).fetchone()
    names = ("total_sources", "total_sources_ok", "total_clips", "total_clips_ok", "total_samples", "total_shards")
    return dict(zip(names, counts or (0,) * 6, strict=True))


def rebuild_from_record(data: DataFolder) -> dict[str, int]:
    """Rebuild with the config of the last build.

    Raises:
        LongdanceError: no build was ever begun in this folder.
    """
    from pipeline.batches.prepare_sources import build_keys  # seconds of import that only builds need

    if not data.build_record.is_file():
        raise no_data_set(data.root)
    try:
        config = BuildConfig.recorded(read_json(data.build_record)["config"])
    except (ValueError, KeyError, TypeError) as error:
        raise LongdanceError(f"{data.build_record} is damaged: `longdance build` writes it again.") from error
    return rebuild_catalog(data, config, build_keys(config))

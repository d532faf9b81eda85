"""What taking a source back will touch, and who has seen it: read once, before anything is removed."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import read_json, read_sealed
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.report_rows import rows_of
from flows.rights.erase import check_captions, matching
from model.data.successors import successor_name, versions_with
from model.data.versions import read_version
from model.errors import VersionError
from pipeline.batches.forgotten import record_path
from pipeline.batches.pack_shards import shard_name
from pipeline.shards.repack import remaining
from pipeline.shards.tar import manifests

LEAST_PREFIX = 8


def find_source(data: DataFolder, named: str) -> str:
    """The id of the source of that path, file name, id or beginning of an id; of one that is half forgotten, too.

    Raises LongdanceError where there is none, or more than one.
    """
    records = [read_sealed(path) for path in sorted(data.forgotten.glob("[!.]*.json"))]
    records = [record for record in records if _is_named(record, named)]
    for record in records:
        if record["stage"] != "done":
            return str(record["source_id"])  # what was begun is ended first, whatever lies at that place by now
    taken_back = {str(record["source_id"]) for record in sorted(records, key=lambda one: one["forgotten"])[-1:]}
    there: set[str] = set()
    if data.catalog.is_file():
        with open_catalog(data.catalog, read_only=True) as con:
            rows = con.execute(
                """SELECT DISTINCT source_id FROM (SELECT source_id, shown AS path FROM path_rows
                   UNION ALL SELECT source_id, path FROM source_rows UNION ALL SELECT source_id, NULL FROM clip_rows)
                   WHERE source_id = $1 OR path IN ($1, $3) OR suffix(path, '/' || $1)
                   OR (length($1) >= $2 AND starts_with(source_id, $1))""",
                [named, LEAST_PREFIX, str(Path(named).absolute())],
            ).fetchall()
        there = {source for (source,) in rows}
    done = {str(record["source_id"]) for record in records}
    found = there - done or taken_back  # another file may lie by now where one was taken back
    if len(found) != 1:
        many = f"{len(found)} sources" if found else "no source"
        raise LongdanceError(
            f"{named!r} names {many} of {data.root}: give the path or the id of one (`longdance sql "
            f'"SELECT source_id, path FROM sources" --data {data.root}`).'
        )
    return found.pop()


def _is_named(record: dict[str, Any], named: str) -> bool:
    source = str(record["source_id"])
    by_prefix = len(named) >= LEAST_PREFIX and source.startswith(named)
    return by_prefix or not {_hashed(named), _hashed(str(Path(named).absolute()))}.isdisjoint(record["names"])


def _hashed(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()


def _names_of(con: duckdb.DuckDBPyConnection, source_id: str) -> set[str]:
    """All that a source may be called: its id, the paths that it has had, and their last parts."""
    paths = con.execute("SELECT DISTINCT shown FROM path_rows WHERE source_id = $1", [source_id]).fetchall()
    parts = [Path(path).parts for (path,) in paths]
    ends = {str(Path(*one[at:])) for one in parts for at in range(1, len(one))}
    return {source_id, *(path for (path,) in paths), *ends}


def plan(data: DataFolder, source_id: str, named: str, why: str) -> dict[str, Any]:
    """The record of a forgetting that has not begun: what goes, what is written anew, who had it.

    `names` are hashes: by them the same command finds its record when the catalog is gone. Raises LongdanceError.
    """
    check_captions(data)
    clips = _clips(data, source_id)
    samples, shards = set(), {}
    for manifest in manifests(data.shards):
        mine = {row["sample_key"] for row in manifest["samples"] if row["clip_id"] in clips}
        if mine:
            samples |= mine
            kept = list(dict.fromkeys(row["clip_id"] for row in remaining(manifest, frozenset(mine))))
            shards[manifest["shard"]] = shard_name(kept, manifest["plan_key"]) if kept else None
    with open_catalog(data.catalog, read_only=True) as con:
        held = "SELECT sample_key FROM sample_rows WHERE clip_id IN (SELECT unnest($1))"
        samples |= {key for (key,) in con.execute(held, [sorted(clips)]).fetchall()}
        seen = seen_by(con, source_id, clips)
        names = {named, *_names_of(con, source_id)}
    versions = versions_with(data.root, frozenset(samples))
    return {
        "source_id": source_id,
        "names": sorted(map(_hashed, names)),
        "why": why,
        "forgotten": datetime.now(UTC).replace(tzinfo=None, microsecond=0).isoformat(),
        "clips": sorted(clips),
        "samples": sorted(samples),
        "shards": shards,
        "seen_by": {"versions": versions, **seen, "codecs": sorted(path.name for path in data.codecs.glob("[!.]*"))},
        "lost": {name: _lost(data, name, samples) for name in versions},
        "successors": {name: successor_name(name, source_id) for name in versions},
        "latents": {},
        "stage": "planned",
    }


def _clips(data: DataFolder, source_id: str) -> set[str]:
    """Ids of the source's clips under any settings that the data set was ever built with."""
    with open_catalog(data.catalog, read_only=True) as con:
        rows = con.execute("SELECT clip_id FROM clip_rows WHERE source_id = $1", [source_id]).fetchall()
    found = {clip for (clip,) in rows}
    for path in matching(data, data.clips(source_id, "*")):
        found |= {clip["clip_id"] for clip in read_json(path)["clips"]}
    return found


def _lost(data: DataFolder, version: str, samples: set[str]) -> int:
    try:
        return len(samples & {sample.key for sample in read_version(data.root, version).samples})
    except VersionError:
        return 0


def seen_by(con: duckdb.DuckDBPyConnection, source_id: str, clips: set[str]) -> dict[str, list[str]]:
    """Runs, checkpoints, rollouts and exports that have had the source, and runs of which nobody can say."""
    having = "SELECT DISTINCT run FROM run_source_rows WHERE source_id = $1 ORDER BY run"
    runs = [run for (run,) in con.execute(having, [source_id]).fetchall()]
    unknown = con.execute(
        "SELECT run FROM run_rows WHERE run NOT IN (SELECT run FROM run_source_rows) ORDER BY run"
    ).fetchall()
    checkpoints = con.execute(
        "SELECT path FROM checkpoint_rows WHERE run IN (SELECT unnest($1)) ORDER BY path", [runs]
    ).fetchall()
    # A rollout may have it by its network, by its first picture, or by its dance.
    told = "concat_ws(' ', runs::VARCHAR, config::VARCHAR, metrics::VARCHAR)"
    made = rows_of(con, f"SELECT rollout, path, {told} AS told FROM rollout_rows")
    rollouts = [row["path"] or row["rollout"] for row in made if any(one in row["told"] for one in {*runs, *clips})]
    exports = con.execute(
        "SELECT folder || ' (' || target || ')' FROM export_rows WHERE export IN "
        "(SELECT export FROM export_source_rows WHERE source_id = $1) ORDER BY 1",
        [source_id],
    ).fetchall()
    return {
        "runs": runs,
        "runs_unknown": [run for (run,) in unknown],
        "checkpoints": [str(path) for (path,) in checkpoints],
        "rollouts": sorted(rollouts),
        "exports": [name for (name,) in exports],
    }


def planned(data: DataFolder, named: str, why: str) -> tuple[dict[str, Any], bool]:
    """(record, whether it is already on the disk) of the source that was named. Raises LongdanceError."""
    source_id = find_source(data, named)
    path = record_path(data, source_id)
    return (read_sealed(path), True) if path.is_file() else (plan(data, source_id, named, why), False)

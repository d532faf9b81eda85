"""Removing a source from a data set's folder. Each step can be taken again, and does nothing where it is done."""

import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import (
    TEMP_MARK,
    canonical_json,
    fsync_path,
    read_json,
    remove_temps,
    write_bytes,
    write_json,
)
from data_catalog.base.paths import DataFolder
from data_catalog.base.rollout_paths import files_of
from data_catalog.quarantine import set_mark, wal_path
from flows.report.posters import KINDS, picture_path
from model.data.latents import latents_manifests, read_manifest
from model.data.repack_latents import latents_of_shard, remove_texts, repack_latents
from pipeline.shards.repack import repack
from pipeline.shards.tar import MEMBERS, OPTIONAL, manifest_path, whole_manifest


def write_remaining(data: DataFolder, record: dict[str, Any]) -> dict[str, list[str]]:
    """Write shards and latents without the source beside the old ones.

    Returns what stands in for what: sha256 of old latents to [new shard, sha256 of new latents].
    """
    drop, renamed = frozenset(record["samples"]), {}
    for old, new in record["shards"].items():
        manifest = whole_manifest(manifest_path(data.shards / old))
        if manifest is None or new is None:
            continue
        packed = whole_manifest(manifest_path(data.shards / new)) or repack(data.shards, manifest, drop, new)
        for latents in latents_of_shard(data.root, old):
            before, made = read_manifest(latents), repack_latents(data.root, latents, packed, drop)
            after = read_manifest(made) if made else None
            if before and after:
                renamed[before["sha256"]] = [new, after["sha256"]]
    return renamed


def remove_catalog(data: DataFolder) -> None:
    """Remove the catalog, its log and what of it was ever moved aside: deleted rows stay in such files. A mark says
    that it is to be made again."""
    if data.catalog.is_file():
        set_mark(data.catalog, "A source was taken back.")
    remove(data.catalog, wal_path(data.catalog), *data.root.glob(f"{data.catalog.name}*.damaged-*"))
    shutil.rmtree(data.root / f"{data.catalog.name}.tmp", ignore_errors=True)


def remove_media(data: DataFolder, record: dict[str, Any]) -> None:
    """Remove the source's shards, latents, analysis, sound, clips, pictures: manifests before what they vouch for."""
    source, clips, keys = record["source_id"], record["clips"], record["samples"]
    for manifest in latents_manifests(data.root):
        said = read_manifest(manifest)
        if said is None or said["shard"] in record["shards"]:
            remove(manifest, manifest.with_suffix(".f16"))
    for shard in record["shards"]:
        remove(manifest_path(data.shards / shard), data.shards / shard)
    for path in (data.analysis(source, "*"), data.sound(source, "*")):
        remove(*matching(data, path.with_suffix(".json")), *matching(data, path))
    remove(*matching(data, data.clips(source, "*")))
    for clip in clips:
        remove(*matching(data, data.failure(clip, "*")))
        remove(*data.caption_sets.glob(f"*/{clip}.json"), *data.measures.glob(f"*/*/{clip}.json"))
        remove(*(picture_path(files_of(data.report), kind, clip) for kind in KINDS))
    for key in keys:
        remove(*(data.staged(key, kind) for kind in (*MEMBERS, *OPTIONAL.values())))
    # Pictures of many clips at once are drawn again when they are asked for.
    remove(data.report, data.contact_sheet, *data.versions.glob("*.jpg"))


def matching(data: DataFolder, path: Path) -> Iterator[Path]:
    """The files under any key, given a path whose key is `*`."""
    return data.root.glob(str(path.relative_to(data.root)))


def remove_half_written(data: DataFolder) -> None:
    """Remove what killed processes left half-written: it may hold bytes of any source."""
    more = (
        data.latents, data.ledger, data.scores, data.versions, data.decisions, data.kept_rows, data.forgotten,
        data.caption_sets, data.measures, data.exports, files_of(data.report),
    )  # fmt: skip
    remove_temps(*data.own_folders, *(folder for folder in more if folder.is_dir()))
    remove(*data.root.glob(f"{TEMP_MARK}*"))


def remove_rows(data: DataFolder, record: dict[str, Any]) -> None:
    """Take the source out of the files that hold rows of many: paths, rights, decisions, captions."""
    source, clips = record["source_id"], set(record["clips"])
    if data.paths_record.is_file():
        rows = read_json(data.paths_record)
        write_json(data.paths_record, [row for row in rows if row["source_id"] != source])
    if data.rights.is_file():
        write_json(data.rights, {one: said for one, said in read_json(data.rights).items() if one != source})
    for path in data.decisions.glob("[!.]*.json"):
        _rewrite_decision(path, source, clips)
    if data.captions.is_file():
        rest, gone = _captions_without(data.captions.read_bytes(), {source, *clips})
        if gone:
            write_bytes(data.captions, rest)
            remove_texts(data.root)


def _rewrite_decision(path: Path, source: str, clips: set[str]) -> None:
    try:
        said = json.loads(path.read_bytes())
        kept = [one for one in said["clips"] if one["source_id"] != source and one["clip_id"] not in clips]
    except (ValueError, KeyError, TypeError):
        return  # no record of a decision: passed over by every reader
    if not kept:
        remove(path)
    elif len(kept) < len(said["clips"]):
        write_bytes(path, canonical_json({**said, "clips": kept}) + b"\n")


def check_captions(data: DataFolder) -> None:
    """Raise LongdanceError where `captions.csv` cannot be read line by line, before anything is removed."""
    try:
        if data.captions.is_file():
            _captions_without(data.captions.read_bytes(), set())
    except csv.Error as error:
        raise LongdanceError(f"{data.captions} is no CSV file ({error}): save it as one first.") from error


def _captions_without(content: bytes, own: set[str]) -> tuple[bytes, int]:
    """(the list without the lines that hold one of these ids, how many those were), whatever its columns and bytes."""
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig", "surrogateescape"), newline=""), strict=True))
    kept = rows[:1] + [row for row in rows[1:] if not any(one in cell for one in own for cell in row)]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(kept)
    return out.getvalue().encode("utf-8", "surrogateescape"), len(rows) - len(kept)


def remove(*paths: Path) -> None:
    """Remove files, in this order and durably; what is not there is passed over."""
    for path in paths:
        if path.is_file():
            path.unlink(missing_ok=True)
            fsync_path(path.parent)

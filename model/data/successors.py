"""Versions without samples that were taken back: the old one keeps name and hash, a successor holds what is left."""

from __future__ import annotations

import os
from pathlib import Path

from data_catalog.base.files import read_json, read_sealed, write_sealed
from data_catalog.base.paths import DataFolder
from model.data.versions import Version, read_version, version_names, version_path, write_version
from model.errors import VersionError


def successor_name(version: str, source_id: str) -> str:
    """Of the version without that source."""
    return f"{version[:80]}-without-{source_id[:8]}"


def versions_with(data: Path, samples: frozenset[str]) -> list[str]:
    """The versions that hold one of these samples; a damaged one may, so it is among them."""
    found = []
    for name in version_names(data):
        try:
            held = {sample.key for sample in read_version(data, name).samples}
        except VersionError:
            held = set(samples)
        if held & samples:
            found.append(name)
    return found


def write_successor(data: Path, name: str, source_id: str, drop: frozenset[str]) -> str | None:
    """Write the version's successor; its name, or None where nothing is left or the version cannot be read."""
    try:
        old = read_version(data, name)
    except VersionError:
        return None
    kept = tuple(sample for sample in old.samples if sample.key not in drop)
    if not kept:
        return None
    policy = {**old.policy, "forgot": sorted({source_id, *old.policy.get("forgot", ())})}
    new = Version(successor_name(name, source_id), name, policy, kept)
    write_version(data, new)
    return new.name


def take_out(data: Path, name: str, source_id: str, drop: frozenset[str]) -> None:
    """Take samples out of a version's file, which keeps its hash and says how many it has lost."""
    path = version_path(data, name)
    try:
        record = read_json(path)
        kept = [sample for sample in record["samples"] if sample[0] not in drop]
        lost = len(record["samples"]) - len(kept)
    except (ValueError, KeyError, TypeError):
        return  # damaged, and no reader takes it
    if lost:
        made = path.stat()
        write_sealed(path, {**record, "samples": kept, "lost": {**record.get("lost", {}), source_id: lost}})
        os.utime(path, ns=(made.st_atime_ns, made.st_mtime_ns))  # the catalog tells by it when the version was made


def say_forgotten(data: Path, version: str) -> None:
    """Raise VersionError, naming the successor, for a version that a forgotten source has left."""
    for path in sorted(DataFolder(data).forgotten.glob("[!.]*.json")):
        record = read_sealed(path)
        if version in record["seen_by"]["versions"]:
            after = record["successors"].get(version)
            instead = f"train on {after!r}, which is the rest of it" if after else "nothing of it is left"
            raise VersionError(
                f"Version {version!r} has lost {record['lost'][version]} samples of a source that was taken back on "
                f"{record['forgotten'][:10]} ({record['why']}): {instead}."
            )

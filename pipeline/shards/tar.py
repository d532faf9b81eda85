"""Webdataset tars that are whole or not there, with the same bytes every time, and a manifest beside each.

The tar format is all that readers need: plain `webdataset` streams it, and `read_member` takes a single
member by its offset.
"""

import io
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_catalog.base.files import atomic, read_json, sha256_file, write_json

MEMBERS = ("mp4", "json", "npy")


@dataclass(frozen=True)
class ShardSample:
    """What goes into a shard: `meta` becomes the catalog's row; `files` the members' bytes on disk."""

    key: str
    meta: dict[str, Any]
    files: dict[str, Path]


def write_shard(path: Path, samples: list[ShardSample], plan_key: str) -> dict[str, Any]:
    """Write a tar and then its manifest; returns the manifest.

    The manifest states size, sha256 and, per sample, its rows and each member's offset and length.
    """
    rows = []
    with atomic(path) as temp:
        with tarfile.open(temp, "w", format=tarfile.USTAR_FORMAT) as tar:
            for sample in samples:
                rows.append({**sample.meta, "sample_key": sample.key, "shard": path.name, **_add(tar, sample)})
        sha256, size = sha256_file(temp), temp.stat().st_size
    manifest = {"shard": path.name, "bytes": size, "sha256": sha256, "plan_key": plan_key, "samples": rows}
    write_json(manifest_path(path), manifest)
    return manifest


def _add(tar: tarfile.TarFile, sample: ShardSample) -> dict[str, Any]:
    """Append a sample's members; their offsets, lengths and the mp4's hash."""
    places: dict[str, Any] = {"bytes": 0}
    for kind in MEMBERS:
        data = sample.files[kind].read_bytes()
        info = tarfile.TarInfo(f"{sample.key}.{kind}")  # mtime, uid, gid 0: the same bytes every time
        info.size = len(data)
        offset = tar.offset + tarfile.BLOCKSIZE
        tar.addfile(info, io.BytesIO(data))
        places |= {f"{kind}_offset": offset, f"{kind}_length": len(data)}
        places["bytes"] += len(data)
    places["mp4_sha256"] = sha256_file(sample.files["mp4"])
    return places


def manifest_path(shard: Path) -> Path:
    """The manifest beside a shard."""
    return shard.with_suffix(".json")


def manifests(folder: Path) -> Iterator[dict[str, Any]]:
    """The manifests of all finished shards of a folder, by name; what is damaged to the eye counts as not there."""
    for path in sorted(folder.glob("*.json")):
        if manifest := whole_manifest(path):
            yield manifest


def whole_manifest(path: Path) -> dict[str, Any] | None:
    """A shard's manifest, or None: it says too little, or its tar is missing or of another size."""
    shard = path.with_suffix(".tar")
    try:
        manifest = read_json(path)
        said = {name: manifest[name] for name in ("shard", "bytes", "sha256", "plan_key", "samples")}
        whole = said["shard"] == shard.name and shard.stat().st_size == said["bytes"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return dict(manifest) if whole else None


def read_member(shard: Path, offset: int, length: int) -> bytes:
    """`length` bytes of a tar from `offset` on, with one pread.

    Raises:
        EOFError: the file is shorter than the catalog says.
    """
    descriptor = os.open(shard, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.pread(descriptor, length, offset)
    finally:
        os.close(descriptor)
    if len(data) != length:
        raise EOFError(f"{shard.name} ends {length - len(data)} bytes before the member at {offset} does.")
    return data

"""Webdataset tars that are whole or not there, with the same bytes every time, and a manifest beside each.

`webdataset` writes them onto atomic files and streams them; `read_member` takes a single member by its offset.
"""

import hashlib
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from data_catalog.base.files import atomic, is_sealed, read_json, sha256_file, write_sealed
from data_catalog.base.large_files import read_part, stored_size

MEMBERS = ("mp4", "json", "npy")
MASKS, HANDS, SOUND = "mask.png", "hands.npy", "flac"
OPTIONAL = {"mask": MASKS, "hands": HANDS, "sound": SOUND}
"""Members that not all samples have, by the name under which a sample's json tells of them, in the order of the tar."""


class MemberBytes(Protocol):
    """A member on disk: a file, or a part of another shard."""

    def read_bytes(self) -> bytes:
        """All of it."""
        ...


@dataclass(frozen=True)
class ShardSample:
    """What goes into a shard: `meta` becomes the catalog's row; `files` the members on disk, in order."""

    key: str
    meta: dict[str, Any]
    files: Mapping[str, MemberBytes]


def write_shard(path: Path, samples: list[ShardSample], plan_key: str) -> dict[str, Any]:
    """Write a tar and then its manifest; returns the manifest.

    The manifest states size, sha256 and, per sample, its rows and each member's offset and length.
    """
    from webdataset.writer import TarWriter  # it brings torch, a second that those who read members need not wait

    with atomic(path) as temp:
        with (
            temp.open("wb") as file,
            TarWriter(file, user="", group="", mode=0o644, mtime=0, encoder=False) as tar,  # the same bytes every time
        ):
            for sample in samples:
                for kind, member in sample.files.items():  # one by one: a whole sample would go by the alphabet
                    tar.write({"__key__": sample.key, kind: member.read_bytes()})
        places = _places(temp)
        sha256, size = sha256_file(temp), temp.stat().st_size
    rows = [{**sample.meta, "shard": path.name, **_row(sample, places)} for sample in samples]
    manifest = {"shard": path.name, "bytes": size, "sha256": sha256, "plan_key": plan_key, "samples": rows}
    return write_sealed(manifest_path(path), manifest)


def _places(shard: Path) -> dict[str, tuple[int, int]]:
    """(offset, length) of each member's bytes, by its name, as a reader of the finished tar finds them."""
    with tarfile.open(shard, "r:") as tar:
        return {member.name: (member.offset_data, member.size) for member in tar}


def _row(sample: ShardSample, places: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """A sample's key, its members' offsets and lengths, their sum, and the mp4's hash."""
    sha256 = hashlib.sha256(sample.files["mp4"].read_bytes()).hexdigest()
    row: dict[str, Any] = {"sample_key": sample.key, "mp4_sha256": sha256}
    for kind in sample.files:
        column = column_of(kind)
        row[f"{column}_offset"], row[f"{column}_length"] = places[f"{sample.key}.{kind}"]
    return row | {"bytes": sum(places[f"{sample.key}.{kind}"][1] for kind in sample.files)}


def column_of(kind: str) -> str:
    """What a member's columns begin with."""
    return kind.partition(".")[0]


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
        whole = said["shard"] == shard.name and stored_size(shard) == said["bytes"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return dict(manifest) if whole and ("seal" not in manifest or is_sealed(manifest)) else None


def read_member(shard: Path, offset: int, length: int) -> bytes:
    """`length` bytes of a tar from `offset` on, with one pread; of one that object storage has, through the cache.

    Raises:
        EOFError: the file is shorter than the catalog says.
    """
    data = read_part(shard, offset, length)
    if len(data) != length:
        raise EOFError(f"{shard.name} ends {length - len(data)} bytes before the member at {offset} does.")
    return data

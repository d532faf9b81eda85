"""A shard again without some of its samples: the other members byte for byte, under the name of what is left."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.shards.tar import MEMBERS, OPTIONAL, ShardSample, column_of, read_member, write_shard

_PLACES = ("shard", "sample_key", "bytes", "mp4_sha256")


@dataclass(frozen=True)
class StoredMember:
    """A member of a shard, read when it is wanted."""

    shard: Path
    offset: int
    length: int

    def read_bytes(self) -> bytes:
        """Its bytes."""
        return read_member(self.shard, self.offset, self.length)


def remaining(manifest: dict[str, Any], drop: frozenset[str]) -> list[dict[str, Any]]:
    """The rows of a manifest's samples that stay."""
    return [row for row in manifest["samples"] if row["sample_key"] not in drop]


def repack(folder: Path, manifest: dict[str, Any], drop: frozenset[str], name: str) -> dict[str, Any]:
    """Write the samples that stay into `folder/name`, with a manifest of its own, which is returned.

    The old shard is left for the caller to remove; the same again gives the same bytes.
    """
    old = folder / manifest["shard"]
    samples = []
    for row in remaining(manifest, drop):
        columns = {kind: column_of(kind) for kind in (*MEMBERS, *OPTIONAL.values())}
        kinds = {kind: name for kind, name in columns.items() if row.get(f"{name}_offset") is not None}
        members = {
            kind: StoredMember(old, row[f"{name}_offset"], row[f"{name}_length"]) for kind, name in kinds.items()
        }
        places = {*_PLACES, *(f"{name}_{part}" for name in columns.values() for part in ("offset", "length"))}
        meta = {name: value for name, value in row.items() if name not in places}
        samples.append(ShardSample(row["sample_key"], meta, members))
    return write_shard(folder / name, samples, manifest["plan_key"])

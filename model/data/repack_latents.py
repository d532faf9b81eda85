"""Latents of a shard that was repacked: those of the samples that stay, byte for byte, under the new shard's name."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

from data_catalog.base.files import atomic, sealed, write_json
from data_catalog.base.paths import DataFolder
from model.data.latents import latents_manifests, manifest_path, read_manifest


def latents_of_shard(data: Path, shard: str) -> list[Path]:
    """The manifests of a shard's latents, of every codec."""
    found = [(path, read_manifest(path)) for path in latents_manifests(data)]
    return [path for path, record in found if record is not None and record["shard"] == shard]


def repack_latents(data: Path, manifest: Path, new: dict[str, Any], drop: frozenset[str]) -> Path | None:
    """Write the latents that stay for the shard whose manifest is `new`; None where the old ones are damaged.

    What is not there is made again by the next `encode`. The old latents are left for the caller to remove.
    """
    record = read_manifest(manifest)
    old = manifest.parent / record["file"] if record else manifest
    if record is None or not old.is_file() or old.stat().st_size != record["bytes"]:
        return None
    out = manifest_path(data, record["codec"], new["shard"], new["sha256"])
    stride, digest, offset, entries = 2 * math.prod(record["shape"]), hashlib.sha256(), 0, []
    with atomic(out.with_suffix(".f16")) as temp, temp.open("wb") as file, old.open("rb") as source:
        for entry in record["samples"]:
            if entry["key"] in drop:
                continue
            source.seek(entry["offset"])
            content = source.read(entry["frames"] * stride)
            file.write(content)
            digest.update(content)
            entries.append({**entry, "offset": offset})
            offset += len(content)
    about = {"shard": new["shard"], "shard_sha256": new["sha256"], "file": out.with_suffix(".f16").name}
    about |= {"sha256": digest.hexdigest(), "bytes": offset, "samples": entries}
    kept = {name: value for name, value in record.items() if name != "seal"}
    write_json(out, sealed({**kept, **about}))
    return out


def remove_texts(data: Path) -> None:
    """Remove the stored embeddings of prompts, which `encode` makes again."""
    for path in DataFolder(data).latents.glob("*/text-*.safetensors"):
        path.unlink()

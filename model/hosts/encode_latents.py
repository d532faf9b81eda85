"""A shard's latents as work for a worker on any host: what it reads and writes lies in a shared folder or a store."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_catalog.base.block_cache import StoredFile
from data_catalog.base.large_files import say_elsewhere
from data_catalog.base.mirror import Mirror
from data_catalog.base.paths import DataFolder
from data_catalog.base.store import ObjectInfo, Store
from model.data.codec import load_codec
from model.data.latents import encode_shard, manifest_path
from model.data.samples import Sample
from pipeline.video.raw_source import scratch


@dataclass(frozen=True)
class LatentsJob:
    """One shard to encode."""

    shard: str
    samples: tuple[Sample, ...]
    stored: StoredFile | None
    """What the store has of it; None where it lies in a folder that all hosts see."""


@dataclass(frozen=True)
class StoredCodec:
    """A codec of the data set, by its folder, and where latents are made."""

    files: tuple[str, ...]
    """Paths below the data set of what it is made of."""
    device: str

    @property
    def folder(self) -> Path:
        """Below the data set."""
        return Path(self.files[0]).parent


def encode_jobs(jobs: Sequence[LatentsJob], root: Path | str, codec: StoredCodec) -> None:
    """Encode some shards; a manifest says of each that it is done. root: a shared folder, or a store's address."""
    for job in jobs:
        if isinstance(root, Path):
            encode_shard(root, job.shard, job.samples, load_codec(root / codec.folder, codec.device))
        else:
            _encode_stored(job, root, codec)


def _encode_stored(job: LatentsJob, url: str, codec: StoredCodec) -> None:
    """Read a shard by parts, encode it in scratch, and put the latents, then their manifest."""
    assert job.stored is not None
    with tempfile.TemporaryDirectory(dir=scratch()) as place:
        data = DataFolder(Path(place))
        mirror = Mirror(Store.at(url), data.root)
        mirror.fetch(codec.files)
        shard = f"{data.shards.name}/{job.shard}"
        say_elsewhere(data.root, url, [ObjectInfo(shard, job.stored.size, job.stored.tag, 0)])
        loaded = load_codec(data.root / codec.folder, codec.device)
        encode_shard(data.root, job.shard, job.samples, loaded)
        manifest = manifest_path(data.root, loaded.hash, job.shard, job.samples[0].shard_sha256)
        mirror.put([manifest.with_suffix(".f16"), manifest])

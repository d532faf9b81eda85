"""Latents of a data set a shard a task: by a cluster's workers, or by this process where that reads from a store."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from data_catalog.base.errors import LongdanceError
from data_catalog.base.large_files import elsewhere
from flows.storage.home import Home
from pipeline.workers.workers import Workers, as_completed, work_through

if TYPE_CHECKING:
    from model.config import EncodeConfig
    from model.data.latents import EncodeResult, OnProgress
    from model.hosts.encode_latents import LatentsJob, StoredCodec

OpenWorkers = Callable[[], AbstractContextManager[Workers | None]]
"""Begins the cluster's workers; None is this process."""


def encode_by_shards(
    home: Home, config: "EncodeConfig", progress: "OnProgress", device: str, here: str, opened: OpenWorkers
) -> "EncodeResult":
    """As `encode_dataset`, to the same bytes.

    Args:
        device: Where a shard is encoded.
        here: Where this process makes a codec and embeds prompts.
        opened: Only called where a shard has no latents yet.

    Raises:
        LongdanceError: what `encode_dataset` raises, and where two workers die at a shard.
    """
    from model.data.latents import EncodeResult, by_shard, is_complete, manifest_path, prepare_codec
    from model.data.samples import read_samples
    from model.data.text import prompts_of, write_text
    from model.hosts.encode_latents import LatentsJob

    root = home.folder.root
    samples = read_samples(root, config.captions)
    codec = prepare_codec(root, config, samples, here)
    shards = by_shard(samples)
    manifests = {name: manifest_path(root, codec.hash, name, members[0].shard_sha256) for name, members in shards}
    todo = [
        LatentsJob(name, tuple(members), elsewhere(home.folder.shards / name))
        for name, members in shards
        if not is_complete(manifests[name])
    ]
    done = len(samples) - sum(len(job.samples) for job in todo)
    progress(done, len(samples))
    if todo:
        with opened() as workers:
            encode = _encoder(home, _stored_codec(home, config, device), workers)
            for job, _ in as_completed(encode, todo, workers.count if workers else 1):
                home.arrived([manifests[job.shard]])
                done += len(job.samples)
                progress(done, len(samples))
    folder = home.folder.latents_of(codec.hash)
    write_text(folder, config, prompts_of(config, [sample.caption for sample in samples]), here)
    home.refresh()
    counts = len(samples), len(todo), len(shards) - len(todo)
    return EncodeResult(codec.hash, folder, tuple(manifests[name] for name, _ in shards), *counts)


def _stored_codec(home: Home, config: "EncodeConfig", device: str) -> "StoredCodec":
    """The codec, where workers find it."""
    from model.data.latents import codec_folder
    from model.hosts.encode_latents import StoredCodec

    files = sorted(path for path in codec_folder(home.folder.root, config).iterdir() if path.is_file())
    home.made(files)
    return StoredCodec(tuple(str(path.relative_to(home.folder.root)) for path in files), device)


def _encoder(home: Home, codec: "StoredCodec", workers: Workers | None) -> Callable[["LatentsJob"], None]:
    from model.hosts.encode_latents import encode_jobs

    def encode(job: "LatentsJob") -> None:
        if workers is None:
            encode_jobs([job], home.root, codec)
        elif work_through(workers, encode_jobs, [job], home.root, codec).killers:
            raise LongdanceError(
                f"Two workers died at the latents of {job.shard}: give them memory, then run the command again."
            )

    return encode

"""Latents as a step: in a folder by this process, in object storage or on a cluster a shard a task."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import task

from data_catalog.base.errors import LongdanceError
from data_catalog.base.large_files import elsewhere
from data_catalog.connection import open_catalog
from data_catalog.writes import merge_latents
from flows.progress import Progress
from flows.runners import TASK_OPTIONS, is_on_cluster, open_workers
from flows.storage.home import Home
from model.config import EncodeConfig
from pipeline.workers.workers import as_completed, work_through

if TYPE_CHECKING:
    from model.data.latents import EncodeResult
    from model.data.stored_latents import LatentsJob, StoredCodec

Encode = Callable[["LatentsJob"], None]


@task(name="encode latents", task_run_name="encode latents of {home.name}", **TASK_OPTIONS)
def encode_latents(home: Home, config: EncodeConfig, device: str) -> dict[str, int]:
    """Latents for every sample that has none; all of them are then in the catalog."""
    from model.data.latents import encode_dataset, latent_rows
    from model.training.train import resolve_device

    if not is_on_cluster():  # whose GPUs are its hosts'
        resolve_device(device)  # one sentence now, not torch's own words after the first shard
    with Progress(f"encode {home.name}") as progress, progress.growing("latents") as grow:
        if isinstance(home.root, Path) and not is_on_cluster():
            result = encode_dataset(home.root, config, grow, device)
        else:
            result = _fan_out(home, config, grow, device)
    rows = [row for manifest in result.manifests for row in latent_rows(manifest)]
    with open_catalog(home.folder.catalog) as con:
        merge_latents(con, rows)
    home.keep()
    return {"samples": result.samples, "shards_encoded": result.encoded_shards, "shards_there": result.skipped_shards}


def _fan_out(home: Home, config: EncodeConfig, grow: Callable[[int, int], None], device: str) -> "EncodeResult":
    """As `encode_dataset`, each shard by a worker; the codec and the prompts' embeddings are made here."""
    from model.data.latents import EncodeResult, by_shard, codec_folder, is_complete, manifest_path, prepare_codec
    from model.data.samples import read_samples
    from model.data.stored_latents import LatentsJob, StoredCodec
    from model.data.text import prompts_of, write_text

    root, here = home.folder.root, "cpu" if is_on_cluster() else device
    samples = read_samples(root, config.captions)
    codec = prepare_codec(root, config, samples, here)
    files = sorted(path for path in codec_folder(root, config).iterdir() if path.is_file())
    home.made(files)
    stored = StoredCodec(tuple(str(path.relative_to(root)) for path in files), device)
    shards = by_shard(samples)
    manifests = {s: manifest_path(root, codec.hash, s, members[0].shard_sha256) for s, members in shards}
    todo = [
        LatentsJob(shard, tuple(members), elsewhere(home.folder.shards / shard))
        for shard, members in shards
        if not is_complete(manifests[shard])
    ]
    done = len(samples) - sum(len(job.samples) for job in todo)
    with _encoders(home, stored) as (encode, at_once):
        for job, _ in as_completed(encode, todo, at_once):
            home.arrived([manifests[job.shard]])
            done += len(job.samples)
            grow(done, len(samples))
    folder = home.folder.latents_of(codec.hash)
    write_text(folder, config, prompts_of(config, [sample.caption for sample in samples]), here)
    home.refresh()
    counts = len(samples), len(todo), len(shards) - len(todo)
    return EncodeResult(codec.hash, folder, tuple(manifests[shard] for shard, _ in shards), *counts)


@contextmanager
def _encoders(home: Home, codec: "StoredCodec") -> Iterator[tuple[Encode, int]]:
    """(what encodes a shard, how many at once): this process, or the cluster's workers."""
    from model.data.stored_latents import encode_jobs

    if not is_on_cluster():
        yield lambda job: encode_jobs([job], home.root, codec), 1
        return
    shared = [*home.shared, *(home.folder.root / name for name in codec.files if home.shared)]
    with open_workers(0, shared, gpus=int(codec.device == "cuda")) as workers:

        def encode(job: "LatentsJob") -> None:
            if work_through(workers, encode_jobs, [job], home.root, codec).killers:
                raise LongdanceError(
                    f"Two workers died at the latents of {job.shard}: give them memory, then run the command again."
                )

        yield encode, workers.count

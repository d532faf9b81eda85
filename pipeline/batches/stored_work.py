"""What a worker does where DATA is object storage: fetch what it needs into scratch, work there, put what it made.

What it made is put whole, its manifest last; under a name without a manifest nothing is finished.
"""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_catalog.base.files import TEMP_MARK
from data_catalog.base.mirror import Mirror
from data_catalog.base.paths import DataFolder
from data_catalog.base.store import Store
from pipeline.batches.jobs import EncodeJob
from pipeline.batches.pack_shards import pack_shard
from pipeline.batches.prepare_sources import build_keys, prepare_sources
from pipeline.batches.work import encode, pose_model
from pipeline.config import BuildConfig
from pipeline.video.raw_source import scratch


@dataclass(frozen=True)
class PackedShard:
    """What came of a shard's clips."""

    counters: Counter[str]
    manifest: dict[str, Any] | None
    failed: list[str]
    """Clips that could not be encoded, each with a record in the store."""


def prepare_stored(batch: list[tuple[str, bytes]], url: str, config: BuildConfig, model: Path) -> Counter[str]:
    """Analyse and tile each (source id, path); each is in the store before the next is begun."""
    done: Counter[str] = Counter()
    for source_id, path in batch:
        with _at_hand(url, [source_id], config) as data:
            done += prepare_sources(data, [(source_id, path)], config, pose_model(model))
    return done


def try_to_encode(jobs: list[EncodeJob], url: str, config: BuildConfig, model: Path) -> None:
    """Encode some clips and keep nothing: whether that kills a worker."""
    with _at_hand(url, [source_id for source_id, _, _ in jobs], config, puts=False) as data:
        encode(jobs, data.root, config, model)


def encode_shard(jobs: list[EncodeJob], url: str, config: BuildConfig, model: Path, clip_ids: list[str]) -> PackedShard:
    """Encode a shard's clips and pack it, so that no sample crosses hosts."""
    sample_set = build_keys(config).sample_set
    with _at_hand(url, [source_id for source_id, _, _ in jobs], config) as data:
        counters = encode(jobs, data.root, config, model)
        manifest = pack_shard(data, clip_ids, config)
        failed = [clip_id for clip_id in clip_ids if data.failure(clip_id, sample_set).is_file()]
    return PackedShard(counters, manifest, failed)


@contextmanager
def _at_hand(url: str, source_ids: Iterable[str], config: BuildConfig, puts: bool = True) -> Iterator[DataFolder]:
    """A folder with what the store knows of some sources; what is made in it is put at the end of the block."""
    names = build_keys(config)
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        data = DataFolder(Path(folder))
        wanted = []
        for source_id in source_ids:
            analysis = data.analysis(source_id, names.analysis)
            wanted += [analysis, analysis.with_suffix(".json"), data.clips(source_id, names.clip_set)]
            wanted += [data.sound(source_id, names.sound)] if names.sound else []
        mirror = Mirror(Store.at(url), data.root)
        mirror.fetch(str(path.relative_to(data.root)) for path in wanted)
        before = set(_files(data))
        yield data
        if puts:
            mirror.put(path for path in _files(data) if path not in before)


def _files(data: DataFolder) -> list[Path]:
    found = (path for path in data.root.rglob("*") if path.is_file() and not path.name.startswith(TEMP_MARK))
    return [path for path in found if data.work not in path.parents]

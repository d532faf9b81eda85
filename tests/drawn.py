"""A data set of drawn dancers as a build leaves it, without Prefect: for tests that want real clips and sound."""

import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from data_catalog.base.files import read_json, write_json
from data_catalog.base.paths import DataFolder
from flows.catalog.manifests import rebuild_catalog
from flows.catalog.path_rows import record_paths
from pipeline.analysis.pose import pose_finder
from pipeline.batches.pack_shards import encode_clips, pack_shard
from pipeline.batches.prepare_sources import build_keys, prepare_sources
from pipeline.batches.sources import hash_source, walk
from pipeline.config import AnalysisConfig, BuildConfig, ClipConfig, CropConfig, ShardConfig, VariantConfig
from pipeline.synthetic.synth import SynthVideo, write_video

DRAWN = BuildConfig(
    clips=ClipConfig(frames=25),
    crop=CropConfig(shape="64x128"),
    analysis=AnalysisConfig(proxy_px=256),
    variants=VariantConfig(count=1),
    shards=ShardConfig(samples=100),
)


def draw_raw(folder: Path, seeds: Sequence[int], frames: int = 30) -> Path:
    """A video of a drawn dancer for each seed."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        write_video(SynthVideo(name=f"d{seed}", seed=seed, width=180, height=320, frames=frames, fps="25"), folder)
    return folder


def build_drawn(raw: Path, root: Path, model: Path, config: BuildConfig = DRAWN, together: bool = True) -> DataFolder:
    """Build every video of `raw` into `root`; in one shard, or in one for each source."""
    data, names = DataFolder(root), build_keys(config)
    files = {hash_source(file): file for file in walk(raw)}
    prepare_sources(data, [(source, file.path) for source, file in files.items()], config, model)
    groups: list[list[str]] = []
    people, confidence = config.analysis.max_people, config.analysis.min_pose_confidence
    with pose_finder(model, people, confidence, masks=True) as finder:
        for source, file in files.items():
            clips = [clip["clip_id"] for clip in read_json(data.clips(source, names.clip_set))["clips"]]
            encode_clips(data, source, file.path, clips, config, finder)
            groups.append(clips)
    for clips in [list(chain.from_iterable(groups))] if together else groups:
        pack_shard(data, clips, config)
    write_json(data.build_record, {"raw": os.fspath(raw), "config": config.model_dump(mode="json")})
    rebuild_catalog(data, config, names)
    rows = [{"path": f.path, "source_id": s, "size": f.size, "mtime_ns": f.mtime_ns, "inode": f.inode}
            for s, f in files.items()]  # fmt: skip
    record_paths(data, rows)
    rebuild_catalog(data, config, names)
    return data

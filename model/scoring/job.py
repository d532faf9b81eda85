"""What is to be scored, and which samples of which files that is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Literal

from data_catalog.base.settings import Settings
from model.data.dataset import LatentSample, SplitData, load_data
from model.runs.init_weights import check_codec_of_run
from model.runs.lineage import read_sources
from model.runs.run import Run
from model.scoring.policy import ScoreConfig


class ScoreJob(Settings):
    """What is to be scored."""

    data: Path
    run: Path
    config: ScoreConfig = ScoreConfig()
    select: Literal["all", "unseen"] = "all"
    """`unseen`: only samples of sources that the run was not trained on."""
    keys: tuple[str, ...] | None = None
    """Only these of them."""
    version: str | None = None
    """The samples of a version, whatever the thresholds say of them by now; without one, all good ones."""


def wanted_files(job: ScoreJob) -> list[tuple[str, int]]:
    """(file of latents, how many of its samples are wanted) of a job, without its network."""
    config = Run.open(job.run).config
    split = load_data(job.data, config.encode, config.holdout, job.version, config.pose)
    check_codec_of_run(job.run, split.codec)
    seen = read_sources(job.run) if job.select == "unseen" else frozenset()
    wanted = wanted_places(job, in_key_order(split), seen)
    return [(path.name, len(places)) for path, places in wanted]


def in_key_order(split: SplitData) -> list[LatentSample]:
    """All samples of both sides."""
    return sorted((*split.train.samples, *split.holdout.samples), key=lambda sample: sample.key)


def wanted_places(job: ScoreJob, samples: Sequence[LatentSample], seen: Container[str]) -> list[tuple[Path, list[int]]]:
    """Places of a job's samples by the file of their latents. seen: sources that the run was trained on."""
    keys = None if job.keys is None else set(job.keys)
    by_file: dict[Path, list[int]] = defaultdict(list)
    for place, sample in enumerate(samples):
        unseen = job.select == "all" or sample.source_id not in seen
        if unseen and (keys is None or sample.key in keys):
            by_file[sample.path].append(place)
    return sorted(by_file.items())

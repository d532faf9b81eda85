"""A shard's losses as work for a worker on any host: the same fragments of the ledger, whoever measures them."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from data_catalog.base.locks import in_turn
from data_catalog.base.mirror import Mirror
from data_catalog.base.paths import RunFolder, stored_runs
from data_catalog.base.store import Store
from model.devices import resolve_device
from model.hosts.train_rank import readable
from model.runs.checkpoint import newest_checkpoint
from model.scoring.job import ScoreJob
from model.scoring.ledger import write_fragment
from model.scoring.score import Scorer
from model.training.memory import cap_memory
from pipeline.video.raw_source import scratch


@dataclass(frozen=True)
class LentRun:
    """A run that a store holds for the time of a scoring; its record is put last."""

    folder: str
    files: tuple[str, ...]
    """Paths below the run's folder."""


@dataclass(frozen=True)
class ScoreShard:
    """One shard's latents to score, and under which job."""

    job: str
    """A `ScoreJob` in JSON, with the folders of whoever wrote it."""
    latents: str
    """Name of their file."""
    run: LentRun | None
    """None where all hosts see the run's folder."""


def files_of_run(run: Path) -> tuple[str, ...]:
    """What scoring needs of a run: its record, sources and codec, and its newest checkpoint. The record is last."""
    folder, info = RunFolder(run), newest_checkpoint(RunFolder(run).checkpoints)
    found = [path for path in (folder.codec, *([info.path] if info else [])) for path in sorted(path.iterdir())]
    found += [path for path in (folder.sources, folder.record) if path.is_file()]
    return tuple(str(path.relative_to(run)) for path in found)


def score_shards(shards: Sequence[ScoreShard], root: Path | str) -> list[str]:
    """Measure what is not measured yet; paths of the fragments below the data set. root: a shared folder, or a store's
    address."""
    made: list[str] = []
    for shard in shards:
        scorer = _scorer(shard.job, shard.run, root)
        if scorer.device.type == "cpu":
            torch.set_num_threads(scorer.job.config.threads)
        with tempfile.TemporaryDirectory(dir=scratch()) as place:
            out = root if isinstance(root, Path) else Path(place)
            paths = [
                write_fragment(out, fragment, scorer.table(group, fragment.first))
                for file, places in scorer.wanted()
                if file.name == shard.latents
                for fragment, group in scorer.missing(file, places)
            ]
            if isinstance(root, str):
                Mirror(Store.at(root), out).put(paths)
            made += [str(path.relative_to(out)) for path in paths]
    return made


@functools.lru_cache(maxsize=1)
def _scorer(text: str, run: LentRun | None, root: Path | str) -> Scorer:
    """Kept from shard to shard: a network takes longer to load than a shard to score."""
    job = ScoreJob.model_validate_json(text)
    if isinstance(root, str) and run is not None:
        job = job.model_copy(update={"data": readable(root), "run": _borrowed(run, root)})
    scorer = Scorer(job, torch.device(resolve_device(job.config.device)))
    cap_memory(scorer.device, scorer.run.config.vram_gib)
    return scorer


def _borrowed(run: LentRun, url: str) -> Path:
    """This host's copy of a run, fetched once."""
    store, folder = Store.at(url), stored_runs().resolve() / run.folder.rpartition("/")[2]
    folder.mkdir(parents=True, exist_ok=True)
    with in_turn(folder.with_suffix(".lock")):
        for name in run.files:
            if not (folder / name).is_file():
                store.fetch(f"{run.folder}/{name}", folder / name)
    return folder

"""Measure a run's losses under a bank: `python -m model.scoring.score --jobs JOBS.json`, or by `accelerate launch`.

Forward passes alone, in eval mode with the averaged weights. A forward pass holds windows of one sample only, so a
loss depends on the sample, the bank and the batch size, and not on what else is scored, where, or in what order.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
import torch
from accelerate import Accelerator  # type: ignore[import-untyped]

from data_catalog.base.at_work import scoring
from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import read_json, remove_temps
from data_catalog.base.paths import DataFolder
from data_catalog.base.processes import mute_stderr_at_exit
from model.data.dataset import DataIndex, LatentReader, LatentSample, load_data
from model.data.latents import OnProgress, verify_latents
from model.data.loader import stacked_masks
from model.data.poses import pose_reader, stacked_poses
from model.data.text import TextTable
from model.devices import resolve_device
from model.errors import DataError
from model.network.conditioning import PoseConditioning
from model.network.objective import Draws, Objective
from model.plans.stages import Window
from model.runs.init_weights import check_codec_of_run, encode_on, network_of_run
from model.runs.lineage import read_sources
from model.runs.run import Run
from model.scoring.job import ScoreJob, in_key_order, wanted_places
from model.scoring.ledger import LOSSES, Fragment, measured_until, write_fragment
from model.scoring.noise_bank import Bank
from model.training.memory import cap_memory


@dataclass(frozen=True)
class _Group:
    """Losses that share one forward pass; their draws are the same for every clip of one length."""

    ks: tuple[int, ...]
    windows: tuple[Window, ...]
    draws: Draws


@dataclass
class Scorer:
    """One run's averaged network and what it is judged on."""

    job: ScoreJob
    device: torch.device
    _groups: dict[tuple[int, int], list[_Group]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.run = Run.open(self.job.run)
        config, encode = self.run.config, encode_on(self.run, self.job.data)
        split = load_data(self.job.data, encode, config.holdout, self.job.version, config.pose)
        check_codec_of_run(self.run.path, split.codec)
        self.bank = Bank(self.job.config.bank, config.stage)
        self.reader = LatentReader(DataIndex(tuple(in_key_order(split)), split.train.shape))
        self.poses = pose_reader(config, split)
        self.network = network_of_run(self.run.path).eval().requires_grad_(False).to(self.device)
        self.network.channels_last = True  # as it was trained
        self.objective = Objective.of(config, self.network.config.prediction_type)
        width = self.network.unet.config.cross_attention_dim
        self.text_of = TextTable(split.latents, encode, split.prompts, width)
        self.trained_sources = read_sources(self.run.path) if self.job.select == "unseen" else frozenset()

    def wanted(self) -> list[tuple[Path, list[int]]]:
        """The job's samples by the file of their latents, as places in the index."""
        return wanted_places(self.job, self.reader.index.samples, self.trained_sources)

    def missing(self, path: Path, places: Sequence[int]) -> list[tuple[Fragment, list[int]]]:
        """What is still to be measured of these samples of one file: a fragment for each k that some begin at.

        Raises DataError if the latents' bytes have changed.
        """
        latents, samples = read_json(path.with_suffix(".json")), self.reader.index.samples
        known = measured_until(
            self.job.data,
            self.run.run_id,
            self.run.checkpoint.sha256,
            self.bank.id,
            latents["shard"],
            latents["sha256"],
        )
        by_first: dict[int, list[int]] = defaultdict(list)
        for place in places:
            if (first := known.get(samples[place].key, 0)) < self.job.config.k:
                by_first[first].append(place)
        if by_first and not verify_latents(path.with_suffix(".json")):
            raise DataError(
                f"{path} is not as it was written, so what it holds cannot be scored: delete it and run "
                f"`longdance encode --data {self.job.data}` with the run's encode settings."
            )
        return [(self._fragment(latents, first, group), group) for first, group in sorted(by_first.items())]

    def _fragment(self, latents: Mapping[str, Any], first: int, places: Sequence[int]) -> Fragment:
        config = self.job.config
        return Fragment(
            run=self.run.run_id,
            checkpoint=self.run.checkpoint.sha256,
            stage=self.run.config.stage,
            bank=self.bank.id,
            bank_config=config.bank.model_dump(mode="json"),
            shard=latents["shard"],
            latents=latents["sha256"],
            first=first,
            last=config.k,
            samples=tuple(self.reader.index.samples[place].key for place in places),
        )

    @torch.no_grad()
    def losses(self, place: int, first: int = 0) -> np.ndarray:
        """The losses of one sample, for k from `first` to K, float32."""
        sample = self.reader.index.samples[place]
        losses = np.empty(self.job.config.k - first, np.float32)
        text = self.text_of(sample.prompt).to(self.device)
        for group in self._groups_of(sample, first):
            with self._precision():
                done = self.objective.denoise(
                    self.network,
                    self._latents(place, group.windows),
                    group.windows,
                    group.draws,
                    text.expand(len(group.ks), -1, -1),
                    counted_BFHW=self._counted(place, group.windows),
                    pose=self._pose(place, group.windows),
                )
            losses[np.array(group.ks) - first] = done.losses().cpu().numpy()
        return losses

    def change(self, place: int) -> float:
        """The variance over time of a sample's latents, in all frames of the bank's windows; the mean over elements.

        Latents that do not count in every one of these frames are left out.
        """
        sample, bank = self.reader.index.samples[place], self.bank
        windows = [bank.window(2 * number, sample.frames) for number in range(bank.config.windows)]
        frames = sorted({frame for window in windows for frame in window.frames})
        variance_CHW = self.reader.read(place, frames).astype(np.float64).var(0)
        counted = self.reader.counted(place, frames)
        return float((variance_CHW if counted is None else variance_CHW[:, counted.all(0)]).mean())

    def _counted(self, place: int, windows: Sequence[Window]) -> torch.Tensor | None:
        masks = [self.reader.counted(place, window.frames) for window in windows]
        counted = stacked_masks(masks, (len(windows[0].frames), *self.reader.index.shape[1:]))
        return None if counted is None else counted.to(self.device)

    def _pose(self, place: int, windows: Sequence[Window]) -> PoseConditioning | None:
        """Each window's poses, worked out once for windows that are the same."""
        if self.poses is None:
            return None
        read = {}
        for window in dict.fromkeys(windows):
            latents = torch.from_numpy(self.reader.read(place, window.frames))
            read[window] = self.poses.read(self.reader, 0, place, window, latents)
        return stacked_poses([read[window] for window in windows])

    def _latents(self, place: int, windows: Sequence[Window]) -> torch.Tensor:
        """Each window's latents, read once for windows that are the same."""
        read = {window: self.reader.read(place, window.frames) for window in dict.fromkeys(windows)}
        stacked = np.stack([read[window] for window in windows])
        return torch.from_numpy(stacked).to(self.device).float()

    def _groups_of(self, sample: LatentSample, first: int) -> list[_Group]:
        """Blocks of ks that begin at multiples of the batch, wherever the measuring begins: the sums in a block come
        out the same whatever was measured before."""
        if (sample.frames, first) not in self._groups:
            blocks: dict[tuple[int, int], list[int]] = defaultdict(list)
            for k in range(first, self.job.config.k):
                length = len(self.bank.window(k, sample.frames).frames)
                blocks[length, k // self.job.config.batch].append(k)
            self._groups[sample.frames, first] = [self._group(tuple(ks), sample.frames) for ks in blocks.values()]
        return self._groups[sample.frames, first]

    def _group(self, ks: tuple[int, ...], frames: int) -> _Group:
        windows = tuple(self.bank.window(k, frames) for k in ks)
        draws = self.bank.draws(ks, windows, self.reader.index.shape)
        return _Group(ks, windows, draws.to(self.device))

    def _precision(self) -> AbstractContextManager[Any]:
        """On a GPU the run's own mixed precision; on a CPU float32."""
        kind = self.run.config.mixed_precision
        if self.device.type != "cuda" or kind == "no":
            return nullcontext()
        return torch.autocast("cuda", {"bf16": torch.bfloat16, "fp16": torch.float16}[kind])

    def table(self, places: Sequence[int], first: int = 0) -> pa.Table:
        """The rows of one fragment: sample by sample, then by k."""
        ks = range(first, self.job.config.k)
        bank, count = self.bank, len(places)
        return pa.table(
            {
                "sample_key": [self.reader.index.samples[place].key for place in places for _ in ks],
                "window": [bank.window_number(k) for k in ks] * count,
                "bin": [bank.bin(k) for k in ks] * count,
                "k": list(ks) * count,
                "log_snr": [bank.log_snr(k) for k in ks] * count,
                "loss": np.concatenate([self.losses(place, first) for place in places]).astype(np.float64),
                "change": np.repeat([self.change(place) for place in places], len(ks)),
            },
            schema=LOSSES,
        )


def score(job: ScoreJob, progress: OnProgress | None = None, rank: int = 0, processes: int = 1) -> list[Path]:
    """Score what is not scored yet; this process does every `processes`-th shard. Returns the paths of what it wrote.

    Raises ModelError's kinds: no such run, no checkpoint, latents of another codec, an absent GPU.
    """
    device = torch.device(resolve_device(job.config.device))
    if device.type == "cpu":
        torch.set_num_threads(job.config.threads)
    scorer = Scorer(job, device)
    cap_memory(device, scorer.run.config.vram_gib)
    wanted = scorer.wanted()
    mine, all_of = wanted[rank::processes], sum(len(places) for _, places in wanted)
    total, done, paths = sum(len(places) for _, places in mine), 0, []
    for file, places in mine:
        for fragment, group in scorer.missing(file, places):
            paths.append(write_fragment(job.data, fragment, scorer.table(group, fragment.first)))
        done += len(places)
        if progress:
            progress(round(done / total * all_of), all_of)
    return paths


@contextmanager
def _ledger_lock(data: Path) -> Iterator[None]:
    """Hold the ledger, and clear what a killed process left in it."""
    with scoring(data).alone():
        remove_temps(DataFolder(data).ledger)
        yield


def _printer(accelerator: Accelerator, job: ScoreJob) -> OnProgress:
    def show(done: int, total: int) -> None:
        if accelerator.is_main_process:
            print(json.dumps({"kind": "scored", "run": job.run.name, "done": done, "total": total}), flush=True)

    return show


@click.command()
@click.option("--jobs", "path", type=click.Path(exists=True, path_type=Path), required=True)
def main(path: Path) -> None:
    """Score as JOBS (a JSON list) say, one after the other; prints progress as JSON lines."""
    mute_stderr_at_exit()
    try:
        jobs = [ScoreJob.model_validate(job) for job in read_json(path)]
        accelerator = Accelerator(cpu=resolve_device(jobs[0].config.device) == "cpu")
        with _ledger_lock(jobs[0].data) if accelerator.is_main_process else nullcontext():
            accelerator.wait_for_everyone()
            for job in jobs:
                score(job, _printer(accelerator, job), accelerator.process_index, accelerator.num_processes)
            accelerator.wait_for_everyone()
    except LongdanceError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()

"""Training windows by position: the n-th sample seen, its window and its latents, whoever reads them and when."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch

from model.config import TrainConfig
from model.data.dataset import DataIndex, LatentReader, SplitData
from model.data.poses import PoseReader, pose_reader, stacked_poses
from model.errors import ConfigError
from model.network.conditioning import PoseConditioning
from model.plans.stages import Window, draw_window, get_stage
from model.seeding import sample_index, weighted_order

_TOGETHER, _AHEAD = 4, 2
"""Batches that a thread reads at once (handing over costs as much as reading one), and how many times that each
thread may be ahead of the training."""


@dataclass(frozen=True)
class WindowBatch:
    """Windows of equally many frames, as they lie on the disk (float16)."""

    positions: tuple[int, ...]
    samples: tuple[int, ...]
    windows: tuple[Window, ...]
    latents_BFCHW: torch.Tensor  # noqa: N815
    counted_BFHW: torch.Tensor | None = None  # noqa: N815
    """Which latents count, bool; None where all do."""
    pose: PoseConditioning | None = None
    """The dancers' poses; None for networks that are told none."""

    def pin_memory(self) -> WindowBatch:
        """With page-locked latents, which a GPU fetches faster."""
        return replace(self, latents_BFCHW=self.latents_BFCHW.pin_memory())


@dataclass(frozen=True)
class BatchPlan:
    """Which positions each process sees in each part of each step: the global batch, cut evenly."""

    batch: int
    accumulate: int = 1
    processes: int = 1

    def __post_init__(self) -> None:
        if self.batch % (self.accumulate * self.processes):
            raise ConfigError(
                f"Batch {self.batch} cannot be split over {self.processes} processes x {self.accumulate} accumulated "
                "parts: choose a multiple."
            )

    def positions(self, rank: int, start: int, steps: int) -> Iterator[list[int]]:
        """For `steps` steps from position `start`, one list per accumulated part."""
        size = self.batch // (self.accumulate * self.processes)
        for step in range(steps):
            for part in range(self.accumulate):
                first = start + step * self.batch + (part * self.processes + rank) * size
                yield list(range(first, first + size))


def stacked_masks(masks: Sequence[np.ndarray | None], shape: tuple[int, ...]) -> torch.Tensor | None:
    """(B, F, H, W) of masks (F, H, W); None where all of them are: then nothing is left out."""
    if all(mask is None for mask in masks):
        return None
    return torch.from_numpy(np.stack([np.ones(shape, bool) if mask is None else mask for mask in masks]))


def check_weights(weights: Collection[object]) -> None:
    """Raise ConfigError where samples are to be drawn by weights and there are none."""
    if not weights:
        raise ConfigError("Setting 'prioritise' needs weights: name a version with them in the setting 'version'.")


class WindowDataset:
    """Maps a list of positions to its batch: no state, so that any thread can make any batch."""

    def __init__(
        self,
        index: DataIndex,
        stage: str,
        seed: int,
        batch: int,
        plans: tuple[str, ...] | None = None,
        random_share: float = 0.0,
        prioritise: bool = False,
        poses: PoseReader | None = None,
    ) -> None:
        """`poses`: who reads the dancers' poses, for networks that are told them."""
        self._reader = LatentReader(index)
        self._stage, self._seed, self._batch = stage, seed, batch
        self._plans, self._random_share, self._poses = plans, random_share, poses
        if prioritise:
            check_weights(index.weights)
        self._weights = np.array(index.weights) if prioritise else None
        self._order: tuple[int, np.ndarray] | None = None

    def _sample(self, position: int) -> int:
        size = len(self._reader.index.samples)
        if self._weights is None:
            return sample_index(self._seed, position, size)
        epoch, place = divmod(position, size)
        if self._order is None or self._order[0] != epoch:  # only to save time: a function of (seed, epoch)
            self._order = (epoch, weighted_order(self._seed, epoch, self._weights))
        return int(self._order[1][place])

    def window(self, position: int) -> tuple[int, Window]:
        """The sample and its window at a position. All positions of one step have equally many frames."""
        sample = self._sample(position)
        group = position // self._batch
        frames = self._reader.index.samples[sample].frames
        window = draw_window(
            self._stage,
            seed=self._seed,
            position=position,
            group=group,
            clip_frames=frames,
            plans=self._plans,
            random_share=self._random_share,
        )
        return sample, window

    def empty(self, positions: Sequence[int]) -> WindowBatch:
        """The batch at `positions`, its latents not read yet."""
        samples, windows = zip(*(self.window(position) for position in positions))
        shape = (len(windows), len(windows[0].frames), *self._reader.index.shape)
        latents = torch.empty(shape, dtype=torch.float16)
        return WindowBatch(tuple(positions), samples, windows, latents, self._counted(samples, windows))

    def _counted(self, samples: Sequence[int], windows: Sequence[Window]) -> torch.Tensor | None:
        masks = [self._reader.counted(sample, window.frames) for sample, window in zip(samples, windows)]
        return stacked_masks(masks, (len(windows[0].frames), *self._reader.index.shape[1:]))

    def fill(self, batch: WindowBatch) -> WindowBatch:
        """Read the latents of a batch into their place. Any thread may call it."""
        for sample, window, place in zip(batch.samples, batch.windows, batch.latents_BFCHW.numpy()):
            self._reader.read_into(place, sample, window.frames)
        if self._poses is None:
            return batch
        rows = zip(batch.positions, batch.samples, batch.windows, batch.latents_BFCHW)
        return replace(batch, pose=stacked_poses([self._poses.read(self._reader, *row) for row in rows]))


def training_windows_of(config: TrainConfig, split: SplitData) -> WindowDataset:
    """The windows that a run is trained on."""
    return WindowDataset(
        split.train,
        config.stage,
        config.seed,
        config.batch,
        config.plans,
        config.random_windows if get_stage(config.stage).random_windows else 0.0,
        config.prioritise,
        pose_reader(config, split, noisy=True),
    )


def window_loader(
    dataset: WindowDataset, positions: Iterable[list[int]], workers: int, pin_memory: bool = False
) -> Iterator[WindowBatch]:
    """The batches at `positions`, in order, read ahead by `workers` threads (0: read when asked for).

    Threads and not processes: reading is one system call, and handing over a batch would cost more than that. What
    is read, and where to, is decided by the caller's thread: nothing but the bytes depends on another.
    """

    def fill(batches: list[WindowBatch]) -> list[WindowBatch]:
        filled = [dataset.fill(batch) for batch in batches]
        return [batch.pin_memory() for batch in filled] if pin_memory else filled

    empty = (dataset.empty(wanted) for wanted in positions)
    if not workers:
        for batch in empty:
            yield from fill([batch])
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="latents") as pool:
        ahead: deque[Future[list[WindowBatch]]] = deque()
        try:
            while batches := list(islice(empty, _TOGETHER)):
                ahead.append(pool.submit(fill, batches))
                if len(ahead) > _AHEAD * workers:
                    yield from ahead.popleft().result()
            while ahead:
                yield from ahead.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

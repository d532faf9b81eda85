"""Training windows by position: the n-th sample seen, its window and its latents, whoever reads them and when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from model.data import DataIndex, LatentReader
from model.errors import ConfigError
from model.seeding import sample_index, weighted_order
from model.stages import Window, draw_window


@dataclass(frozen=True)
class WindowBatch:
    """Windows of equally many frames, as they lie on the disk (float16)."""

    positions: tuple[int, ...]
    samples: tuple[int, ...]
    windows: tuple[Window, ...]
    latents_BFCHW: torch.Tensor  # noqa: N815

    def pin_memory(self) -> WindowBatch:
        """For the DataLoader: page-locked latents, which a GPU fetches faster."""
        return WindowBatch(self.positions, self.samples, self.windows, self.latents_BFCHW.pin_memory())


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


class WindowDataset(Dataset[WindowBatch]):
    """Maps a list of positions to its batch: no state, so any worker can make any batch."""

    def __init__(self, index: DataIndex, stage: str, seed: int, batch: int, prioritise: bool = False) -> None:
        self._reader = LatentReader(index)
        self._stage, self._seed, self._batch = stage, seed, batch
        if prioritise and not index.weights:
            raise ConfigError("Setting 'prioritise' needs weights: name a version with them in the setting 'version'.")
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
        return sample, draw_window(self._stage, seed=self._seed, position=position, group=group, clip_frames=frames)

    def __getitem__(self, positions: Sequence[int]) -> WindowBatch:
        chosen = [self.window(position) for position in positions]
        samples, windows = zip(*chosen)
        shape = (len(chosen), len(windows[0].frames), *self._reader.index.shape)
        latents = torch.empty(shape, dtype=torch.float16)
        for (sample, window), place in zip(chosen, latents.numpy()):
            self._reader.read_into(place, sample, window.frames)
        return WindowBatch(tuple(positions), samples, windows, latents)


def window_loader(
    dataset: WindowDataset, positions: Iterator[list[int]], workers: int, pin_memory: bool = False
) -> Iterator[WindowBatch]:
    """The batches at `positions`, in order, read ahead by `workers` processes (0: by this one)."""
    loader = DataLoader(
        dataset,
        sampler=_Positions(positions),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        pin_memory=pin_memory,
        # Its own generator: otherwise the loader draws its workers' seed from the global one.
        generator=torch.Generator(),
    )
    return iter(loader)


class _Positions:
    def __init__(self, positions: Iterator[list[int]]) -> None:
        self._positions = positions

    def __iter__(self) -> Iterator[list[int]]:
        return self._positions

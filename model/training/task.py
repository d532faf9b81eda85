"""What one kind of training adds to the loop: its network, its batches, its loss, and what it shows of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from model.training.ema import Ema


class Examination(Protocol):
    """What a run shows of its averaged network every so often."""

    def bin_losses(self, stop: Callable[[], bool] = lambda: False) -> list[float] | None:
        """The mean loss on the hold-out in each bin of noise; None if it was asked to stop before. There is one."""

    def write_samples(self, step: int) -> Path:
        """Pictures of what the network makes."""

    def has_samples(self, step: int) -> bool:
        """Whether `write_samples` got to its end at this step."""


class Task(Protocol):
    """A network and what it learns. All it draws is a function of (seed, position): it has no state of its own."""

    splits_weights: bool
    """Whether the optimizer holds learnt weights in halves."""
    holds_out: bool
    """Whether there is anything to validate on."""

    @property
    def network(self) -> torch.nn.Module:
        """What learns."""

    def configure(self, device: torch.device) -> dict[str, torch.nn.Parameter]:
        """Get the network ready to learn, and return by name what learns."""

    def network_config(self) -> Mapping[str, Any]:
        """What the network is built from, as plain JSON values."""

    def batches(self, positions: Iterable[list[int]]) -> Iterator[Any]:
        """The batches at these positions, in order."""

    def losses(self, model: torch.nn.Module, batch: Any) -> torch.Tensor:
        """One loss per sample of a batch, (B,). `model` is the network as it was prepared for training."""

    def seen(self, positions: Sequence[int]) -> dict[str, Any]:
        """What stands at these positions, for the line of a step in the metrics."""

    def out_of_memory(self) -> str:
        """What takes a GPU's memory and what would free some, where it was not enough."""

    def examination(self, ema: Ema) -> Examination:
        """Who examines the network."""

"""The task that the trainer is given for a choreographer: windows of key poses, their loss, and pictures of dances."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch

from data_catalog.base.paths import RunFolder
from model.choreography.config import ChoreographerConfig
from model.choreography.dances import DanceData
from model.choreography.drawing import write_dance_pictures
from model.choreography.network import ChoreographerNetwork, network_record
from model.choreography.objective import losses, sample_window
from model.choreography.windows import DanceBatch, DanceWindows
from model.seeding import torch_generator

BINS = 8
"""Levels of noise that a validation looks at."""


class Averaged(Protocol):
    """The moving average of a network's weights."""

    def applied(self) -> AbstractContextManager[None]:
        """Within the block the network has them."""


def begun_network(config: ChoreographerConfig, data: DanceData) -> ChoreographerNetwork:
    """A network as a run begins with it, its components fitted to the training's dances."""
    torch.manual_seed(config.seed)
    network = ChoreographerNetwork(config.network)
    network.fit([dance.numbers for dance in data.train.samples], data.usual_bones, data.tempi)
    return network


class ChoreographerTask:
    """One choreographer on one data set."""

    splits_weights = False

    def __init__(
        self, config: ChoreographerConfig, data: DanceData, network: ChoreographerNetwork, run_dir: Path
    ) -> None:
        self.network, self.holds_out = network, bool(data.holdout.samples)
        self._config, self._data, self._run_dir = config, data, run_dir
        self._windows = DanceWindows(data.train.samples, network, config, "training")

    def configure(self, device: torch.device) -> dict[str, torch.nn.Parameter]:
        """All of it learns, on the CPU: it is small."""
        return dict(self.network.named_parameters())

    def network_config(self) -> Mapping[str, Any]:
        """Sizes and the layout of landmarks."""
        return network_record(self.network)

    def batches(self, positions: Iterable[list[int]]) -> Iterator[DanceBatch]:
        """Windows, made when they are asked for."""
        return (self._windows.batch(wanted) for wanted in positions)

    def losses(self, model: torch.nn.Module, batch: DanceBatch) -> torch.Tensor:
        """One loss per window, (B,)."""
        return losses(model, batch, self.network.spread, self._config.velocity_weight)

    def state(self) -> dict[str, torch.Tensor]:
        """It remembers nothing."""
        return {}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """There is nothing to take over."""

    def seen(self, positions: Sequence[int]) -> dict[str, Any]:
        """Samples, first key poses, and whether they were mirrored."""
        places = [self._windows.place(position) for position in positions]
        return {
            "samples": [self._windows.key(number) for number, _, _ in places],
            "windows": [[start, int(flipped)] for _, start, flipped in places],
        }

    def examination(self, ema: Averaged) -> DanceExamination:
        """On the hold-out's windows."""
        return DanceExamination(self._config, self._data, self.network, ema, self._run_dir)

    def out_of_memory(self) -> str:
        """What to do about too little memory."""
        return f"The memory is not enough for batch {self._config.batch}: lower the setting 'batch'."


class DanceExamination:
    """Examines the averaged network: its loss by level of noise, and dances beside real ones."""

    def __init__(
        self,
        config: ChoreographerConfig,
        data: DanceData,
        network: ChoreographerNetwork,
        ema: Averaged,
        run_dir: Path,
    ) -> None:
        self._config, self._network, self._ema, self._folder = config, network, ema, RunFolder(run_dir)
        dances = data.holdout.samples or data.train.samples
        self._windows = DanceWindows(dances, network, config.model_copy(update={"seed": 0}), "validation")

    def bin_losses(self, stop: Callable[[], bool] = lambda: False) -> list[float] | None:
        """The mean loss of the same windows and noise in each of BINS levels of noise, from little to much."""
        self._network.eval()
        batch = self._windows.batch(range(self._config.validation_windows))
        found = []
        with self._ema.applied(), torch.no_grad():
            for number in range(BINS):
                if stop():
                    return None
                level = torch.full_like(batch.level_B, (number + 0.5) / BINS)
                at_level = replace(batch, level_B=level)
                loss = losses(self._network, at_level, self._network.spread, self._config.velocity_weight)
                found.append(float(loss.mean()))
        return found

    def write_samples(self, step: int) -> Path:
        """Real windows above what the network makes of their first key poses, and the first of them as a GIF."""
        self._network.eval()
        batch = self._windows.batch(range(self._config.sample_windows))
        generator = torch_generator(0, "dance-sample", 0)
        noise = torch.randn(self._config.sample_steps + 1, *batch.clean_BKC.shape, generator=generator)
        with self._ema.applied():
            prior = self._network.prior()
            made = sample_window(self._network, prior, batch.clean_BKC, batch.given, self._config.sample_steps, noise)
        usual = self._network.usual_bones.double().numpy()
        pairs = [side[number] for number in range(len(made)) for side in (batch.clean_BKC, made)]
        base = self._samples(step)
        write_dance_pictures(base, [self._network.to_numbers(poses) for poses in pairs], usual)
        return base.with_suffix(".png")

    def has_samples(self, step: int) -> bool:
        """Whether `write_samples` got to its end at this step."""
        return self._samples(step).with_suffix(".gif").is_file()

    def _samples(self, step: int) -> Path:
        return self._folder.samples / f"step-{step:08d}"

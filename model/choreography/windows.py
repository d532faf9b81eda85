"""Training windows by position: which dance, from which key pose on, mirrored or not, with what noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.choreography.config import ChoreographerConfig
from model.choreography.dances import LearntDance
from model.choreography.network import ChoreographerNetwork, Conditions
from model.choreography.rig import mirrored
from model.seeding import numpy_generator, sample_index


@dataclass(frozen=True)
class DanceBatch:
    """B windows with all that was drawn for them."""

    positions: tuple[int, ...]
    clean_BKC: Tensor  # noqa: N815
    expected_BKC: Tensor  # noqa: N815
    """What the history alone lets expect (`prior.DancePrior`)."""
    counted_BK: Tensor  # noqa: N815
    """bool: false beyond the end of a dance that is shorter than a window."""
    noise_BKC: Tensor  # noqa: N815
    level_B: Tensor  # noqa: N815
    """0 to 1, as `angle` takes it."""
    given: Conditions
    history_BKC: Tensor  # noqa: N815
    """What is told of the key poses that are known."""


class DanceWindows:
    """Maps positions to batches: a pure function of the seed."""

    def __init__(
        self, dances: Sequence[LearntDance], network: ChoreographerNetwork, config: ChoreographerConfig, purpose: str
    ) -> None:
        self._dances, self._config, self._purpose = dances, config, purpose
        self._prior = network.prior()
        self._poses = [[network.to_components(side) for side in (d.numbers, mirrored(d.numbers))] for d in dances]
        self._styles = [[network.style_of(side) for side in sides] for sides in self._poses]

    def place(self, position: int) -> tuple[int, int, bool]:
        """Which dance, its first key pose, and whether it is mirrored."""
        number = sample_index(self._config.seed, position, len(self._dances))
        generator = numpy_generator(self._config.seed, f"{self._purpose}-window", position)
        beyond = max(0, len(self._dances[number].numbers) - self._config.network.window)
        start, flipped = int(generator.integers(beyond + 1)), bool(generator.integers(2))
        return number, start, flipped and self._config.mirrored

    def key(self, number: int) -> str:
        """The sample's."""
        return self._dances[number].key

    def batch(self, positions: Sequence[int]) -> DanceBatch:
        """The windows at some positions."""
        rows = [self._row(position) for position in positions]
        clean, counted, noise, level, phase, tempo, heard, style, styled, known, history = (
            torch.stack(column) for column in zip(*rows, strict=True)
        )
        given = Conditions(phase, tempo, heard, style, styled, known)
        counts = known.sum(1).tolist()
        expected = self._prior.mean(history, counts, given.told_style_BS)
        coloured = self._prior.coloured(noise, counts, given.told_style_BS)
        return DanceBatch(tuple(positions), clean, expected, counted, coloured, level, given, history)

    def _row(self, position: int) -> tuple[Tensor, ...]:
        config, window = self._config, self._config.network.window
        number, start, flipped = self.place(position)
        dance, poses = self._dances[number], self._poses[number][flipped]
        part = poses[start : start + window]
        short = window - len(part)
        clean = torch.cat([part, part[-1:].expand(short, -1)]) if short else part
        generator = numpy_generator(config.seed, f"{self._purpose}-noise", position)
        noise, disturbed = torch.from_numpy(generator.standard_normal((2, *clean.shape), np.float32))
        keys = config.network.keys_per_beat
        history = 1 if generator.random() < config.start_share else int(generator.integers(1, window // 2 + 1))
        ahead = dance.phases[0] + start + np.arange(window)
        heard = dance.heard and generator.random() >= config.music_dropout
        styled = generator.random() >= config.style_dropout
        return (
            clean,
            torch.arange(window) < len(part),
            noise,
            torch.tensor(generator.random(), dtype=torch.float32),
            torch.from_numpy(ahead % keys),
            torch.tensor(dance.tempo, dtype=torch.float32),
            torch.tensor(bool(heard)),
            self._styles[number][flipped],
            torch.tensor(bool(styled)),
            torch.arange(window) < history,
            clean + config.history_noise * generator.random() * disturbed,
        )

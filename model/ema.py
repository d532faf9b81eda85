"""The moving average of the trained weights, which validation, samples and generation use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch


def decay_at(step: int, decay: float) -> float:
    """The decay after `step` steps: low at first, so that the random start is soon forgotten
    (the warm-up of TensorFlow's ExponentialMovingAverage)."""
    return min(decay, (1 + step) / (10 + step))


class Ema:
    """float32 averages of `parameters`, beside them on their device."""

    def __init__(self, parameters: Mapping[str, torch.nn.Parameter], decay: float) -> None:
        self._parameters = dict(parameters)
        self._decay = decay
        self.averages = {name: p.detach().float().clone() for name, p in self._parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step` steps."""
        current = [p.detach().float() for p in self._parameters.values()]
        torch._foreach_lerp_(list(self.averages.values()), current, 1 - decay_at(step, self._decay))

    @torch.no_grad()
    def load(self, averages: Mapping[str, torch.Tensor]) -> None:
        """Put saved averages back."""
        for name, average in self.averages.items():
            average.copy_(averages[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the network's weights are the averages."""
        kept = {name: p.detach().clone() for name, p in self._parameters.items()}
        try:
            self._write(self.averages)
            yield
        finally:
            self._write(kept)

    @torch.no_grad()
    def _write(self, values: Mapping[str, torch.Tensor]) -> None:
        for name, parameter in self._parameters.items():
            parameter.copy_(values[name])

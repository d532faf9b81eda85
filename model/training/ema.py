"""The moving average of the trained weights, which validation, samples and generation use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch

Value = Callable[[torch.nn.Parameter], torch.Tensor]


def decay_at(step: int, decay: float, every: int = 1) -> float:
    """The decay after `step` steps of an average that is updated at every `every`-th: low at first, so that the
    random start is soon forgotten (the warm-up of TensorFlow's ExponentialMovingAverage)."""
    return min(decay, (1 + step) / (10 + step)) ** every


def float32_of(parameter: torch.nn.Parameter) -> torch.Tensor:
    """A parameter's value, where it is held whole."""
    return parameter.detach().float()


class Ema:
    """float32 averages of `parameters`, on `device`, or beside each parameter.

    value: a parameter's float32 value, if the parameter alone does not hold it.
    """

    def __init__(
        self,
        parameters: Mapping[str, torch.nn.Parameter],
        decay: float,
        every: int = 1,
        device: torch.device | None = None,
        value: Value = float32_of,
    ) -> None:
        self._parameters = dict(parameters)
        self._decay, self._every, self._value = decay, every, value
        self.averages = {name: value(p).to(device, copy=True) for name, p in self._parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step` steps, if it is time to."""
        if step % self._every:
            return
        weight = 1 - decay_at(step, self._decay, self._every)
        for name, average in self.averages.items():
            average.lerp_(self._value(self._parameters[name]).to(average.device), weight)

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

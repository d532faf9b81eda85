"""AdamW whose two moments take a byte each (Dettmers et al. 2022), by bitsandbytes' kernels.

Its weights can be held in halves: bfloat16 for the network and, beside the moments, the 16 bits that were rounded
away. Together they are the float32 number that Adam works on, exactly, in its four bytes: rounded for good after
every step, most updates would be lost, and stochastic rounding would add noise and random numbers to remember.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from model.errors import ConfigError

_BLOCK = 256
_SMALLEST = 4096
"""Smaller parameters (biases, norms) have float32 moments, as bitsandbytes recommends: they weigh nothing."""


def split_float32(full: Tensor) -> tuple[Tensor, Tensor]:
    """A float32 tensor as its nearest bfloat16 and the distance to it in units of the last place (int16)."""
    bits = full.view(torch.int32)
    upper = (bits + 0x8000) >> 16
    return upper.to(torch.int16).view(torch.bfloat16), (bits - (upper << 16)).to(torch.int16)


def join_float32(high: Tensor, low: Tensor) -> Tensor:
    """The float32 tensor that `split_float32` took apart."""
    return ((high.view(torch.int16).to(torch.int32) << 16) + low).view(torch.float32)


class AdamW8bit(torch.optim.Optimizer):
    """Over float32 parameters, which `split` turns into bfloat16. Raises ConfigError without bitsandbytes."""

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        split: bool = False,
    ) -> None:
        try:
            from bitsandbytes import functional
        except ImportError as error:
            raise ConfigError(
                "Setting 'optimizer' is 'adamw8bit', which needs bitsandbytes: `pip install bitsandbytes`."
            ) from error
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})
        self._functional = functional
        every = [p for group in self.param_groups for p in group["params"]]
        self._codes = [functional.create_dynamic_map(signed=signed).to(every[0].device) for signed in (True, False)]
        for parameter in every:
            self._begin(parameter, split)

    def _begin(self, parameter: torch.nn.Parameter, split: bool) -> None:
        state, count = self.state[parameter], parameter.numel()
        small = count < _SMALLEST
        state["step"] = 0
        for number in ("1", "2"):
            kind = torch.float32 if small else torch.uint8
            state[f"moment{number}"] = torch.zeros(parameter.shape, dtype=kind, device=parameter.device)
            if not small:
                state[f"largest{number}"] = torch.zeros(-(-count // _BLOCK), device=parameter.device)
        if split:
            parameter.data, state["low"] = split_float32(parameter.data.contiguous())

    def full(self, parameter: torch.nn.Parameter) -> Tensor:
        """The parameter's value in float32; not a copy where it is held so."""
        low = self.state[parameter].get("low")
        return parameter.detach() if low is None else join_float32(parameter.detach(), low)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One step of AdamW for every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(group, parameter, parameter.grad)

    def _update(self, group: dict[str, Any], parameter: torch.nn.Parameter, grad: Tensor) -> None:
        state, full = self.state[parameter], self.full(parameter)
        state["step"] += 1
        step, rate, decay, eps = state["step"], group["lr"], group["weight_decay"], group["eps"]
        tensors = ("adam", grad.float().contiguous(), full, state["moment1"])
        if state["moment1"].dtype == torch.float32:
            beta1, beta2 = group["betas"]
            self._functional.optimizer_update_32bit(
                *tensors, beta1, eps, step, rate, state["moment2"], beta2, weight_decay=decay
            )
        else:
            scales = (*self._codes, state["largest1"], state["largest2"])
            self._functional.optimizer_update_8bit_blockwise(
                *tensors, state["moment2"], *group["betas"], 0.0, 0.0, eps, step, rate, *scales, weight_decay=decay
            )
        if "low" in state:
            high, low = split_float32(full)
            parameter.copy_(high)
            state["low"].copy_(low)

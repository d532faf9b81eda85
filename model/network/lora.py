"""LoRA (Hu et al. 2021) on the 2-D attentions' projections: W x + B A x, B zero at first."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

from model.network import memory_efficient

_TARGETS = re.compile(r".*\.attn[12]\.(to_q|to_k|to_v|to_out\.0)")


class LoraLinear(nn.Module):
    """A frozen projection and its two learnt factors, each in float32 and used in x's dtype."""

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base
        self.lora_down = nn.Linear(base.in_features, rank, bias=False)
        self.lora_up = nn.Linear(rank, base.out_features, bias=False)
        nn.init.zeros_(self.lora_up.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        return self.base(x) + memory_efficient.linear(
            memory_efficient.linear(x, self.lora_down.weight), self.lora_up.weight
        )


def is_lora(parameter_name: str) -> bool:
    """Whether a parameter of that dotted name is one of LoRA's factors."""
    return "lora_" in parameter_name


def add_lora(network: nn.Module, rank: int) -> None:
    """Put factors beside the 2-D attentions' projections, in place; with factors already there it does nothing."""
    if any(is_lora(name) for name, _ in network.named_parameters()):
        return
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.Linear) and _TARGETS.fullmatch(name):
            network.set_submodule(name, LoraLinear(module, rank))


@torch.no_grad()
def merge_lora(network: nn.Module) -> None:
    """Add the factors' product to the weights they stand beside, in place: a plain network again."""
    for name, module in list(network.named_modules()):
        if isinstance(module, LoraLinear):
            module.base.weight += (module.lora_up.weight @ module.lora_down.weight).to(module.base.weight.dtype)
            network.set_submodule(name, module.base)

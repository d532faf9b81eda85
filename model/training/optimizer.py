"""AdamW, in full precision or in 8 bits, the learning rate's schedule, and the average of the weights."""

from __future__ import annotations

import math

import torch

from model.loop_config import LoopConfig
from model.training.adam8bit import AdamW8bit
from model.training.ema import Ema, float32_of


def learning_rate_at(step: int, config: LoopConfig) -> float:
    """The rate of the step after `step` steps: linear from 0 over the warm-up, times the schedule."""
    rate = config.learning_rate * min(1.0, (step + 1) / max(1, config.warmup))
    if config.schedule == "constant":
        return rate
    return rate * 0.5 * (1 + math.cos(math.pi * min(1.0, step / config.steps)))


def make_optimizer(
    config: LoopConfig, parameters: list[torch.nn.Parameter], split: bool = False
) -> torch.optim.Optimizer:
    """AdamW over `parameters`, which are on their device already; `split`: it holds them in halves, where it can.

    Raises ConfigError: 8 bits without bitsandbytes.
    """
    rate, betas, decay = config.learning_rate, config.betas, config.weight_decay
    if config.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, betas=betas, weight_decay=decay, fused=True)
    return AdamW8bit(parameters, rate, betas, weight_decay=decay, split=split)


def make_ema(config: LoopConfig, parameters: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer) -> Ema:
    """The average of `parameters`, by name; of their whole values, where the optimizer holds them in halves."""
    device = torch.device("cpu") if config.ema_device == "cpu" else None
    value = optimizer.full if isinstance(optimizer, AdamW8bit) else float32_of
    return Ema(parameters, config.ema, config.ema_every, device, value)

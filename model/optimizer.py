"""AdamW, in full precision or in 8 bits, and the learning rate's warm-up."""

from __future__ import annotations

import math

import torch

from model.config import TrainConfig
from model.errors import ConfigError


def learning_rate_at(step: int, config: TrainConfig) -> float:
    """The rate of the step after `step` steps: linear from 0 over the warm-up, times the schedule."""
    rate = config.learning_rate * min(1.0, (step + 1) / max(1, config.warmup))
    if config.schedule == "constant":
        return rate
    return rate * 0.5 * (1 + math.cos(math.pi * min(1.0, step / config.steps)))


def make_optimizer(config: TrainConfig, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW over `parameters`, which are on their device already.

    Raises ConfigError when 8-bit Adam is asked for without a GPU or without bitsandbytes.
    """
    rate, betas, decay = config.learning_rate, config.betas, config.weight_decay
    if config.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, betas=betas, weight_decay=decay, fused=True)
    if parameters[0].device.type != "cuda":
        raise ConfigError("Setting 'optimizer' is 'adamw8bit', which needs a GPU: use 'adamw' on the CPU.")
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise ConfigError(
            "Setting 'optimizer' is 'adamw8bit', which needs bitsandbytes: `pip install bitsandbytes`."
        ) from error
    return AdamW8bit(parameters, lr=rate, betas=betas, weight_decay=decay)

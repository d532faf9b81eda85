"""GPU memory: predicted by part before a run, capped while it goes, explained when it was not enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from model.config import TrainConfig
from model.errors import DeviceError
from model.plans.plan import MAX_WINDOW
from model.runs.init_weights import splits_weights
from model.training.step_bytes import meta_copy, step_bytes
from pipeline.picture_size import PictureSize

GIB = 2**30


@dataclass(frozen=True)
class MemoryPlan:
    """Predicted bytes in the allocator at the fullest moment of a training step, by part."""

    weights: int
    optimizer: int
    """Adam's moments, and the lower halves of weights that are held in halves."""
    ema: int
    gradients: int
    """Those that are there by then: they come as the backward pass goes."""
    activations: int
    """What the forward pass keeps for the backward pass, and by then is still there."""
    workspace: int
    """Everything else: results and gradients on their way from one layer to the next."""

    @property
    def total(self) -> int:
        """Bytes in all."""
        return sum(asdict(self).values())

    def lines(self) -> list[str]:
        """A line per part, in GiB."""
        parts = {**asdict(self), "total": self.total}
        return [f"{name:12s} {value / GIB:7.2f} GiB" for name, value in parts.items()]


def plan_memory(
    config: TrainConfig, network: Mapping[str, Any], latents: PictureSize, text_length: int, frames: int = MAX_WINDOW
) -> MemoryPlan:
    """Predict a step on a GPU, for windows of `frames` frames of latents of this size, on one process.

    `network` is the config of a VideoUNet.
    """
    twin = meta_copy(config, network)
    trained = [parameter for parameter in twin.parameters() if parameter.requires_grad]
    learnt = sum(parameter.numel() for parameter in trained)
    weights = sum(p.numel() * p.element_size() for p in twin.parameters())
    step = step_bytes(twin, config, latents, text_length, frames)
    moments = 8 if config.optimizer == "adamw" else 2
    return MemoryPlan(
        weights=weights,
        optimizer=learnt * (moments + 2 * splits_weights(config)),
        ema=4 * learnt if config.ema_device == "training" else 0,
        gradients=step.peak_gradients,
        activations=step.peak_kept,
        workspace=step.peak - step.peak_kept - step.peak_gradients,
    )


def cap_memory(device: torch.device, vram_gib: float) -> None:
    """Make the allocator refuse more than `vram_gib` on a CUDA device. Nothing to do on the CPU.

    Raises DeviceError if the card has less than that.
    """
    if device.type != "cuda":
        return
    total = torch.cuda.get_device_properties(device).total_memory / GIB
    # A card that is sold with 24 GB has a few hundred MiB less.
    if total < 0.95 * vram_gib:
        raise DeviceError(
            f"Setting 'vram_gib' is {vram_gib:g} and this GPU has {total:.1f} GiB: lower the setting to what it has."
        )
    torch.cuda.set_per_process_memory_fraction(min(1.0, vram_gib / total), device)


def explain_out_of_memory(config: TrainConfig, plan: MemoryPlan) -> str:
    """What takes the memory by the plan, and what each setting that can be changed would free."""
    part = config.batch // config.accumulate
    advice = []
    if part > 1:
        freed = plan.activations * (1 - 1 / part) / GIB
        advice.append(f"accumulate={config.batch} frees about {freed:.1f} GiB")
    if config.mixed_precision == "no":
        advice.append(f"mixed_precision='bf16' frees about {plan.activations / 2 / GIB:.1f} GiB")
    if config.train == "all":
        advice.append("train='new' frees the 2-D layers' gradients, moments and averages")
    if config.optimizer == "adamw":
        advice.append(f"optimizer='adamw8bit' frees about {plan.optimizer * 0.75 / GIB:.1f} GiB")
    if plan.ema:
        advice.append(f"ema_device='cpu' frees {plan.ema / GIB:.1f} GiB")
    parts = ", ".join(f"{name} {value / GIB:.1f}" for name, value in asdict(plan).items())
    return (
        f"The GPU's memory is not enough under vram_gib={config.vram_gib:g}: a step is predicted to take "
        f"{plan.total / GIB:.1f} GiB ({parts}). {'; '.join(advice) or 'Use a smaller network'}."
    )

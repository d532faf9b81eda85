"""GPU memory: predicted by part before a run, capped while it goes, explained when it was not enough.

The prediction needs no GPU: the network runs on fake tensors, which have shapes and no bytes, and what autograd
keeps for the backward pass is added up.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks

from model.conditioning import FrameConditioning
from model.config import TrainConfig
from model.diffusion import alphas_cumprod
from model.errors import DeviceError
from model.initial import configure_parameters
from model.plan import MAX_WINDOW
from model.stages import Window
from model.unet import VideoUNet

GIB = 2**30


@dataclass(frozen=True)
class MemoryPlan:
    """Predicted bytes in the allocator at the peak of a training step, by part."""

    weights: int
    gradients: int
    optimizer: int
    ema: int
    activations: int
    """What the backward pass needs kept."""
    workspace: int
    """The outputs and gradients of the largest layer beside them."""

    @property
    def total(self) -> int:
        """Bytes in all."""
        return sum(asdict(self).values())

    def lines(self) -> list[str]:
        """A line per part, in GiB."""
        parts = {**asdict(self), "total": self.total}
        return [f"{name:12s} {value / GIB:7.2f} GiB" for name, value in parts.items()]


def plan_memory(
    config: TrainConfig, network: Mapping[str, Any], side: int, text_length: int, frames: int = MAX_WINDOW
) -> MemoryPlan:
    """Predict a step on a GPU, for windows of `frames` frames of `side` x `side` latents, on one process.

    `network` is the config of a VideoUNet. LoRA's factors, about 1 % of the weights, are left out.
    """
    with torch.device("meta"):
        twin = VideoUNet.from_config(dict(network))
    plain = config.model_copy(update={"train": "new"}) if config.train == "lora" else config
    trained = configure_parameters(twin, plain, torch.device("cuda"))
    weights = sum(p.numel() * p.element_size() for p in twin.parameters())
    learnt = sum(p.numel() for p in trained.values())
    kept, largest = _activations(twin, config, side, text_length, frames)
    return MemoryPlan(
        weights=weights,
        gradients=4 * learnt,
        optimizer=learnt * (8 if config.optimizer == "adamw" else 2),
        ema=4 * learnt,
        activations=kept,
        workspace=3 * largest,
    )


def _activations(twin: VideoUNet, config: TrainConfig, side: int, text_length: int, frames: int) -> tuple[int, int]:
    """Bytes that autograd keeps for one accumulated part, and of the largest tensor among them."""
    batch, channels = config.batch // config.accumulate, twin.latent_channels
    kept: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage
        return tensor

    half = {"no": None, "bf16": torch.bfloat16, "fp16": torch.float16}[config.mixed_precision]
    window = Window((0,), tuple(range(1, frames)), 0)
    alphas_cumprod(torch.device("cpu"))  # cached: made here for the first time it would stay a fake one
    with FakeTensorMode(allow_non_fake_inputs=True):
        _make_fake(twin)
        own = {parameter.untyped_storage()._cdata for parameter in twin.parameters()}
        cond = FrameConditioning.of([window] * batch, torch.zeros(batch, frames))
        sample = torch.zeros(batch, frames, 2 * channels + 1, side, side)
        text = torch.zeros(batch, text_length, twin.unet.config.cross_attention_dim)
        timestep = torch.zeros(batch, dtype=torch.long)
        autocast = torch.autocast("cpu", dtype=half) if half else nullcontext()
        with autocast, saved_tensors_hooks(pack, lambda tensor: tensor):
            out = twin.train()(sample, timestep, text, cond)
        sizes = [storage.nbytes() for place, storage in kept.items() if place not in own]
        del out
    return sum(sizes), max(sizes, default=0)


def _make_fake(twin: VideoUNet) -> None:
    """Replace `meta` parameters and buffers by fake ones on the CPU: kernels choose by device."""
    for module in twin.modules():
        for name, parameter in module.named_parameters(recurse=False):
            fake = torch.empty(parameter.shape, dtype=parameter.dtype)
            setattr(module, name, torch.nn.Parameter(fake, requires_grad=parameter.requires_grad))
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, torch.empty(buffer.shape, dtype=buffer.dtype))


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
    parts = ", ".join(f"{name} {value / GIB:.1f}" for name, value in asdict(plan).items())
    return (
        f"The GPU's memory is not enough under vram_gib={config.vram_gib:g}: a step is predicted to take "
        f"{plan.total / GIB:.1f} GiB ({parts}). {'; '.join(advice) or 'Use a smaller network'}."
    )

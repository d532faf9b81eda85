"""What a training step allocates, without a GPU and without the bytes: on fake tensors, which have shapes alone.

Counted is what torch allocates and when it lets go of it. What a GPU's kernels take for themselves (workspaces of
cuDNN, the rounding and the gaps of the allocator, the CUDA context) cannot be known here. torch's own MemTracker (2.13)
finds the same peaks, but refuses networks with frozen weights and does not tell what is kept for the backward pass.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from model.config import TrainConfig
from model.network.conditioning import FrameConditioning
from model.network.diffusion import alphas_cumprod
from model.network.unet import VideoUNet
from model.plans.stages import Window
from model.runs.init_weights import compute_dtype, configure_parameters, splits_weights
from pipeline.picture_size import PictureSize


@dataclass(frozen=True)
class StepBytes:
    """What a forward and a backward pass allocate, beside the weights."""

    kept: int
    """By the forward pass for the backward pass."""
    peak: int
    peak_gradients: int
    """Of `peak`."""
    peak_kept: int
    """Of `peak`, and of `kept`."""


def meta_copy(config: TrainConfig, network: Mapping[str, Any]) -> VideoUNet:
    """The network as it is while it trains on a GPU, without its bytes."""
    with torch.device("meta"):
        twin = VideoUNet.from_config(dict(network))
        trained = configure_parameters(twin, config, torch.device("cuda"))
    if splits_weights(config):
        for parameter in trained.values():
            parameter.data = parameter.data.to(torch.bfloat16)
    return twin


def step_bytes(twin: VideoUNet, config: TrainConfig, latents: PictureSize, text_length: int, frames: int) -> StepBytes:
    """Run one accumulated part of a step on fake tensors and measure it."""
    batch, channels = config.batch // config.accumulate, twin.latent_channels
    window = Window((0,), tuple(range(1, frames)), 0)
    alphas_cumprod(torch.device("cpu"))  # cached: made here for the first time it would stay a fake one
    with FakeTensorMode(allow_non_fake_inputs=True):
        _make_fake(twin)
        cond = FrameConditioning.of([window] * batch, torch.zeros(batch, frames))
        sample = torch.zeros(batch, frames, 2 * channels + 1, latents.height, latents.width)
        text = torch.zeros(batch, text_length, twin.unet.config.cross_attention_dim)
        timestep = torch.zeros(batch, dtype=torch.long)
        half = compute_dtype(config)
        autocast = torch.autocast("cpu", dtype=half) if half != torch.float32 else nullcontext()
        with _LiveBytes(twin) as live:
            with autocast, saved_tensors_hooks(live.keep, lambda tensor: tensor):
                loss = twin.train()(sample, timestep, text, cond).float().square().mean()
            kept = live.kept_now
            loss.backward()
    return StepBytes(kept, live.peak, *live.at_peak)


class _LiveBytes(TorchDispatchMode):
    """Counts the bytes of all tensors that were made within it and are still there."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.now = self.peak = self.kept_now = self.gradients_now = 0
        self.at_peak = (0, 0)
        self._sizes: dict[int, int] = {}
        self._kept: set[int] = set()
        self._own = {parameter.untyped_storage()._cdata for parameter in network.parameters()}
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.register_post_accumulate_grad_hook(self._gradient)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for value in tree_iter(out):
            if isinstance(value, torch.Tensor):
                self._made(value.untyped_storage())
        if self.now > self.peak:
            self.peak, self.at_peak = self.now, (self.gradients_now, self.kept_now)
        return out

    def _made(self, storage: torch.UntypedStorage) -> None:
        place = storage._cdata
        if place not in self._sizes and place not in self._own:
            self._sizes[place] = storage.nbytes()
            self.now += storage.nbytes()
            weakref.finalize(storage, self._gone, place)

    def _gone(self, place: int) -> None:
        size = self._sizes.pop(place)
        self.now -= size
        if place in self._kept:
            self._kept.remove(place)
            self.kept_now -= size

    def keep(self, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor is kept for the backward pass."""
        place = tensor.untyped_storage()._cdata
        if place in self._sizes and place not in self._kept:
            self._kept.add(place)
            self.kept_now += self._sizes[place]
        return tensor

    def _gradient(self, parameter: torch.Tensor) -> None:
        assert parameter.grad is not None
        self.gradients_now += parameter.grad.untyped_storage().nbytes()


def _make_fake(twin: VideoUNet) -> None:
    """Replace `meta` parameters and buffers by fake ones on the CPU: kernels choose by device."""
    for module in twin.modules():
        for name, parameter in module.named_parameters(recurse=False):
            fake = torch.empty(parameter.shape, dtype=parameter.dtype)
            setattr(module, name, torch.nn.Parameter(fake, requires_grad=parameter.requires_grad))
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, torch.empty(buffer.shape, dtype=buffer.dtype))

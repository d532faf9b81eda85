"""Forward and backward of the inflated network against diffusers' UNetMotionModel of the same widths and frames.

python -m bench.inflate                          tiny widths, CPU
python -m bench.inflate --size sd15 --device cuda --frames 9 --latents 64
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import click
import torch
from diffusers import UNetMotionModel

from model.network.conditioning import FrameConditioning
from model.network.unet import VideoUNet
from model.plans.stages import Window

WIDTHS: dict[str, dict[str, Any]] = {
    "tiny": {"block_out_channels": (32, 64, 128), "layers_per_block": 1, "cross_attention_dim": 32},
    "sd15": {"block_out_channels": (320, 640, 1280, 1280), "layers_per_block": 2, "cross_attention_dim": 768},
}


def shape_of(size: str) -> dict[str, Any]:
    """The 2-D network's arguments, the same for both: transformers at every level but the last."""
    levels = len(WIDTHS[size]["block_out_channels"])
    return {
        **WIDTHS[size],
        "in_channels": 9,
        "out_channels": 4,
        "down_block_types": ("CrossAttnDownBlock2D",) * (levels - 1) + ("DownBlock2D",),
        "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * (levels - 1),
        "norm_num_groups": 32,
    }


def inflated(size: str, batch: int, frames: int, latents: int, device: torch.device) -> Callable[[], torch.Tensor]:
    """A call of our network that gives its output."""
    network = VideoUNet(unet2d={**shape_of(size), "attention_head_dim": 8}).to(device)
    window = Window((0,), tuple(range(1, frames)), first=0)
    cond = FrameConditioning.of([window] * batch, torch.zeros(batch, frames, device=device))
    sample = torch.randn(batch, frames, 9, latents, latents, device=device)
    text = torch.randn(batch, 77, WIDTHS[size]["cross_attention_dim"], device=device)
    timestep = torch.full((batch,), 500, device=device)
    describe("inflated", network)
    return lambda: network(sample, timestep, text, cond)


def motion(size: str, batch: int, frames: int, latents: int, device: torch.device) -> Callable[[], torch.Tensor]:
    """A call of diffusers' network that gives its output."""
    shape = shape_of(size)
    for blocks in ("down_block_types", "up_block_types"):
        shape[blocks] = tuple(name.replace("2D", "Motion") for name in shape[blocks])
    network = UNetMotionModel(
        **shape,
        num_attention_heads=8,
        motion_num_attention_heads=8,
        motion_max_seq_length=32,
        use_motion_mid_block=True,
    ).to(device)
    sample = torch.randn(batch, 9, frames, latents, latents, device=device)
    text = torch.randn(batch * frames, 77, WIDTHS[size]["cross_attention_dim"], device=device)
    describe("UNetMotionModel", network)
    return lambda: network(sample, 500, text).sample


def describe(name: str, network: torch.nn.Module) -> None:
    """Print the size."""
    click.echo(f"{name:16} {sum(p.numel() for p in network.parameters()) / 1e6:8.2f} M parameters")


def seconds(call: Callable[[], torch.Tensor], device: torch.device, dtype: torch.dtype) -> float:
    """One forward and backward pass."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
        loss = call().float().square().mean()
    loss.backward()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


@click.command(help=__doc__)
@click.option("--size", type=click.Choice(sorted(WIDTHS)), default="tiny")
@click.option("--device", default="cpu")
@click.option("--batch", default=2)
@click.option("--frames", default=7)
@click.option("--latents", default=16, help="height and width of the latents")
@click.option("--repeats", default=5)
@click.option("--bf16", is_flag=True, help="under autocast to bfloat16")
def main(size: str, device: str, batch: int, frames: int, latents: int, repeats: int, bf16: bool) -> None:
    where, dtype = torch.device(device), torch.bfloat16 if bf16 else torch.float32
    ours = inflated(size, batch, frames, latents, where)
    theirs = motion(size, batch, frames, latents, where)
    for call in (ours, theirs):
        seconds(call, where, dtype)
    # In turn, so that what else the machine does falls on both.
    pairs = [(seconds(ours, where, dtype), seconds(theirs, where, dtype)) for _ in range(repeats)]
    mine, other = (statistics.median(column) for column in zip(*pairs))
    ratio = statistics.median(a / b for a, b in pairs)
    click.echo(f"{batch} x {frames} frames of {latents}x{latents} latents, {dtype}, {where}")
    click.echo(f"inflated {mine:.3f} s, UNetMotionModel {other:.3f} s, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()

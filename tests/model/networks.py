"""Small networks and windows for the tests of the model."""

from __future__ import annotations

import torch
from diffusers import UNet2DConditionModel

from model.conditioning import FrameConditioning
from model.stages import Window

WINDOWS = [Window((0, 1, 2, 6), (10, 14, 18), first=0), Window((7, 11, 15), (8, 9, 12, 14), first=None)]


def unet2d(in_channels: int, out_channels: int = 4) -> UNet2DConditionModel:
    """A tiny SD-like network, 4 latent channels."""
    torch.manual_seed(0)
    return UNet2DConditionModel(
        in_channels=in_channels,
        out_channels=out_channels,
        block_out_channels=(16, 32),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        attention_head_dim=2,
        norm_num_groups=4,
        cross_attention_dim=8,
    ).eval()


def inputs(
    latent_channels: int = 4, seed: int = 1
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, FrameConditioning]:
    """sample, timestep, text and conditioning of WINDOWS at 8x8 latents."""
    generator = torch.Generator().manual_seed(seed)
    sample = torch.randn(2, 7, 2 * latent_channels + 1, 8, 8, generator=generator)
    text = torch.randn(2, 3, 8, generator=generator)
    cond = FrameConditioning.of(WINDOWS, torch.rand(2, 7, generator=generator))
    return sample, torch.tensor([20, 900]), text, cond

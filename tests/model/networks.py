"""Small networks and windows for the tests of the model."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from model.network.conditioning import FrameConditioning
from model.plans.stages import Window

WINDOWS = [Window((0, 1, 2, 6), (10, 14, 18), first=0), Window((7, 11, 15), (8, 9, 12, 14), first=None)]


def unet2d(in_channels: int, out_channels: int = 4, text_channels: int = 8) -> UNet2DConditionModel:
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
        cross_attention_dim=text_channels,
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


def save_clip(folder: Path, width: int = 16, tokens: int = 12) -> None:
    """A small CLIP text encoder with random weights, and its tokenizer, in diffusers' layout."""
    (folder / "tokenizer").mkdir(parents=True)
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "tokenizer" / "vocab.json").write_text(json.dumps({word: n for n, word in enumerate(words)}))
    (folder / "tokenizer" / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer" / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer"}))
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=tokens,
        bos_token_id=52,
        eos_token_id=53,
    )
    CLIPTextModel(config).save_pretrained(folder / "text_encoder")


def save_stable_diffusion(folder: Path, in_channels: int) -> None:
    """A checkpoint in the layout of Stable Diffusion 1.5 (4 channels) or its inpaint variant (9), but tiny."""
    save_clip(folder)
    unet2d(in_channels, text_channels=16).save_pretrained(folder / "unet")
    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=(4, 4, 4),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        norm_num_groups=2,
    )
    vae.save_pretrained(folder / "vae")

"""Rollouts at Stable Diffusion 1.5's size with random weights: `bench/rollout.py --gpu`."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from bench.clock import Clock
from model.data.codec import Codec, KLCodec, fit_patch_codec
from model.network.unet import VideoUNet
from model.plans.plan import make_plan
from model.plans.stages import WITHOUT_POSE
from model.rollout.config import SamplingConfig
from model.rollout.rollout import Rollout, RolloutModels
from model.sampling.guidance import TextPair
from model.training.memory import GIB, cap_memory
from pipeline.picture_size import PictureSize

LIMIT_GIB, STEPS = 12.0, 30


def roll_random_weights(device: torch.device, preset: str, frames: int) -> bool:
    """Random weights of the preset's size: seconds a frame and peak memory for each plan, under the cap."""
    cap_memory(device, LIMIT_GIB)
    on_gpu = device.type == "cuda"
    holds = True
    with tempfile.TemporaryDirectory() as scratch:
        codec = _codec(Path(scratch), preset, device)
        width, tokens = (768, 77) if preset == "sd15" else (32, 1)
        network = VideoUNet.from_preset(preset, latent_channels=codec.channels, text_channels=width).eval()
        network.channels_last = True
        for parameter in network.image_parameters().values():
            parameter.data = parameter.data.to(torch.bfloat16 if on_gpu else torch.float32)
        network.to(device)
        prediction = network.config.prediction_type
        text = torch.zeros(1, tokens, width, device=device)
        cast = RolloutModels(
            lambda stage: (network, prediction), codec, TextPair(text, text), lambda stage: "random", device
        )
        shape = (codec.picture.height, codec.picture.width, 3)
        picture = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
        for plan in WITHOUT_POSE:
            folder = Path(scratch) / plan
            sampling = SamplingConfig(steps=STEPS if on_gpu else 2)
            rollout = Rollout(folder, make_plan(plan, frames), frames, cast, sampling)
            if on_gpu:
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            clock, started = Clock(), time.perf_counter()
            with clock.watching(codec):
                rollout.run(picture, folder / "video.mp4")
            seconds = time.perf_counter() - started
            peak = torch.cuda.max_memory_reserved() / GIB if on_gpu else None
            holds &= peak is None or peak <= LIMIT_GIB
            shown = "no allocator" if peak is None else f"{peak:.2f} GiB (at most {LIMIT_GIB:g})"
            ratio = seconds / (clock.network + clock.decoding)
            print(f"{plan}: {seconds / frames:.3f} s a frame, peak {shown}, {ratio:.3f} times network and decoding")
    return holds


def _codec(scratch: Path, preset: str, device: torch.device) -> Codec:
    """Stable Diffusion 1.5's autoencoder with random weights, or the embedded codec at the tiny size."""
    if preset != "sd15":
        frames = np.random.default_rng(0).integers(0, 255, (8, 64, 64, 3)).astype(np.uint8)
        return fit_patch_codec(frames, 4, 16)
    from diffusers import AutoencoderKL

    levels = (128, 256, 512, 512)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=levels, layers_per_block=2, latent_channels=4, scaling_factor=0.18215,
    )  # fmt: skip
    vae.save_pretrained(scratch / "vae")
    return KLCodec(str(scratch / "vae"), PictureSize(512, 512), str(device))

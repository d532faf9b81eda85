"""The fixed examination of a network: the same windows, timesteps and noise every time, per log-SNR bin."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch

from model.config import TrainConfig
from model.data.dataset import DataIndex, LatentReader
from model.data.poses import PoseReader
from model.network.conditioning import PoseConditioning
from model.network.diffusion import PredictionType, log_snr
from model.network.objective import Draws, Network, Objective, draw
from model.plans.stages import Window, draw_window
from model.sampling.guidance import Scales, TextPair
from model.sampling.sample_window import CallNoise, CallSettings, make_window
from model.seeding import numpy_generator, torch_generator

BINS = 8
"""Parts of equal probability of the training timesteps, so also of log-SNR, which falls with them."""
_BANK_SEED = 0

TextOf = Callable[[str], torch.Tensor]


@dataclass(frozen=True)
class BankWindow:
    """One window of the hold-out, with its latents (F, C, H, W), float32."""

    sample: int
    window: Window
    latents: torch.Tensor
    prompt: str
    counted: torch.Tensor | None = None
    """Which latents count (F, H, W); None: all."""
    pose: PoseConditioning | None = None
    """Of a network that is told poses."""


def bin_timesteps() -> torch.Tensor:
    """The middle timestep of each bin (BINS,), from little noise to much."""
    width = 1000 // BINS
    return torch.arange(BINS) * width + width // 2


def bin_log_snr() -> list[float]:
    """The log-SNR at each bin's middle timestep."""
    return [float(value) for value in log_snr(bin_timesteps())]


def bank_windows(
    index: DataIndex,
    stage: str,
    count: int,
    plans: tuple[str, ...] | None = None,
    poses: PoseReader | None = None,
) -> list[BankWindow]:
    """`count` windows, the same for every run on these samples: spread evenly over them, none preferred."""
    reader, chosen = LatentReader(index), []
    order = numpy_generator(_BANK_SEED, "validation-order", 0).permutation(len(index.samples))
    for number in range(count):
        sample = int(order[number % len(order)])
        entry = index.samples[sample]
        window = draw_window(
            stage, seed=_BANK_SEED, position=number, group=number, clip_frames=entry.frames, plans=plans
        )
        latents = torch.from_numpy(reader.read(sample, window.frames)).float()
        mask = reader.counted(sample, window.frames)
        counted = None if mask is None else torch.from_numpy(mask)
        pose = poses.read(reader, number, sample, window, latents) if poses else None
        chosen.append(BankWindow(sample, window, latents, entry.prompt, counted, pose))
    return chosen


@torch.no_grad()
def validation_losses(
    network: Network, objective: Objective, bank: Iterable[BankWindow], text_of: TextOf, device: torch.device
) -> np.ndarray:
    """The loss of each window in each bin, (windows, BINS), under the bank's noise."""
    rows = []
    timesteps = bin_timesteps().to(device)
    for number, item in enumerate(bank):
        frames, shape = len(item.window.frames), tuple(item.latents.shape[1:])
        positions = [number * BINS + k for k in range(BINS)]
        drawn = draw(_BANK_SEED, "validation", positions, shape, frames).to(device)
        draws = Draws(timesteps, drawn.noise_BFCHW, drawn.hint_level_BF, drawn.hint_noise_BFCHW)
        latents = item.latents.to(device).expand(BINS, -1, -1, -1, -1)
        text = text_of(item.prompt).to(device).expand(BINS, -1, -1)
        counted = None if item.counted is None else item.counted.to(device).expand(BINS, -1, -1, -1)
        windows, pose = [item.window] * BINS, item.pose.expand(BINS) if item.pose else None
        done = objective.denoise(network, latents, windows, draws, text, counted_BFHW=counted, pose=pose)
        rows.append(done.losses().cpu().numpy())
    return np.array(rows)


def window_sampling(config: TrainConfig) -> CallSettings:
    """How a run samples the windows that it shows."""
    return CallSettings("ddim", config.sample_steps, config.sample_temperature, 0.0, Scales())


@torch.no_grad()
def sample_window(
    network: Network,
    prediction: PredictionType,
    item: BankWindow,
    text_of: TextOf,
    settings: CallSettings,
    device: torch.device,
    position: int = 0,
) -> torch.Tensor:
    """Generate a window's targets from its clean hints; returns all its latents (F, C, H, W) on the CPU."""
    start = torch.randn(item.latents.shape, generator=torch_generator(_BANK_SEED, "sample", position))
    hints = {frame: item.latents[item.window.frames.index(frame)] for frame in item.window.hints}
    noise, text = CallNoise(start, torch.zeros_like(start)), text_of(item.prompt)[None].to(device)
    both = TextPair(text, text)
    return make_window(network, prediction, item.window, hints, frozenset(), noise, both, settings, device, item.pose)

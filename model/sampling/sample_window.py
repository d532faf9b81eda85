"""One call of a plan, carried out: what is known of its window goes in, all of its latents come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from model.network.conditioning import PoseConditioning
from model.network.diffusion import PredictionType
from model.network.objective import Network
from model.plans.stages import Window
from model.sampling.guidance import Denoiser, Scales, TextPair
from model.sampling.samplers import sample
from model.seeding import torch_generator


@dataclass(frozen=True)
class CallSettings:
    """How a call is sampled."""

    sampler: str
    steps: int
    temperature: float
    """Scale of the noise that sampling starts from (Kingma & Dhariwal 2018, section 6, for diffusion)."""
    hint_noise: float
    """sigma/alpha of the noise on hints that were generated."""
    scales: Scales


@dataclass(frozen=True)
class CallNoise:
    """The noise that sampling starts from, and that on hints; each (F, C, H, W)."""

    start_FCHW: Tensor  # noqa: N815
    hints_FCHW: Tensor  # noqa: N815

    @classmethod
    def of(cls, seed: int, purpose: str, number: int, window: Window, shape: tuple[int, ...]) -> CallNoise:
        """By (seed, purpose, frame), and for hints by the call's number, too: a hint's noise differs by call."""

        def draw(name: str) -> Tensor:
            return torch.stack([torch.randn(shape, generator=torch_generator(seed, name, f)) for f in window.frames])

        return cls(draw(purpose), draw(f"{purpose}/hints/{number}"))


@torch.inference_mode()
def make_window(
    network: Network,
    prediction: PredictionType,
    window: Window,
    known: Mapping[int, Tensor],
    generated: frozenset[int],
    noise: CallNoise,
    text: TextPair,
    settings: CallSettings,
    device: torch.device,
    pose: PoseConditioning | None = None,
) -> Tensor:
    """The window's latents (F, C, H, W), float32, on the CPU.

    known: latents (C, H, W) of all hints and of targets that are kept. generated: frames that a network made; of
    the hints they alone get noise. pose: the dancer's in each frame, where the network is told.
    """
    level_F = [settings.hint_noise if f in window.hints and f in generated else 0.0 for f in window.frames]
    is_known_F = torch.tensor([frame in known for frame in window.frames])
    nothing = torch.zeros(noise.start_FCHW.shape[1:])
    latents_FCHW = torch.stack([known.get(frame, nothing) for frame in window.frames])
    latents, start, on_hints = (x[None].to(device) for x in (latents_FCHW, noise.start_FCHW, noise.hints_FCHW))
    level = torch.tensor([level_F], device=device)
    start = settings.temperature * start
    denoiser = Denoiser(network, prediction, window, latents, level, on_hints, text, settings.scales, pose)
    made = sample(denoiser, start, latents, is_known_F[None].to(device), sampler=settings.sampler, steps=settings.steps)
    return made[0].cpu()

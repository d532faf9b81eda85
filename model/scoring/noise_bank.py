"""The bank: fixed (timestep, noise) pairs, the same for every sample and every model that is compared.

Raw diffusion loss is mostly the luck of the draw. Here pair j of a bank lies in log-SNR bin j mod bins, and both
its members, k = 2j and 2j + 1, share timestep and window and have opposite noise (antithetic variates). A bank has
no end: the first 8 of 16 pairs are the 8 of a bank that stops there, so that more can be added where it matters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from model.network.diffusion import log_snr
from model.network.objective import Draws
from model.plans.stages import CLIP_FRAMES, Window, draw_window
from model.scoring.policy import BankConfig
from model.seeding import torch_generator

TIMESTEPS = 1000
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Bank:
    """A bank for one stage. Everything is a pure function of (config, k, frame)."""

    config: BankConfig
    stage: str

    @property
    def id(self) -> str:
        """Names the bank; K is not part of it."""
        return self.config.hash[:16]

    def bin(self, k: int) -> int:
        """The log-SNR bin of loss k, 0 the one of least noise."""
        return (k // 2) % self.config.bins

    def timestep(self, k: int) -> int:
        """The middle of its bin in the first round, then an even spread (the golden ratio's sequence)."""
        inside = (0.5 + (k // 2 // self.config.bins) * _GOLDEN) % 1
        return int((self.bin(k) + inside) * TIMESTEPS / self.config.bins)

    def log_snr(self, k: int) -> float:
        """The log-SNR of loss k."""
        return float(log_snr(torch.tensor([self.timestep(k)]))[0])

    def window_number(self, k: int) -> int:
        """Which of the windows: turned by one with each round over the bins, so that bins meet all windows."""
        pair = k // 2
        return (pair + pair // self.config.bins) % self.config.windows

    def window(self, k: int, clip_frames: int = CLIP_FRAMES) -> Window:
        """The window of loss k: a call of the plan, the same in every clip of that length. Raises PlanError."""
        number, config = self.window_number(k), self.config
        return draw_window(
            self.stage, seed=config.seed, position=number, group=number, clip_frames=clip_frames, plans=(config.plan,)
        )

    def draws(self, ks: Sequence[int], windows: Sequence[Window], shape: Sequence[int]) -> Draws:
        """Timesteps, noise and hint noise of losses `ks` in their windows, for latents of (C, H, W)."""
        noise = [self._noise("noise", k, window.frames, shape) for k, window in zip(ks, windows)]
        hints = [self._noise("hint-noise", k, window.frames, shape) for k, window in zip(ks, windows)]
        levels = [self._levels(k, window.frames) for k, window in zip(ks, windows)]
        timesteps = torch.tensor([self.timestep(k) for k in ks])
        return Draws(timesteps, torch.stack(noise), torch.stack(levels), torch.stack(hints))

    def _noise(self, purpose: str, k: int, frames: Sequence[int], shape: Sequence[int]) -> torch.Tensor:
        pair = [torch.randn(*shape, generator=self._generator(purpose, k, frame)) for frame in frames]
        return torch.stack(pair) * (-1 if k % 2 else 1)

    def _levels(self, k: int, frames: Sequence[int]) -> torch.Tensor:
        return torch.stack([torch.rand((), generator=self._generator("hint-level", k, frame)) for frame in frames])

    def _generator(self, purpose: str, k: int, frame: int) -> torch.Generator:
        return torch_generator(self.config.seed, f"bank/{purpose}/{k // 2}", frame)

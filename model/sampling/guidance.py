"""One network call's denoiser: hints with their noise, and guidance over hints and over text."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from model.network.conditioning import (
    FrameConditioning,
    PoseConditioning,
    nearest_hint,
    network_input,
    noise_hints,
    noise_warped,
)
from model.network.diffusion import PredictionType, predicted_latents
from model.network.objective import Network
from model.plans.stages import Window


@dataclass(frozen=True)
class Scales:
    """Guidance scales; 1 switches one off, and its network call is left out."""

    hints: float = 1.0
    text: float = 1.0


@dataclass(frozen=True)
class TextPair:
    """Embeddings (1, L, D) of the prompt and of what text guidance leads away from."""

    prompt: Tensor
    negative: Tensor


class Denoiser:
    """x_t to x_0 of one window (batch of 1), by one network.

    hints: (1, F, C, H, W), read on the window's hint frames. level: sigma/alpha of the noise that is put on each
    frame's hint, (1, F), 0 where it stays clean. hint_noise: the noise itself, as `hints`. pose: of a window of 1.
    """

    def __init__(
        self,
        network: Network,
        prediction: PredictionType,
        window: Window,
        hints: Tensor,
        level: Tensor,
        hint_noise: Tensor,
        text: TextPair,
        scales: Scales,
        pose: PoseConditioning | None = None,
    ) -> None:
        self._network, self._prediction, self._text, self._scales = network, prediction, text, scales
        self._hints = noise_hints(hints, hint_noise, level)
        cond = noise_warped(FrameConditioning.of([window], level, pose), hint_noise, level)
        self._with_hints, self._no_hints = (
            (one, nearest_hint(self._hints, one)) for one in (cond, cond.without_hints(torch.ones(1, dtype=torch.bool)))
        )

    def __call__(self, noisy: Tensor, timestep: int) -> Tensor:
        """x_0, with guidance over hints and over text, each about the prediction with both:

        x = x(h, t) + (w_h - 1) (x(h, t) - x(0, t)) + (w_t - 1) (x(h, t) - x(h, 0)), which for one of them is Ho &
        Salimans 2022, eq. 6. Guidance is linear, so it is the same over x_0 as over epsilon.
        """
        full = self._predict(noisy, timestep, *self._with_hints, self._text.prompt)
        guided = full
        if self._scales.hints != 1:
            no_hints = self._predict(noisy, timestep, *self._no_hints, self._text.prompt)
            guided = guided + (self._scales.hints - 1) * (full - no_hints)
        if self._scales.text != 1:
            no_text = self._predict(noisy, timestep, *self._with_hints, self._text.negative)
            guided = guided + (self._scales.text - 1) * (full - no_text)
        return guided

    def _predict(self, noisy: Tensor, timestep: int, cond: FrameConditioning, nearest: Tensor, text: Tensor) -> Tensor:
        at = torch.tensor([timestep], device=noisy.device)
        output = self._network(network_input(noisy, self._hints, cond, nearest), at, text, cond)
        return predicted_latents(output.float(), noisy, at, self._prediction)

"""The training objective of one window: draws by position, the network's input, one loss per sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from model.config import TrainConfig
from model.network.conditioning import (
    FrameConditioning,
    HintNoise,
    PoseConditioning,
    get_hint_noise,
    network_input,
    noise_hints,
    noise_to_signal_of,
    noise_warped,
    warped_errors,
)
from model.network.diffusion import (
    LAST_TIMESTEP,
    PredictionType,
    add_noise,
    loss_per_sample,
    predicted_latents,
    prediction_target,
    shifted_timesteps,
)
from model.network.loss_weights import EVEN, LossWeights, noise_weights, place_weights
from model.plans.stages import Window, get_stage
from model.seeding import torch_generator


class Network(Protocol):
    """What the objective calls."""

    def __call__(self, sample: Tensor, timestep: Tensor, text: Tensor, cond: FrameConditioning) -> Tensor:
        """(B, F, 2C + 1, H, W), (B,), (B, L, D) to (B, F, C, H, W)."""


@dataclass(frozen=True)
class Draws:
    """Everything random about a batch of windows."""

    timestep_B: Tensor  # noqa: N815
    noise_BFCHW: Tensor  # noqa: N815
    hint_level_BF: Tensor  # noqa: N815
    """Uniform in [0, 1): where in its range each hint's noise level lies."""
    hint_noise_BFCHW: Tensor  # noqa: N815

    def shifted(self, shift: float) -> Draws:
        """The same with timesteps moved towards much noise; 1 changes nothing."""
        return replace(self, timestep_B=shifted_timesteps(self.timestep_B, shift))

    def to(self, device: torch.device) -> Draws:
        """The same on another device."""
        tensors = (self.timestep_B, self.noise_BFCHW, self.hint_level_BF, self.hint_noise_BFCHW)
        return Draws(*(tensor.to(device, non_blocking=True) for tensor in tensors))


def draw(seed: int, purpose: str, positions: Sequence[int], frame_shape: tuple[int, ...], frames: int) -> Draws:
    """The draws of windows of `frames` frames at these positions: made on the CPU, each from its own generator."""
    parts = []
    for position in positions:
        generator = torch_generator(seed, purpose, position)
        parts.append(
            (
                torch.randint(1000, (), generator=generator),
                torch.randn(frames, *frame_shape, generator=generator),
                torch.rand(frames, generator=generator),
                torch.randn(frames, *frame_shape, generator=generator),
            )
        )
    return Draws(*(torch.stack(part) for part in zip(*parts)))


def dropped_hints(seed: int, positions: Sequence[int], share: float) -> Tensor:
    """Which of these positions train without hints (B,), bool: a pure function of seed and position."""
    drawn = [torch.rand((), generator=torch_generator(seed, "hint-dropout", position)) for position in positions]
    return torch.stack(drawn) < share


@dataclass(frozen=True)
class Denoised:
    """What a network said of a batch of windows, and what it should have said."""

    objective: Objective
    said_BFCHW: Tensor  # noqa: N815
    noisy_BFCHW: Tensor  # noqa: N815
    target_BFCHW: Tensor  # noqa: N815
    """Latents where one step is taught, else what the network predicts."""
    latents_BFCHW: Tensor  # noqa: N815
    timestep_B: Tensor  # noqa: N815
    cond: FrameConditioning
    """As it is before hints are dropped."""
    counted_BFHW: Tensor | None  # noqa: N815

    def made(self) -> Tensor:
        """The latents that what it said stands for, (B, F, C, H, W), float32."""
        said, noisy = self.said_BFCHW.float(), self.noisy_BFCHW.float()
        return predicted_latents(said, noisy, self.timestep_B, self.objective.prediction)

    def losses(self, weights: LossWeights = EVEN) -> Tensor:
        """One per sample, (B,), float32."""
        places = None
        if weights.weighs_places:
            places = place_weights(weights, self.latents_BFCHW, self.cond, self.counted_BFHW)
        said = self.made() if self.objective.one_step else self.said_BFCHW
        loss_B = loss_per_sample(said, self.target_BFCHW, ~self.cond.given_BF, self.counted_BFHW, places)
        if weights.noise == "none":
            return loss_B
        return loss_B * noise_weights(weights.noise, self.timestep_B, self.objective.prediction)

    @torch.no_grad()
    def errors(self) -> Tensor:
        """How far the latents that it made in one step are from the true ones, (B, F, C, H, W)."""
        return self.made() - self.latents_BFCHW


@dataclass(frozen=True)
class Objective:
    """How a run trains: what the network predicts, how noisy its hints are, and where a sampler will be.

    one_step: the sampler's only step is the first, and it begins without noise: at the last timestep, from zeros.
        What is learnt is then a regression of the frames, and its loss the error of x_0 itself.
    """

    prediction: PredictionType
    hint_noise: HintNoise
    one_step: bool = False

    @classmethod
    def of(cls, config: TrainConfig, prediction: PredictionType) -> Objective:
        """That of a run."""
        noise = get_hint_noise(config.hint_noise or get_stage(config.stage).hint_noise)
        return cls(prediction, noise, config.one_step)

    def denoise(
        self,
        network: Network,
        latents_BFCHW: Tensor,
        windows: Sequence[Window],
        draws: Draws,
        text_BLD: Tensor,
        without_hints_B: Tensor | None = None,
        counted_BFHW: Tensor | None = None,
        pose: PoseConditioning | None = None,
        errors_BFCHW: Tensor | None = None,
    ) -> Denoised:
        """One pass of the network over windows that all have the same number of frames.

        Latents where `counted` is False weigh nothing. `pose` holds clean hints, moved to each frame's pose. Where
        `without_hints_B` is True the network is given no hint at all; the loss is still that of the targets. `errors`
        are added to the hints, and to what they show of each pose, before their noise.
        """
        level_BF = noise_to_signal_of(windows, self.hint_noise, draws.hint_level_BF)
        cond, given_BFCHW = FrameConditioning.of(windows, level_BF, pose), latents_BFCHW
        if errors_BFCHW is not None:
            cond, given_BFCHW = warped_errors(cond, errors_BFCHW), latents_BFCHW + errors_BFCHW
        told = cond = noise_warped(cond, draws.hint_noise_BFCHW, level_BF)
        if without_hints_B is not None:
            cond = cond.without_hints(without_hints_B)
        hints = noise_hints(given_BFCHW, draws.hint_noise_BFCHW, level_BF)
        noisy, target, timestep_B = self._asked(latents_BFCHW, draws)
        said = network(network_input(noisy, hints, cond), timestep_B, text_BLD, cond)
        return Denoised(self, said, noisy, target, latents_BFCHW, timestep_B, told, counted_BFHW)

    def _asked(self, latents_BFCHW: Tensor, draws: Draws) -> tuple[Tensor, Tensor, Tensor]:
        """Noisy latents, what is to be said of them, and their timesteps."""
        if self.one_step:
            nothing, last_B = torch.zeros_like(latents_BFCHW), torch.full_like(draws.timestep_B, LAST_TIMESTEP)
            return nothing, latents_BFCHW, last_B
        noise, timestep_B = draws.noise_BFCHW, draws.timestep_B
        noisy = add_noise(latents_BFCHW, noise, timestep_B)
        return noisy, prediction_target(latents_BFCHW, noise, timestep_B, self.prediction), timestep_B

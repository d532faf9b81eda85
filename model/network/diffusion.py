"""Stable Diffusion 1.5's noise schedule, its targets, and the loss: one number per sample.

x_t = alpha_t x_0 + sigma_t noise, variance preserving (alpha^2 + sigma^2 = 1); Ho et al. 2020, eq. 4.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

PredictionType = Literal["epsilon", "v_prediction"]

# scheduler/scheduler_config.json of Stable Diffusion 1.5; samplers are built from the same dict.
SCHEDULER_CONFIG: dict[str, object] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}


LAST_TIMESTEP = 999
"""At which samplers begin."""


@lru_cache(maxsize=8)
def alphas_cumprod(device: torch.device) -> Tensor:
    """alpha_t^2 for t = 0..999, float32, from diffusers' own scheduler."""
    from diffusers import DDIMScheduler  # seconds of import that those who only name a prediction do not need

    # Kept, and perhaps made first by a sampler: a tensor born in inference mode cannot be trained with.
    with torch.inference_mode(False), torch.device("cpu"):
        return DDIMScheduler.from_config(SCHEDULER_CONFIG).alphas_cumprod.to(device)


def alpha_sigma(timestep_B: Tensor) -> tuple[Tensor, Tensor]:
    """alpha_t and sigma_t, each (B, 1, 1, 1, 1), for integer timesteps (B,) in 0..999."""
    alpha2 = alphas_cumprod(timestep_B.device)[timestep_B].view(-1, 1, 1, 1, 1)
    return alpha2.sqrt(), (1 - alpha2).sqrt()


def log_snr(timestep_B: Tensor) -> Tensor:
    """log(alpha_t^2 / sigma_t^2), natural logarithm, (B,); Kingma et al. 2021, eq. 4."""
    return torch.logit(alphas_cumprod(timestep_B.device)[timestep_B])


def shifted_timesteps(timestep_B: Tensor, shift: float) -> Tensor:
    """Evenly drawn timesteps (B,) in 0..999, moved towards much noise: t to s t / (1 + (s - 1) t) for t in [0, 1].

    Esser et al. 2024, eq. 23, with s for their sqrt(m / n); 1 changes nothing.
    """
    if shift == 1:
        return timestep_B
    t = (timestep_B.double() + 0.5) / 1000
    return (1000 * shift * t / (1 + (shift - 1) * t)).long().clamp(0, 999)


def add_noise(latents_BFCHW: Tensor, noise_BFCHW: Tensor, timestep_B: Tensor) -> Tensor:
    """x_t of the latents, (B, F, C, H, W)."""
    alpha, sigma = alpha_sigma(timestep_B)
    return alpha * latents_BFCHW + sigma * noise_BFCHW


def prediction_target(
    latents_BFCHW: Tensor, noise_BFCHW: Tensor, timestep_B: Tensor, prediction_type: PredictionType
) -> Tensor:
    """What the network should say: the noise, or v = alpha noise - sigma x_0 (Salimans & Ho 2022, app. D)."""
    if prediction_type == "epsilon":
        return noise_BFCHW
    alpha, sigma = alpha_sigma(timestep_B)
    return alpha * noise_BFCHW - sigma * latents_BFCHW


def predicted_latents(
    prediction_BFCHW: Tensor, noisy_BFCHW: Tensor, timestep_B: Tensor, prediction_type: PredictionType
) -> Tensor:
    """The x_0 that a prediction at x_t stands for, (B, F, C, H, W)."""
    alpha, sigma = alpha_sigma(timestep_B)
    if prediction_type == "epsilon":
        return (noisy_BFCHW - sigma * prediction_BFCHW) / alpha
    return alpha * noisy_BFCHW - sigma * prediction_BFCHW


def loss_per_sample(
    prediction_BFCHW: Tensor,
    target_BFCHW: Tensor,
    is_target_BF: Tensor,
    counted_BFHW: Tensor | None = None,
    weight_BFHW: Tensor | None = None,
) -> Tensor:
    """Mean squared error over the frames that are targets and the latents of them that count: (B,), float32.

    Hints weigh nothing, and neither do latents where `counted` is False: whatever is said there, even what is no
    number, changes no bit and gets no gradient. A sample of which all latents count has the loss that it has without
    `counted`, bit for bit. Every sample needs at least one target frame with a latent that counts. `weight` multiplies
    the squared error of each place.
    """
    apart_BFCHW = prediction_BFCHW.float() - target_BFCHW.float()
    if counted_BFHW is not None:
        apart_BFCHW = torch.where(counted_BFHW[:, :, None], apart_BFCHW, torch.zeros_like(apart_BFCHW))
    error_BFCHW = apart_BFCHW.square()
    if weight_BFHW is not None:
        error_BFCHW = error_BFCHW * weight_BFHW[:, :, None]
    return mean_over_targets(error_BFCHW, is_target_BF, counted_BFHW)


def mean_over_targets(values_BFCHW: Tensor, is_target_BF: Tensor, counted_BFHW: Tensor | None = None) -> Tensor:
    """(B,) mean over the target frames of each frame's mean over what counts; values that do not count must be 0."""
    weight_BF, mean_BF = is_target_BF.to(values_BFCHW.dtype), values_BFCHW.flatten(2).mean(2)
    if counted_BFHW is not None:
        share_BF = counted_BFHW.flatten(2).float().mean(2)
        weight_BF = weight_BF * (share_BF > 0)
        mean_BF = mean_BF / share_BF.where(share_BF > 0, torch.ones_like(share_BF))
    return (mean_BF * weight_BF).sum(1) / weight_BF.sum(1)

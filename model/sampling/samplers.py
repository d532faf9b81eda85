"""diffusers' samplers around a function that says what the latents are: DDIM, DPM-Solver++, Euler.

The function returns x_0, and the scheduler is told so ("sample" prediction), whatever the network predicts. All
three end at a noise level of 0, where the sampler lies on the last x_0: that is what is returned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from model.network.diffusion import SCHEDULER_CONFIG

Denoise = Callable[[Tensor, int], Tensor]
"""(x_t with alpha^2 + sigma^2 = 1, timestep) to x_0, both (B, F, C, H, W), float32."""

# "trailing" begins at timestep 999, pure noise, as sampling does (Lin et al. 2024, table 2).
_SHARED = {
    **{name: SCHEDULER_CONFIG[name] for name in ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule")},
    "prediction_type": "sample",
    "timestep_spacing": "trailing",
}


def make_scheduler(name: str, steps: int) -> Any:
    """A diffusers scheduler that is ready to step: `ddim`, `dpm++` (Lu et al. 2022, second order) or `euler`."""
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler  # seconds of import

    scheduler: Any
    if name == "ddim":
        scheduler = DDIMScheduler(**_SHARED, clip_sample=False, set_alpha_to_one=True)
    elif name == "dpm++":
        scheduler = DPMSolverMultistepScheduler(
            **_SHARED, algorithm_type="dpmsolver++", solver_order=2, final_sigmas_type="zero"
        )
    else:
        scheduler = EulerDiscreteScheduler(**_SHARED)
    scheduler.set_timesteps(steps)
    return scheduler


@torch.no_grad()
def sample(
    denoise: Denoise, noise_BFCHW: Tensor, known_BFCHW: Tensor, is_known_BF: Tensor, *, sampler: str, steps: int
) -> Tensor:
    """Sample the frames that are not known, (B, F, C, H, W); known ones come back as they are.

    A known frame (a hint, or a frame of the call that is kept) takes its own place as x_0 at every step, so that
    at any time it lies in the current latents under as much noise as the others (the replacement of Song et al.
    2021, app. I.2): guidance without hints sees them so.
    """
    scheduler = make_scheduler(sampler, steps)
    known = is_known_BF[:, :, None, None, None]
    noised = scheduler.add_noise(known_BFCHW, noise_BFCHW, scheduler.timesteps[:1])
    current, latents = torch.where(known, noised, noise_BFCHW * scheduler.init_noise_sigma), known_BFCHW
    for timestep in scheduler.timesteps:
        noisy = scheduler.scale_model_input(current, timestep)
        latents = torch.where(known, known_BFCHW, denoise(noisy, int(timestep)))
        current = scheduler.step(latents, timestep, current).prev_sample
    return latents

"""The choreographer's loss, one number per window, and how a window is sampled: diffusion that says the clean poses.

Noise is mixed by angle: x = cos(a) clean + sin(a) noise, a from 0 to a right angle (Salimans & Ho 2022, appendix D);
the network is trained to say the clean poses (Tevet et al. 2022, "Human Motion Diffusion Model", section 3).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from model.choreography.network import Conditions
from model.choreography.windows import DanceBatch

RIGHT = math.pi / 2


def mixed(clean: Tensor, noise: Tensor, level: Tensor) -> Tensor:
    """Poses (B, K, C) with noise of a level (B,) from 0 (none) to 1 (nothing else)."""
    angle = (level * RIGHT)[:, None, None]
    return angle.cos() * clean + angle.sin() * noise


def losses(model: nn.Module, batch: DanceBatch, spread: Tensor, velocity_weight: float) -> Tensor:
    """(B,) mean squared error of the key poses that are made, and of their changes.

    spread: (C,) how far a unit of each component moves a body: what is hardly seen weighs little.
    """
    known = batch.given.known_BK[..., None]
    noisy = torch.where(known, batch.history_BKC, mixed(batch.clean_BKC, batch.noise_BKC, batch.level_B))
    said = model(noisy, batch.level_B, batch.given)
    weights = spread / spread.mean()
    error = (said - batch.clean_BKC) * (~known & batch.counted_BK[..., None])
    made = (~batch.given.known_BK & batch.counted_BK).sum(1).clamp(min=1)
    size = (error.square() * weights).mean(-1).sum(1) / made
    change = (error[:, 1:] - error[:, :-1]).square().mul(weights).mean(-1).sum(1) / made
    return torch.as_tensor(size + velocity_weight * change)


@torch.no_grad()
def sample_window(model: nn.Module, history_BKC: Tensor, given: Conditions, steps: int, noise: Tensor) -> Tensor:
    """Key poses (B, K, C) that go on from those that are known; ancestral sampling (Ho et al. 2020, algorithm 2).

    noise: (steps + 1, B, K, C) of unit variance: the first is what it begins with.
    """
    known = given.known_BK[..., None]
    poses = noise[0]
    levels = torch.linspace(1, 0, steps + 1)
    for step in range(steps):
        level, following = levels[step].expand(len(poses)), levels[step + 1]
        clean = model(torch.where(known, history_BKC, poses), level, given)
        poses = _less_noisy(poses, clean, float(levels[step]), float(following), noise[step + 1])
    return torch.where(known, history_BKC, poses)


def _less_noisy(poses: Tensor, clean: Tensor, level: float, following: float, noise: Tensor) -> Tensor:
    """Poses at the level that follows, given what they are without noise (Ho et al. 2020, equation 7)."""
    if following <= 0:
        return clean
    keep, keep_next = math.cos(level * RIGHT) ** 2, math.cos(following * RIGHT) ** 2
    ratio = keep / keep_next
    beta = 1 - ratio
    from_clean = math.sqrt(keep_next) * beta / (1 - keep)
    from_poses = math.sqrt(ratio) * (1 - keep_next) / (1 - keep)
    variance = beta * (1 - keep_next) / (1 - keep)
    return from_clean * clean + from_poses * poses + math.sqrt(variance) * noise

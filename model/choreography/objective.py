"""The choreographer's loss, one number per window, and how a window is sampled: diffusion that says the clean poses.

Noise is mixed by angle: x = cos(a) clean + sin(a) noise, a from 0 to a right angle. The network says the velocity
v = cos(a) noise - sin(a) clean (Salimans & Ho 2022, section 4 and appendix D), from which the clean poses are
cos(a) x - sin(a) v: with little noise it has little to say, and a small one need not learn to repeat its input.
Clean poses and noise are both told as what differs from what the history lets expect, and the noise has the dances'
own covariance in time (`prior.DancePrior`): a network that says nothing makes movements that are as large and as
fast as dances are.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from model.choreography.network import Conditions
from model.choreography.prior import DancePrior
from model.choreography.windows import DanceBatch

RIGHT = math.pi / 2


def mixed(clean: Tensor, noise: Tensor, level: Tensor) -> Tensor:
    """Poses (B, K, C) with noise of a level (B,) from 0 (none) to 1 (nothing else)."""
    angle = (level * RIGHT)[:, None, None]
    return angle.cos() * clean + angle.sin() * noise


def clean_of(model: nn.Module, noisy: Tensor, expected: Tensor, level_B: Tensor, given: Conditions) -> Tensor:
    """The clean poses (B, K, C), less what is expected, by the network's velocity; `noisy` is less that, too."""
    angle = (level_B * RIGHT)[:, None, None]
    return torch.as_tensor(angle.cos() * noisy - angle.sin() * model(expected + noisy, level_B, given))


def losses(model: nn.Module, batch: DanceBatch, spread: Tensor, velocity_weight: float) -> Tensor:
    """(B,) mean squared error of the velocity of the key poses that are made, and of its changes between them.

    spread: (C,) how far a unit of each component moves a body: what is hardly seen weighs little.
    """
    known = batch.given.known_BK[..., None]
    beyond = torch.where(known, 0.0, batch.clean_BKC - batch.expected_BKC)
    noisy = mixed(beyond, batch.noise_BKC, batch.level_B)
    angle = (batch.level_B * RIGHT)[:, None, None]
    velocity = angle.cos() * batch.noise_BKC - angle.sin() * beyond
    weights = spread / spread.mean()
    error = (model(batch.expected_BKC + noisy, batch.level_B, batch.given) - velocity) * (
        ~known & batch.counted_BK[..., None]
    )
    made = (~batch.given.known_BK & batch.counted_BK).sum(1).clamp(min=1)
    size = (error.square() * weights).mean(-1).sum(1) / made
    change = (error[:, 1:] - error[:, :-1]).square().mul(weights).mean(-1).sum(1) / made
    return torch.as_tensor(size + velocity_weight * change)


@torch.no_grad()
def sample_window(
    model: nn.Module, prior: DancePrior, history_BKC: Tensor, given: Conditions, steps: int, noise: Tensor
) -> Tensor:
    """Key poses (B, K, C) that go on from those that are known; ancestral sampling (Ho et al. 2020, algorithm 2).

    noise: (steps + 1, B, K, C) of unit variance: the first is what it begins with.
    """
    counts = given.known_BK.sum(1).tolist()
    style = given.told_style_BS
    expected = prior.mean(history_BKC, counts, style)
    noise = torch.stack([prior.coloured(part, counts, style) for part in noise])
    poses = noise[0]
    levels = torch.linspace(1, 0, steps + 1)
    for step in range(steps):
        level, following = levels[step].expand(len(poses)), levels[step + 1]
        clean = torch.where(given.known_BK[..., None], 0.0, clean_of(model, poses, expected, level, given))
        poses = _less_noisy(poses, clean, float(levels[step]), float(following), noise[step + 1])
    return expected + poses


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

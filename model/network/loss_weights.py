"""What a training's loss stresses: places that move or are uncovered, and levels of noise.

Only a training weighs: validations and the ledger take every place and level alike, so that their numbers compare.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from model.config import NoiseWeighting
from model.network.conditioning import FrameConditioning, nearest_hint
from model.network.diffusion import PredictionType, alphas_cumprod, mean_over_targets

HALF_CHANGED = 0.25
"""Mean squared change of a place's latents at which it counts as half moving; they are of about unit variance."""
MAX_SNR = 5.0
"""The gamma of Hang et al. 2023, "Efficient Diffusion Training via Min-SNR Weighting Strategy"."""


@dataclass(frozen=True)
class LossWeights:
    """moving, uncovered: by how much a place that moves, or that no hint shows, weighs more than one that does not."""

    moving: float = 0.0
    uncovered: float = 0.0
    noise: NoiseWeighting = "none"

    @property
    def weighs_places(self) -> bool:
        """Whether places differ."""
        return bool(self.moving or self.uncovered)


EVEN = LossWeights()
"""Every place and level alike."""


def moving_share(latents_BFCHW: Tensor, cond: FrameConditioning) -> Tensor:
    """How much each place differs from the hint nearest in time, 0 (not at all) to 1, (B, F, H, W)."""
    changed = (latents_BFCHW - nearest_hint(latents_BFCHW, cond)).float().square().mean(2)
    return changed / (changed + HALF_CHANGED)


def uncovered_share(cond: FrameConditioning) -> Tensor | float:
    """How little the hints show of each place once they are moved there, (B, F, H, W); 0 where no pose is told."""
    if cond.pose is None:
        return 0.0
    return cond.pose.unknown_BFHW.float() * cond.pose.told_B.view(-1, 1, 1, 1)


def place_weights(
    weights: LossWeights, latents_BFCHW: Tensor, cond: FrameConditioning, counted_BFHW: Tensor | None = None
) -> Tensor:
    """The weight of each place, (B, F, H, W): 1 + moving m + uncovered u, over its mean where a loss is taken.

    So they are between 1 / (1 + moving + uncovered) and 1 + moving + uncovered, and an error that is the same
    everywhere has the loss that it has without them. `latents` are clean, `cond` tells what is given.
    """
    raw = 1 + weights.moving * moving_share(latents_BFCHW, cond) + weights.uncovered * uncovered_share(cond)
    if counted_BFHW is not None:
        raw = torch.where(counted_BFHW, raw, torch.zeros_like(raw))
    return raw / mean_over_targets(raw[:, :, None], ~cond.given_BF, counted_BFHW).view(-1, 1, 1, 1)


def noise_weights(kind: NoiseWeighting, timestep_B: Tensor, prediction: PredictionType) -> Tensor:
    """The weight of each sample's loss by its timestep, (B,); its mean over all timesteps is 1.

    `none`: the loss is that of what the network predicts. `x0`: of the latents, whatever it predicts. `min_snr`: that
    times min(SNR, MAX_SNR).
    """
    return _weight_by_timestep(kind, prediction, timestep_B.device)[timestep_B]


@lru_cache(maxsize=16)
def _weight_by_timestep(kind: NoiseWeighting, prediction: PredictionType, device: torch.device) -> Tensor:
    """(1000,). An error of x_0 is one of epsilon times alpha / sigma, and one of v over sigma."""
    alpha2 = alphas_cumprod(device).double()
    snr = alpha2 / (1 - alpha2)
    if kind == "none":
        return torch.ones_like(snr).float()
    of_x0 = 1 / snr if prediction == "epsilon" else 1 / (snr + 1)
    weight = of_x0 * snr.clamp(max=MAX_SNR) if kind == "min_snr" else of_x0
    return (weight / weight.mean()).float()

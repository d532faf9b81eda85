"""The choreographer's network: a small transformer that takes noise off the key poses of a window.

It sees poses as principal components, whitened; the components are part of the network, fitted once on the training's
dances, so that a checkpoint is whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model.choreography.config import DancerNetworkConfig
from model.choreography.prior import MIN_SPREAD, DancePrior, Style, autocovariance
from model.choreography.rig import BONES, SIZE, mirrored, weights_of
from model.errors import RunError
from pipeline.analysis.pose import JOINTS

STYLES = 64
"""Styles of the training's dances that a network remembers."""
USUAL = (5, 95)
"""Percentiles of the dances' pace between which a style is remembered."""


@dataclass(frozen=True)
class Conditions:
    """What is known of B windows of K key poses beside the poses."""

    phase_BK: Tensor  # noqa: N815
    """Place within the beat, from 0."""
    tempo_B: Tensor  # noqa: N815
    """Beats a minute."""
    heard_B: Tensor  # noqa: N815
    """bool: whether there is music; without, the place and the tempo are not told."""
    style_BS: Tensor  # noqa: N815
    """How dances go, (B, (2 + window) * components), as `prior.Style.packed` makes it."""
    styled_B: Tensor  # noqa: N815
    """bool: whether a style is told."""
    known_BK: Tensor  # noqa: N815
    """bool: which key poses are given, not made."""

    @property
    def told_style_BS(self) -> Tensor:  # noqa: N802
        """The styles, zeros where none is told."""
        return self.style_BS * self.styled_B[:, None]


class ChoreographerNetwork(nn.Module):
    """Poses in and out are (B, K, components), of unit variance."""

    mean: Tensor
    basis: Tensor
    inverse: Tensor
    spread: Tensor
    usual_bones: Tensor
    covariance: Tensor
    within: Tensor
    tempi: Tensor
    styles: Tensor

    def __init__(self, config: DancerNetworkConfig) -> None:
        super().__init__()
        self.config, parts, width = config, config.components, config.width
        self.register_buffer("mean", torch.zeros(SIZE))
        self.register_buffer("basis", torch.zeros(parts, SIZE))  # rows: a unit of each component, in numbers
        self.register_buffer("inverse", torch.zeros(SIZE, parts))
        self.register_buffer("spread", torch.ones(parts))  # standing heights that a unit of each component moves
        self.register_buffer("usual_bones", torch.zeros(len(BONES)))
        self.register_buffer("covariance", torch.zeros(parts, config.window))  # of each component, keys apart
        self.register_buffer("within", torch.zeros(parts, config.window))  # about a dance's mean, in its spreads
        self.register_buffer("tempi", torch.zeros(101))  # percentiles, beats a minute
        self.register_buffer("styles", torch.zeros(STYLES, (2 + config.window) * parts))  # `prior.Style.packed`
        self.pose_in = nn.Linear(parts + 1, width)
        self.phase = nn.Embedding(config.keys_per_beat + 1, width)
        self.place = nn.Parameter(torch.randn(config.window, width) * 0.02)
        self.level = nn.Sequential(nn.Linear(64, width), nn.SiLU(), nn.Linear(width, width))
        self.tempo = nn.Sequential(nn.Linear(2, width), nn.SiLU(), nn.Linear(width, width))
        self.style = nn.Sequential(nn.Linear(3 * parts + 1, width), nn.SiLU(), nn.Linear(width, width))
        layer = nn.TransformerEncoderLayer(
            width, config.heads, 3 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(layer, config.layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.pose_out = nn.Linear(width, parts)
        nn.init.zeros_(self.pose_out.weight)

    def forward(self, noisy_BKC: Tensor, level_B: Tensor, given: Conditions) -> Tensor:
        """The velocity (B, K, components) of poses with noise of a level (B,) from 0 to 1."""
        known = given.known_BK[..., None].to(noisy_BKC.dtype)
        phase = torch.where(given.heard_B[:, None], given.phase_BK, self.config.keys_per_beat)
        tempo = torch.stack([(given.tempo_B - 110) / 30, torch.ones_like(given.tempo_B)], 1) * given.heard_B[:, None]
        style = torch.cat([self._seen_of(given.told_style_BS), given.styled_B[:, None].to(noisy_BKC.dtype)], 1)
        whole = self.level(_waves(level_B)) + self.tempo(tempo) + self.style(style)
        tokens = self.pose_in(torch.cat([noisy_BKC, known], -1)) + self.phase(phase) + self.place + whole[:, None]
        return torch.as_tensor(self.pose_out(self.body(tokens)))

    def _usual(self, dances: list[Tensor]) -> list[Tensor]:
        """Those of (K, components) dances whose pace is within USUAL: she who leaps is no other's model."""
        paces = [float((torch.diff(dance, dim=0) * self.spread).square().sum(1).mean().sqrt()) for dance in dances]
        low, high = np.percentile(paces, USUAL)
        return [dance for dance, pace in zip(dances, paces, strict=True) if low <= pace <= high]

    def prior(self) -> DancePrior:
        """What is to be expected before the network says anything."""
        return DancePrior(self.covariance)

    def style_of(self, components_KC: Tensor) -> Tensor:
        """How a dance goes, as a row of `Conditions.style_BS`."""
        return Style.of(components_KC, self.within).packed()

    def _seen_of(self, style_BS: Tensor) -> Tensor:
        """(B, 3 * components) what the network sees of styles: mean, spread, and how like is the key that follows."""
        parts, window = self.config.components, self.config.window
        return torch.cat([style_BS[:, : 2 * parts], style_BS[:, 2 * parts + 1 :: window]], 1)

    def to_components(self, numbers: np.ndarray) -> Tensor:
        """(K, components) float32 of (K, SIZE) poses."""
        return (torch.from_numpy(numbers).float() - self.mean) @ self.inverse

    def to_numbers(self, components_KC: Tensor) -> np.ndarray:
        """The poses again."""
        return np.asarray((components_KC @ self.basis + self.mean).double().numpy())

    def fit(self, dances: list[np.ndarray], usual_bones: np.ndarray, tempi: Sequence[float]) -> None:
        """Find the components of (K, SIZE) dances, their mirror images among them, and how they go."""
        weights = weights_of(usual_bones)
        poses = np.concatenate([side for dance in dances for side in (dance, mirrored(dance))])
        mean = poses.mean(0)
        _, sizes, rows = np.linalg.svd((poses - mean) * weights, full_matrices=False)
        parts = self.config.components
        spread = np.maximum(sizes[:parts] / math.sqrt(len(poses)), 1e-6)
        rows = rows[:parts]
        self.mean.copy_(torch.from_numpy(mean))
        self.basis.copy_(torch.from_numpy(rows * spread[:, None] / weights))
        self.inverse.copy_(torch.from_numpy((rows / spread[:, None] * weights).T))
        self.spread.copy_(torch.from_numpy(spread))
        self.usual_bones.copy_(torch.from_numpy(usual_bones))
        told = [self.to_components(side) for dance in dances for side in (dance, mirrored(dance))]
        self.covariance.copy_(autocovariance(told, self.config.window))
        beside = [(dance - dance.mean(0)) / dance.std(0).clamp(min=MIN_SPREAD) for dance in told]
        self.within.copy_(autocovariance(beside, self.config.window))
        usual = self._usual(told)
        chosen = torch.linspace(0, len(usual) - 1, STYLES).round().long()
        self.styles.copy_(torch.stack([self.style_of(usual[number]) for number in chosen]))
        self.tempi.copy_(torch.from_numpy(np.percentile(tempi, np.arange(101))))


def network_of(config: Mapping[str, Any]) -> ChoreographerNetwork:
    """A network from what a checkpoint holds of it. Raises RunError: for another layout of landmarks."""
    if config.get("joints") != JOINTS or "numbers" not in config or config["numbers"] != SIZE:
        raise RunError(
            f"The run was trained on another layout of landmarks ({config.get('joints')} joints, this longdance has "
            f"{JOINTS}): train a choreographer on this data set."
        )
    sizes = {name: value for name, value in config.items() if name not in ("joints", "numbers")}
    return ChoreographerNetwork(DancerNetworkConfig.model_validate(sizes))


def network_record(network: ChoreographerNetwork) -> dict[str, Any]:
    """What `network_of` takes."""
    return {**network.config.model_dump(), "joints": JOINTS, "numbers": SIZE}


def _waves(level_B: Tensor) -> Tensor:
    """(B, 64) sines and cosines of a level between 0 and 1."""
    frequencies = torch.exp(torch.linspace(0, math.log(100), 32, device=level_B.device))
    angles = level_B[:, None] * frequencies * math.pi / 2
    return torch.cat([angles.sin(), angles.cos()], 1)

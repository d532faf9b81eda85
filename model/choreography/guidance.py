"""More of what a style changes than the network says by itself."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from model.choreography.network import ChoreographerNetwork, Conditions


class StyleGuided(nn.Module):
    """Classifier-free guidance by the style (Ho & Salimans 2022, equation 6): without a style, the network itself."""

    def __init__(self, network: ChoreographerNetwork, weight: float) -> None:
        super().__init__()
        self._network, self._weight = network, weight

    def forward(self, noisy_BKC: Tensor, level_B: Tensor, given: Conditions) -> Tensor:
        """As `ChoreographerNetwork.forward`."""
        told: Tensor = self._network(noisy_BKC, level_B, given)
        if self._weight == 1 or not bool(given.styled_B.any()):
            return told
        untold = self._network(noisy_BKC, level_B, replace(given, styled_B=torch.zeros_like(given.styled_B)))
        return untold + self._weight * (told - untold)

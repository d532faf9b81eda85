"""What is known of the key poses to come before any network: each component goes on as a Gaussian process.

Its covariance is how a component's values so many keys apart go together in the training's dances. So noise moves as
slowly as dances do, and what has been danced already says where the next poses lie (Rasmussen & Williams 2006,
"Gaussian Processes for Machine Learning", equations 2.23 and 2.24).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

NUGGET = 0.02
"""Share of the variance that no neighbour tells: what two keys beside each other have of their own."""


def autocovariance(dances: Sequence[Tensor], window: int) -> Tensor:
    """(C, window): mean product of each component's values 0, 1, ... keys apart, over dances (K, C) of mean 0."""
    sums, counts = torch.zeros(dances[0].shape[1], window), torch.zeros(window)
    for dance in dances:
        for apart in range(min(window, len(dance))):
            sums[:, apart] += (dance[apart:] * dance[: len(dance) - apart]).sum(0)
            counts[apart] += len(dance) - apart
    taper = 1 - torch.arange(window) / (window + 1)  # keeps the matrices below positive definite
    return sums / counts.clamp(min=1) * taper


class DancePrior:
    """The process over windows, given the poses that a window begins with."""

    def __init__(self, covariance_CK: Tensor) -> None:
        keys = torch.arange(covariance_CK.shape[1])
        matrix = covariance_CK[:, (keys[:, None] - keys[None]).abs()].double()
        values, vectors = torch.linalg.eigh(matrix)  # sample covariances may miss being positive by a little
        variance = covariance_CK[:, :1, None].double()
        matrix = vectors @ torch.diag_embed(values.clamp(min=0)) @ vectors.mT
        self._matrix = matrix + NUGGET * variance * torch.eye(len(keys), dtype=torch.double)
        self._known: dict[int, tuple[Tensor, Tensor]] = {}

    def given(self, known: int) -> tuple[Tensor, Tensor]:
        """(C, K, known) that makes the mean of a window out of its first `known` poses, which it repeats; and (C, K, K)
        that makes its spread about it out of unit noise, nothing where it is known."""
        if known not in self._known:
            inner, across = self._matrix[:, :known, :known], self._matrix[:, known:, :known]
            gain = torch.linalg.solve(inner, across.mT).mT
            rest = self._matrix[:, known:, known:] - gain @ across.mT
            size, (parts, keys) = len(gain[0]), self._matrix.shape[:2]
            mean, spread = torch.zeros(parts, keys, known), torch.zeros(parts, keys, keys)
            mean[:, :known] = torch.eye(known)
            mean[:, known:] = gain.float()
            root = torch.linalg.cholesky(rest + 1e-6 * torch.eye(size, dtype=torch.double))
            spread[:, known:, known:] = root.float()
            self._known[known] = mean, spread
        return self._known[known]

    def mean(self, history_BKC: Tensor, known: Sequence[int]) -> Tensor:
        """(B, K, C) where windows are to be expected, each given its first `known` poses."""
        rows = [torch.einsum("ckh,hc->kc", self.given(count)[0], row[:count]) for row, count in zip(history_BKC, known)]
        return torch.stack(rows)

    def coloured(self, noise_BKC: Tensor, known: Sequence[int]) -> Tensor:
        """Unit noise (B, K, C) as noise that moves as dances do, each window given its first `known` poses."""
        return torch.stack(
            [torch.einsum("ckj,jc->kc", self.given(count)[1], row) for row, count in zip(noise_BKC, known)]
        )

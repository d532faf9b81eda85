"""What is known of the key poses to come before any network: each component goes on as a Gaussian process.

Its covariance is how a component's values so many keys apart go together in the training's dances. So noise moves as
slowly as dances do, and what has been danced already says where the next poses lie (Rasmussen & Williams 2006,
"Gaussian Processes for Machine Learning", equations 2.23 and 2.24). Where a style is told, a component goes about that
style's mean, as far as that style goes, with a covariance of its own: a dance keeps to less than all dances together.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

NUGGET = 0.005
"""Share of the variance that no neighbour tells: what two keys beside each other have of their own."""
MIN_SPREAD = 0.05
"""Of a component in a style, in spreads of all dances: so far every dance moves."""


def autocovariance(dances: Sequence[Tensor], window: int) -> Tensor:
    """(C, window): mean product of each component's values 0, 1, ... keys apart, over dances (K, C) of mean 0.

    No taper: one would take from dances what they repeat, and give it to tremor.
    """
    sums, counts = torch.zeros(dances[0].shape[1], window), torch.zeros(window)
    for dance in dances:
        for apart in range(min(window, len(dance))):
            sums[:, apart] += (dance[apart:] * dance[: len(dance) - apart]).sum(0)
            counts[apart] += len(dance) - apart
    return sums / counts.clamp(min=1)


class DancePrior:
    """The process over windows, given the poses that a window begins with, and a style if one is told.

    Styles are (B, 2 * C), mean and spread of a dance's components; a row of zeros tells none.
    """

    def __init__(self, covariance_CK: Tensor, within_CK: Tensor) -> None:
        self._all, self._within = _Process(covariance_CK), _Process(within_CK)

    def mean(self, history_BKC: Tensor, known: Sequence[int], style_BS: Tensor) -> Tensor:
        """(B, K, C) where windows are to be expected, each given its first `known` poses."""
        rows = []
        for row, count, style in zip(history_BKC, known, style_BS, strict=True):
            process, mean, spread = self._of(style)
            beside = (row[:count] - mean) / spread
            rows.append(mean + spread * torch.einsum("ckh,hc->kc", process.given(count)[0], beside))
        return torch.stack(rows)

    def coloured(self, noise_BKC: Tensor, known: Sequence[int], style_BS: Tensor) -> Tensor:
        """Unit noise (B, K, C) as noise that moves as dances do, each window given its first `known` poses."""
        rows = []
        for row, count, style in zip(noise_BKC, known, style_BS, strict=True):
            process, _, spread = self._of(style)
            rows.append(spread * torch.einsum("ckj,jc->kc", process.given(count)[1], row))
        return torch.stack(rows)

    def _of(self, style_S: Tensor) -> tuple[_Process, Tensor, Tensor]:
        """What a style's components do: their process, their mean and their spread."""
        mean, spread = style_S.chunk(2)
        if not style_S.any():
            return self._all, mean, torch.ones_like(spread)
        return self._within, mean, spread.clamp(min=MIN_SPREAD)


class _Process:
    """A Gaussian process for every component."""

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

"""What is known of the key poses to come before any network: each component goes on as a Gaussian process.

Its covariance is how a component's values so many keys apart go together in the training's dances. So noise moves as
slowly as dances do, and what has been danced already says where the next poses lie (Rasmussen & Williams 2006,
"Gaussian Processes for Machine Learning", equations 2.23 and 2.24). Where a style is told, a component goes about that
style's mean, as far as that style goes and as fast: one dance keeps to less than all dances together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

NUGGET = 0.005
"""Share of the variance that no neighbour tells: what two keys beside each other have of their own."""
MIN_SPREAD = 0.05
"""Of a component in a style, in spreads of all dances: so far every dance moves."""
OWN = 0.75
"""Weight of a dance's own covariance in its style's; the rest is that of all dances, each about its own mean."""


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


@dataclass(frozen=True)
class Style:
    """How one dance goes: its components' means and spreads (C,), and their covariance over keys, in spreads."""

    mean_C: Tensor  # noqa: N815
    spread_C: Tensor  # noqa: N815
    covariance_CK: Tensor  # noqa: N815

    @classmethod
    def of(cls, components_KC: Tensor, within_CK: Tensor) -> Style:
        """Of a dance's components; `within_CK` is the covariance of all dances, each about its own mean."""
        mean, spread = components_KC.mean(0), components_KC.std(0).clamp(min=MIN_SPREAD)
        own = autocovariance([(components_KC - mean) / spread], within_CK.shape[1])
        return cls(mean, spread, OWN * own + (1 - OWN) * within_CK)

    @classmethod
    def unpacked(cls, packed_S: Tensor, components: int) -> Style:
        """What `packed` made."""
        mean, spread, rest = packed_S.split([components, components, len(packed_S) - 2 * components])
        return cls(mean, spread, rest.reshape(components, -1))

    def packed(self) -> Tensor:
        """As one row, ((2 + window) * C,)."""
        return torch.cat([self.mean_C, self.spread_C, self.covariance_CK.flatten()])


class DancePrior:
    """The process over windows, given the poses that a window begins with, and a style if one is told.

    Styles are (B, (2 + window) * C), as `Style.packed` makes them; a row of zeros tells none.
    """

    def __init__(self, covariance_CK: Tensor) -> None:
        self._components = len(covariance_CK)
        self._untold = Style(torch.zeros(self._components), torch.ones(self._components), covariance_CK)
        self._processes: dict[bytes, _Process] = {}

    def mean(self, history_BKC: Tensor, known: Sequence[int], style_BS: Tensor) -> Tensor:
        """(B, K, C) where windows are to be expected, each given its first `known` poses, which it repeats."""
        rows = []
        for row, count, packed in zip(history_BKC, known, style_BS, strict=True):
            process = self._of(packed)
            style = process.style
            beside = (row[:count] - style.mean_C) / style.spread_C
            rows.append(style.mean_C + style.spread_C * process.going_on(beside))
        return torch.stack(rows)

    def coloured(self, noise_BKC: Tensor, known: Sequence[int], style_BS: Tensor) -> Tensor:
        """Unit noise (B, K, C) as noise that moves as dances do, nothing where it is known: what a free movement does
        beside what its own beginning lets expect (Matheron's rule)."""
        rows = []
        for row, count, packed in zip(noise_BKC, known, style_BS, strict=True):
            process = self._of(packed)
            free = process.free(row)
            rows.append(process.style.spread_C * (free - process.going_on(free[:count])))
        return torch.stack(rows)

    def _of(self, packed_S: Tensor) -> _Process:
        key = packed_S.numpy().tobytes()
        if key not in self._processes:
            style = Style.unpacked(packed_S, self._components) if packed_S.any() else self._untold
            self._processes[key] = _Process(style)
        return self._processes[key]


class _Process:
    """The components of one style over a window, of mean 0, in its spreads."""

    def __init__(self, style: Style) -> None:
        self.style, covariance_CK = style, style.covariance_CK.double()
        keys = torch.arange(covariance_CK.shape[1])
        values, vectors = torch.linalg.eigh(covariance_CK[:, (keys[:, None] - keys[None]).abs()])
        variance = covariance_CK[:, :1]
        values = values.clamp(min=0) + NUGGET * variance  # sample covariances may miss being positive by a little
        values = values * variance * len(keys) / values.sum(1, keepdim=True)
        self._covariance = vectors @ torch.diag_embed(values) @ vectors.mT
        self._root = (vectors * values.sqrt()[:, None]).float()
        self._gains: dict[int, Tensor] = {}

    def free(self, noise_KC: Tensor) -> Tensor:
        """(K, C) a movement that knows of no history."""
        return torch.einsum("ckj,jc->kc", self._root, noise_KC)

    def going_on(self, history_HC: Tensor) -> Tensor:
        """(K, C) that begins with a history and goes on as it lets expect."""
        known = len(history_HC)
        if known not in self._gains:
            inner, across = self._covariance[:, :known, :known], self._covariance[:, known:, :known]
            self._gains[known] = torch.linalg.solve(inner, across.mT).mT.float()
        return torch.cat([history_HC, torch.einsum("ckh,hc->kc", self._gains[known], history_HC)])

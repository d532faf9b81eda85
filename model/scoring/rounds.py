"""How much is measured, and of whom: K losses of every sample, then more near the cut, until it is reliable there.

Who is near is decided once, by the first K, so that the rounds follow from the inputs alone: killed in any of them and
run again, or run where a ledger holds more than that, they are the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from model.scoring.policy import Policy, ScoreConfig
from model.scoring.score_table import Evidence, weigh
from model.scoring.scored_losses import Depths, Judged, RunRef
from model.scoring.valuation import k_needed

Measure = Callable[[int, Sequence[str] | None], None]
"""Measures k losses, in all, of these samples (of all of them: None), under the run and under the irreducible ones."""


def weigh_in_rounds(
    data: Path,
    target: RunRef,
    irreducible: Sequence[RunRef],
    config: ScoreConfig,
    policy: Policy,
    samples: Judged,
    measure: Measure,
) -> tuple[Evidence, Evidence]:
    """(the evidence of the first K losses, that of the last round). Raises LedgerError."""
    measure(config.k, None)
    first = found = weigh(data, target, irreducible, config, policy, samples)
    keys, k = sorted({*first.near, *first.anchors, *samples.probes}), config.k
    while config.adaptive and first.near and found.around_cut < config.reliability and k < config.most_k:
        k = min(k_needed(k, found.around_cut, config.reliability, config.bank.bins), config.most_k)
        measure(k, keys)
        depths = Depths(config.k, k, frozenset(keys))
        found = weigh(data, target, irreducible, config, policy, samples, depths, first.near)
    return first, found

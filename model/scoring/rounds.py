"""How much is measured, and of whom: K losses of every sample, then more near the cut, until it is reliable there.

Who is near is decided once, by the first K, so that the rounds follow from the inputs alone: killed in any of them and
run again, or run where a ledger holds more than that, they are the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from model.runs.run import Run
from model.scoring.policy import Policy, ScoreConfig
from model.scoring.score_table import ScoreTable, make_score_table
from model.scoring.scored_losses import LossCounts, ScoredSamples
from model.scoring.valuation import k_needed

Measure = Callable[[int, Sequence[str] | None], None]
"""Measures k losses, in all, of these samples (of all of them: None), under the run and under the irreducible ones."""


def score_in_rounds(
    data: Path,
    target: Run,
    irreducible: Sequence[Run],
    config: ScoreConfig,
    policy: Policy,
    samples: ScoredSamples,
    measure: Measure,
) -> tuple[ScoreTable, ScoreTable]:
    """(the evidence of the first K losses, that of the last round). Raises LedgerError."""
    measure(config.k, None)
    first = found = make_score_table(data, target, irreducible, config, policy, samples)
    keys, k = sorted({*first.near, *first.reference_samples, *samples.holdout_samples}), config.k
    while config.adaptive and first.near and found.reliability_at_cut < config.reliability and k < config.most_k:
        k = min(k_needed(k, found.reliability_at_cut, config.reliability, config.bank.bins), config.most_k)
        measure(k, keys)
        loss_counts = LossCounts(config.k, k, frozenset(keys))
        found = make_score_table(data, target, irreducible, config, policy, samples, loss_counts, first.near)
    return first, found

"""What is irreducible: which runs may say so of a stage's samples, and what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.data.samples import read_samples
from model.errors import LedgerError, RunError
from model.runs.lineage import inherited_sources, read_sources
from model.runs.run import Run
from model.scoring.scored_losses import LossCounts, ScoredSamples, missing_losses, read_losses
from model.scoring.valuation import calibrated
from model.sources import Init


def require_unseen(data: Path, init: Init) -> None:
    """Raise RunError if weights to begin with have seen sources of this data set."""
    seen = inherited_sources(init, None)
    sources = {sample.source_id for sample in read_samples(data)}
    if seen is None or seen & sources:
        known = "an unknown number" if seen is None else f"{len(seen & sources)}"
        raise RunError(
            f"{init}, which the run began from, has seen {known} of the sources of {data}, so nothing that begins "
            "there can say what is irreducible: say what to begin from by --set fit.init=scratch."
        )


def check_irreducible(target: Run, runs: Sequence[Run], samples: ScoredSamples) -> None:
    """Raise RunError unless these runs' losses can stand beside the target's.

    They are of one stage, codec and prediction; every sample has a run that never saw its source; and of the held-out
    samples some were seen by none, which sets several runs against each other.
    """
    seen = []
    for run in runs:
        seen.append(read_sources(run.path))
        of = {
            "stage": (run.config.stage, target.config.stage),
            "codec": (run.codec[:12], target.codec[:12]),
            "prediction": (run.prediction, target.prediction),
        }
        for name, (its, wanted) in of.items():
            if its != wanted:
                raise RunError(
                    f"Run {run.path} is of {name} {its}, {target.path} of {wanted}: an irreducible loss of its samples "
                    f"comes from a run of the same {name}."
                )
    without = [key for key in samples.keys if all(samples.sources[key] in sources for sources in seen)]
    if runs and without:
        raise RunError(
            f"{len(without)} of {len(samples.keys)} samples have no irreducible loss (the first is {without[0]}): "
            "every run that was given has seen its source; give runs that were trained without it."
        )
    if len(runs) > 1 and all(
        any(samples.sources[key] in sources for sources in seen) for key in samples.holdout_samples
    ):
        raise RunError(
            f"Nothing sets the {len(runs)} irreducible runs against each other: of the samples that run {target.path} "
            "holds out, there is none that they never saw; train all of them with one hold-out."
        )


@dataclass(frozen=True)
class Irreducible:
    """The losses of N samples under models that never saw them."""

    values_NK: np.ndarray  # noqa: N815
    runs: list[list[str]]
    """The ids of the runs behind each sample's."""
    losses: int
    """How many were measured, those of the held-out samples among them."""


def irreducible_losses(
    data: Path, runs: Sequence[Run], bank: str, samples: ScoredSamples, loss_counts: LossCounts
) -> Irreducible:
    """The irreducible losses of `samples.keys`, calibrated on the held-out samples.

    Raises LedgerError if a sample has none: no run is left that never saw it, or nobody scored it. Raises RunError for
    a run that does not say which sources its weights have seen.
    """
    folds, seen, losses, count_N = [], [], 0, loss_counts.of(samples.all)
    for run in runs:
        sources = read_sources(run.path)
        saw = np.array([samples.sources[key] in sources for key in samples.all])
        matrix = read_losses(data, run, bank, samples.all, loss_counts).values_NK
        matrix[saw] = np.nan
        folds.append(matrix)
        seen.append(saw)
        losses += int(count_N[~saw].sum())
    holdout_samples = np.arange(len(samples.all)) >= len(samples.keys)
    values_NK = calibrated(np.stack(folds), holdout_samples)[: len(samples.keys)]
    missing = missing_losses(values_NK, count_N[: len(samples.keys)])
    if missing.any():
        raise LedgerError(
            f"{missing.sum()} of {len(missing)} samples have no irreducible loss (the first is "
            f"{samples.keys[int(missing.argmax())]}): score runs that were never trained on their sources."
        )
    used = [[run.run_id for run, saw in zip(runs, seen) if not saw[n]] for n in range(len(samples.keys))]
    return Irreducible(values_NK, used, losses)

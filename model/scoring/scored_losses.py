"""What was measured of a stage's samples: which of them a policy judges, and their losses from a run's ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_catalog.base.paths import DataFolder
from model.config import TrainConfig
from model.data.latents import read_manifest
from model.data.samples import holdout_sources, read_samples
from model.data.versions import read_version
from model.errors import DataError, LedgerError
from model.runs.run import Run
from model.scoring.ledger import SCORE_VERSION, fragments, read_fragment


@dataclass(frozen=True)
class ScoredSamples:
    """Which samples a policy is about, and which only calibrate: those held out."""

    keys: tuple[str, ...]
    holdout_samples: tuple[str, ...]
    sources: dict[str, str]
    """Sample key to source."""

    @property
    def all(self) -> tuple[str, ...]:
        """Both, in order."""
        return self.keys + self.holdout_samples


def scored_samples(data: Path, config: TrainConfig, parent: str | None) -> ScoredSamples:
    """The parent's samples (or all good ones) outside the hold-out; the good ones inside only calibrate.

    Those of a clip that a person dropped are not judged: they go whatever they are worth. Raises VersionError for a
    parent that is not there, or whose samples' bytes have changed.
    """
    samples = read_samples(data)
    held = holdout_sources([sample.source_id for sample in samples], config.holdout)
    chosen = {s.key for s in samples if s.ok}
    if parent is not None:
        base = read_version(data, parent)
        base.check({s.key: s.mp4_sha256 for s in samples})
        chosen = {s.key for s in base.samples}
    stays = [s for s in samples if s.key in chosen and s.decision != "drop"]
    keys = tuple(s.key for s in stays if s.source_id not in held)
    holdout_samples = tuple(s.key for s in samples if s.ok and s.source_id in held)
    return ScoredSamples(keys, holdout_samples, {s.key: s.source_id for s in samples})


def require_holdout(data: Path, config: TrainConfig) -> frozenset[str]:
    """The held-out sources. Raises DataError if there are none: nothing could be calibrated or judged."""
    sources = [sample.source_id for sample in read_samples(data)]
    held = holdout_sources(sources, config.holdout)
    if not held:
        raise DataError(
            f"No source of {data} is held out ('holdout' is {config.holdout}, {len(set(sources))} sources): an "
            "irreducible loss needs some; train with a hold-out, on two sources or more."
        )
    return held


@dataclass(frozen=True)
class LossCounts:
    """How many losses of each sample are looked at: `k`, and `wider` of those that were measured again. What else a
    ledger holds, for other purposes, changes nothing."""

    k: int
    wider: int = 0
    keys: frozenset[str] = frozenset()

    def of(self, keys: Sequence[str]) -> np.ndarray:
        """One for each of these samples, (N,)."""
        return np.array([max(self.k, self.wider) if key in self.keys else self.k for key in keys], int)


@dataclass(frozen=True)
class Losses:
    """What a ledger says of N samples; NaN where it says nothing, and beyond a sample's depth."""

    values_NK: np.ndarray  # noqa: N815
    change_N: np.ndarray  # noqa: N815
    """How much changes in each clip."""


def read_losses(data: Path, run: Run, bank: str, keys: Sequence[str], loss_counts: LossCounts) -> Losses:
    """A run's losses under a bank.

    Raises LedgerError if they were measured under another bank, at another checkpoint, on other latents or by an
    older longdance, if there are none, and if a fragment is damaged.
    """
    current, count_N = current_latents(data, run.codec), loss_counts.of(keys)
    place = {key: number for number, key in enumerate(keys)}
    matrix, change = np.full((len(keys), max(loss_counts.k, loss_counts.wider)), np.nan), np.full(len(keys), np.nan)
    other = ""
    for path in fragments(data, run.run_id, run.checkpoint.sha256, bank):
        metadata, table = read_fragment(path)
        if metadata["latents"] not in current:
            other = other or "on latents that have changed since"
        elif metadata["version"] != SCORE_VERSION:
            other = other or "by another version of longdance"
        else:
            columns = (table[name].to_pylist() for name in ("sample_key", "k", "loss", "change"))
            for key, k, loss, changes in zip(*columns):
                if key in place and k < count_N[place[key]]:
                    matrix[place[key], k], change[place[key]] = loss, changes
    if np.isnan(matrix).all():
        other = other or _elsewhere(data, run, bank)
        why = f"was measured {other}" if other else "is empty"
        raise LedgerError(f"The ledger of run {run.path} {why}: run `longdance score --run {run.path}`.")
    return Losses(matrix, change)


def _elsewhere(data: Path, run: Run, bank: str) -> str:
    """What a run's losses were measured under, if not this bank at this checkpoint."""
    for path in fragments(data, run.run_id, run.checkpoint.sha256):
        return f"under bank {path.parent.name}, not {bank}"
    return "at another checkpoint" if any(fragments(data, run.run_id)) else ""


def missing_losses(values_NK: np.ndarray, count_N: np.ndarray) -> np.ndarray:
    """Which samples have fewer losses than their depth, (N,)."""
    within_NK = np.arange(values_NK.shape[1])[None] < count_N[:, None]
    return np.asarray((np.isnan(values_NK) & within_NK).any(1))


def current_latents(data: Path, codec: str) -> set[str]:
    """The sha256 of the latents of shards that the data set has now."""
    shards = {(sample.shard, sample.shard_sha256) for sample in read_samples(data)}
    records = [read_manifest(path) for path in DataFolder(data).latents_of(codec).glob("*.json")]
    return {record["sha256"] for record in records if record and (record["shard"], record["shard_sha256"]) in shards}

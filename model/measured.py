"""What was measured of a stage's samples: which of them a policy judges, and their losses from the ledgers of a run and
of those that say what is irreducible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.config import TrainConfig, parse_config
from model.errors import DataError, LedgerError, RunError
from model.initial import run_checkpoint
from model.ledger import SCORE_VERSION, fragments, read_fragment
from model.samples import holdout_sources, read_samples
from model.versions import read_version
from model.worth import calibrated
from pipeline.files import read_json


@dataclass(frozen=True)
class RunRef:
    """A run as it is now."""

    path: Path
    run_id: str
    checkpoint: str
    codec: str
    config: TrainConfig

    @classmethod
    def of(cls, path: Path) -> RunRef:
        """Raises RunError, CheckpointError."""
        info = run_checkpoint(path)
        record = read_json(path / "run.json")
        identity = record["identity"]
        config = parse_config(identity["config"])
        return cls(path, record["run_id"], info.sha256, identity["data"]["codec"], config)


@dataclass(frozen=True)
class Judged:
    """Which samples a policy is about, and which only calibrate."""

    keys: tuple[str, ...]
    probes: tuple[str, ...]
    sources: dict[str, str]
    """Sample key to source."""

    @property
    def all(self) -> tuple[str, ...]:
        """Both, in order."""
        return self.keys + self.probes


def judged_samples(data: Path, config: TrainConfig, parent: str | None) -> Judged:
    """The parent's samples (or all good ones) outside the hold-out; the good ones inside are the probes.

    Those of a clip that a person dropped are not judged: they go whatever they are worth.
    """
    samples = read_samples(data)
    held = holdout_sources([sample.source_id for sample in samples], config.holdout)
    chosen = {s.key for s in read_version(data, parent).samples} if parent else {s.key for s in samples if s.ok}
    stays = [s for s in samples if s.key in chosen and s.decision != "drop"]
    keys = tuple(s.key for s in stays if s.source_id not in held)
    probes = tuple(s.key for s in samples if s.ok and s.source_id in held)
    return Judged(keys, probes, {s.key: s.source_id for s in samples})


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
class Losses:
    """What a ledger says of N samples; NaN where it says nothing."""

    values_NK: np.ndarray  # noqa: N815
    change_N: np.ndarray  # noqa: N815
    """How much changes in each clip."""


def read_losses(data: Path, run: RunRef, bank: str, keys: Sequence[str], most_k: int) -> Losses:
    """A run's losses under a bank.

    Raises LedgerError if they were measured under another bank, at another checkpoint, on other latents or by an
    older longdance, and if there are none.
    """
    current = _current_latents(data, run.codec)
    place = {key: number for number, key in enumerate(keys)}
    matrix, change, other = np.full((len(keys), most_k), np.nan), np.full(len(keys), np.nan), ""
    for path in fragments(data, run.run_id):
        said, table = read_fragment(path)
        if said["checkpoint"] != run.checkpoint:
            other = other or "at another checkpoint"
        elif said["bank"] != bank:
            other = other or f"under bank {said['bank']}, not {bank}"
        elif said["latents"] not in current:
            other = other or "on latents that have changed since"
        elif said["version"] != SCORE_VERSION:
            other = other or "by another version of longdance"
        else:
            columns = (table[name].to_pylist() for name in ("sample_key", "k", "loss", "change"))
            for key, k, loss, changes in zip(*columns):
                if key in place and k < most_k:
                    matrix[place[key], k], change[place[key]] = loss, changes
    if np.isnan(matrix).all():
        why = f"was measured {other}" if other else "is empty"
        raise LedgerError(f"The ledger of run {run.path} {why}: run `longdance score --run {run.path}`.")
    return Losses(matrix, change)


def _current_latents(data: Path, codec: str) -> set[str]:
    """The sha256 of the latents of shards that the data set has now."""
    shards = {(sample.shard, sample.shard_sha256) for sample in read_samples(data)}
    records = [read_json(path) for path in (data / "latents" / codec[:16]).glob("*.json")]
    return {record["sha256"] for record in records if (record["shard"], record["shard_sha256"]) in shards}


def trained_sources(data: Path, run: RunRef, samples: Judged) -> frozenset[str]:
    """The sources that an irreducible run was trained on. Raises RunError if no version says."""
    if run.config.version is None:
        raise RunError(
            f"Run {run.path} was trained without a version, so it cannot be shown which sources it never saw: train "
            "it with `--version` on a fold (`longdance prune` does so by itself)."
        )
    version = read_version(data, run.config.version)
    return frozenset(samples.sources[sample.key] for sample in version.samples if sample.key in samples.sources)


def irreducible_losses(
    data: Path, runs: Sequence[RunRef], bank: str, samples: Judged, most_k: int
) -> tuple[np.ndarray, list[list[str]]]:
    """(losses (N, K) of `samples.keys`, calibrated; the ids of the runs behind each sample's).

    Raises LedgerError if a sample has none: no run is left that never saw it, or nobody scored it.
    """
    folds, seen = [], []
    for run in runs:
        matrix = read_losses(data, run, bank, samples.all, most_k).values_NK
        sources = trained_sources(data, run, samples)
        saw = np.array([samples.sources[key] in sources for key in samples.all])
        matrix[saw] = np.nan
        folds.append(matrix)
        seen.append(saw)
    probes = np.arange(len(samples.all)) >= len(samples.keys)
    losses = calibrated(np.stack(folds), probes)[: len(samples.keys)]
    missing = np.isnan(losses[:, 0])
    if missing.any():
        raise LedgerError(
            f"{missing.sum()} of {len(missing)} samples have no irreducible loss (the first is "
            f"{samples.keys[int(missing.argmax())]}): score runs that were never trained on their sources."
        )
    used = [[run.run_id for run, saw in zip(runs, seen) if not saw[n]] for n in range(len(samples.keys))]
    return losses, used

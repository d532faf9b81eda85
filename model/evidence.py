"""Evidence: the scores of worth of one stage's samples, from the ledgers of one run and of those that say what is
irreducible. `DATA/worth/EVIDENCE.parquet`; the catalog's `worth` is made from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model.config import TrainConfig, parse_config
from model.errors import DataError, LedgerError, RunError
from model.initial import run_checkpoint
from model.ledger import fragments, read_fragment
from model.policy import Policy, ScoreConfig
from model.samples import Sample, holdout_sources, read_samples
from model.versions import read_version
from model.worth import (
    HIGHEST_GOES,
    Worth,
    calibrated,
    certainty,
    conditional_reliability,
    judge,
    near_cut,
    split_half,
    standard_error,
)
from pipeline.files import atomic, read_json, sha256_json

NEEDS_IRREDUCIBLE = ("unlearnable", "rho")
_ANCHORS, _ANCHOR_SHARE = 64, 0.05


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
class Evidence:
    """What was found out about a stage's samples."""

    id: str
    stage: str
    target: RunRef
    irreducible: tuple[RunRef, ...]
    bank: str
    keys: tuple[str, ...]
    worth: Worth
    rows: pa.Table
    reliability: dict[str, float]
    """Split-half reliability of each score, by Spearman-Brown, at the K that all samples have."""
    around_cut: float
    """Reliability of the policy's score around the cut."""
    near: tuple[str, ...]
    """Samples that the bootstrap cannot place."""
    anchors: tuple[str, ...]
    losses: int
    """How many were measured, in all runs."""


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
    """The parent's samples (or all good ones) outside the hold-out; the good ones inside are the probes."""
    samples = read_samples(data)
    held = holdout_sources([sample.source_id for sample in samples], config.holdout)
    chosen = {s.key for s in read_version(data, parent).samples} if parent else {s.key for s in samples if s.ok}
    keys = tuple(s.key for s in samples if s.key in chosen and s.source_id not in held)
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


def read_losses(data: Path, run: RunRef, bank: str, keys: Sequence[str], most_k: int) -> np.ndarray:
    """A run's losses (N, K) under a bank, NaN where there is none.

    Raises LedgerError if they were measured under another bank, at another checkpoint or on other latents, and if
    there are none.
    """
    current = _current_latents(data, run.codec)
    place = {key: number for number, key in enumerate(keys)}
    matrix, other = np.full((len(keys), most_k), np.nan), ""
    for path in fragments(data, run.run_id):
        said, table = read_fragment(path)
        if said["checkpoint"] != run.checkpoint:
            other = other or "at another checkpoint"
        elif said["bank"] != bank:
            other = other or f"under bank {said['bank']}, not {bank}"
        elif said["latents"] not in current:
            other = other or "on latents that have changed since"
        else:
            columns = table.to_pydict()
            for key, k, loss in zip(columns["sample_key"], columns["k"], columns["loss"]):
                if key in place and k < most_k:
                    matrix[place[key], k] = loss
    if np.isnan(matrix).all():
        why = f"was measured {other}" if other else "is empty"
        raise LedgerError(f"The ledger of run {run.path} {why}: run `longdance score --run {run.path}`.")
    return matrix


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
        matrix = read_losses(data, run, bank, samples.all, most_k)
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


def anchors_of(keys: Sequence[str]) -> tuple[str, ...]:
    """Samples that stand for all when more is measured near a cut: chosen by their keys' hashes alone."""
    count = min(len(keys), max(_ANCHORS, int(_ANCHOR_SHARE * len(keys))))
    order = sorted(keys, key=lambda key: hashlib.sha256(f"anchor/{key}".encode()).digest())
    return tuple(sorted(order[:count]))


def weigh(
    data: Path,
    target: RunRef,
    irreducible: Sequence[RunRef],
    config: ScoreConfig,
    policy: Policy,
    samples: Judged,
    near: Sequence[str] | None = None,
) -> Evidence:
    """Scores of worth from the ledgers on disk, with their reliability around the cut: at the samples `near` it, or
    those that the bootstrap cannot place. Raises LedgerError."""
    bank, bins = config.bank.hash[:16], config.bank.bins
    loss = read_losses(data, target, bank, samples.keys, config.most_k)
    if np.isnan(loss[:, 0]).any():
        raise LedgerError(
            f"{np.isnan(loss[:, 0]).sum()} of {len(loss)} samples are not in the ledger of run {target.path}: run "
            f"`longdance score --run {target.path}`."
        )
    floor, used = None, [[] for _ in samples.keys]  # type: tuple[np.ndarray | None, list[list[str]]]
    if irreducible:
        floor, used = irreducible_losses(data, irreducible, bank, samples, config.most_k)
        known = ~np.isnan(loss) & ~np.isnan(floor)  # both or none: a difference of different k means nothing
        loss, floor = np.where(known, loss, np.nan), np.where(known, floor, np.nan)
    anchors = anchors_of(samples.keys)
    worth = judge(samples.keys, loss, floor, anchors_N=np.isin(samples.keys, anchors))
    units = worth.units.get(policy.score)
    highest, count = HIGHEST_GOES[policy.score], len(samples.keys)
    sure = np.full(count, np.nan) if units is None else certainty(units, policy.fraction, highest)
    if near is not None:
        unplaced = np.isin(samples.keys, near)
    else:
        unplaced = np.zeros(count, bool) if units is None else near_cut(sure)
    k_N = (~np.isnan(loss)).sum(1)
    digest = hashlib.sha256(np.nan_to_num(loss).tobytes() + (b"" if floor is None else np.nan_to_num(floor).tobytes()))
    said = {
        "stage": target.config.stage,
        "checkpoint": target.checkpoint,
        "irreducible": sorted(run.checkpoint for run in irreducible),
        "bank": bank,
        "score": [policy.score, policy.fraction],
        "keys": list(samples.keys),
        "losses": digest.hexdigest(),
    }
    identity = sha256_json(said)[:16]
    rows = {
        "evidence": [identity] * count,
        "sample_key": list(samples.keys),
        "stage": [target.config.stage] * count,
        "run": [target.run_id] * count,
        "bank": [bank] * count,
        "k": pa.array(k_N, pa.int32()),
        **_scores(worth, units, sure, bins),
        "irreducible_runs": used,
    }
    return Evidence(
        id=identity,
        stage=target.config.stage,
        target=target,
        irreducible=tuple(irreducible),
        bank=bank,
        keys=samples.keys,
        worth=worth,
        rows=pa.table(rows).replace_schema_metadata({"longdance": json.dumps(said, sort_keys=True)}),
        reliability={name: split_half(part) for name, part in worth.units.items()},
        around_cut=1.0 if units is None else conditional_reliability(units, unplaced, bins),
        near=tuple(key for key, is_near in zip(samples.keys, unplaced) if is_near),
        anchors=anchors,
        losses=int(k_N.sum()) * (2 if irreducible else 1),
    )


def _scores(worth: Worth, units: np.ndarray | None, sure_N: np.ndarray, bins: int) -> dict[str, pa.Array]:
    """The columns of `worth` that are measured: every score, and the error and certainty of the policy's own."""
    error_N = np.full(len(sure_N), np.nan) if units is None else standard_error(units, bins)
    columns = {**worth.columns, "error": error_N, "certainty": sure_N}
    return {name: pa.array(values, pa.float64(), from_pandas=True) for name, values in columns.items()}


def write_evidence(data: Path, evidence: Evidence) -> Path:
    """Keep the scores on disk; the same evidence is the same file."""
    path = data / "worth" / f"{evidence.id}.parquet"
    with atomic(path) as temp:
        pq.write_table(evidence.rows, temp)
    return path


def stored_worth(data: Path) -> list[pa.Table]:
    """Every piece of evidence on disk, as rows of the catalog's `worth`."""
    paths = sorted(path for path in (data / "worth").glob("*.parquet") if not path.name.startswith("."))
    return [pq.read_table(path).replace_schema_metadata(None) for path in paths]


def policy_record(policy: Policy, sql: str, evidence: Sequence[Evidence]) -> dict[str, Any]:
    """What a version says about how it was made."""
    return {
        "config": policy.model_dump(mode="json"),
        "sql": sql,
        "evidence": [one.id for one in evidence],
        "bank": sorted({one.bank for one in evidence}),
        "checkpoints": {one.stage: one.target.checkpoint for one in evidence},
        "runs": {one.stage: [one.target.run_id, *(run.run_id for run in one.irreducible)] for one in evidence},
    }


def version_samples(
    data: Path, parent: str | None, judged: Sequence[str], chosen: Sequence[str], policy: Policy
) -> list[Sample]:
    """What a version holds: of the judged samples those that stay, and its parent's others (the hold-out's)."""
    about, picked = set(judged), set(chosen)
    stays = picked if policy.action == "keep" else about - picked
    base = {s.key for s in read_version(data, parent).samples} if parent else None
    return [
        sample
        for sample in read_samples(data)
        if (sample.ok if base is None else sample.key in base) and (sample.key in stays or sample.key not in about)
    ]

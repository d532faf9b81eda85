"""A score table: the scores of worth of one stage's samples, from the ledgers of one run and of those that say what is
irreducible. `DATA/worth/ID.parquet`; the catalog's `worth` is made from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_catalog.base.files import atomic, sha256_json
from data_catalog.base.paths import DataFolder
from model.data.samples import Sample
from model.data.versions import read_version
from model.errors import LedgerError, VersionError
from model.runs.run import Run
from model.scoring.irreducible import irreducible_losses
from model.scoring.ledger import SCORE_VERSION
from model.scoring.measured import clips_beyond
from model.scoring.policy import Policy, ScoreConfig
from model.scoring.scored_losses import LossCounts, ScoredSamples, current_latents, missing_losses, read_losses
from model.scoring.selection import chooses_highest
from model.scoring.valuation import (
    Valuation,
    borderline,
    certainty,
    conditional_reliability,
    split_half,
    standard_error,
    value_samples,
)

NEEDS_IRREDUCIBLE = ("unlearnable", "rho")
_REFERENCE_COUNT, _REFERENCE_SHARE = 64, 0.05


@dataclass(frozen=True)
class ScoreTable:
    """Scores of one stage's samples, and how sure they are."""

    id: str
    stage: str
    target: Run
    irreducible: tuple[Run, ...]
    bank: str
    keys: tuple[str, ...]
    valuation: Valuation
    rows: pa.Table
    reliability: dict[str, float]
    """Split-half reliability of each score, by Spearman-Brown, at the default K."""
    reliability_at_cut: float
    """Reliability of the policy's score around the cut."""
    near: tuple[str, ...]
    """Samples that the bootstrap cannot place."""
    reference_samples: tuple[str, ...]
    losses: int
    """How many were measured, in all runs."""


def choose_reference_samples(keys: Sequence[str]) -> tuple[str, ...]:
    """Samples that stand for all when more is measured near a cut: chosen by their keys' hashes alone."""
    count = min(len(keys), max(_REFERENCE_COUNT, int(_REFERENCE_SHARE * len(keys))))
    order = sorted(keys, key=lambda key: hashlib.sha256(f"anchor/{key}".encode()).digest())
    return tuple(sorted(order[:count]))


def make_score_table(
    data: Path,
    target: Run,
    irreducible: Sequence[Run],
    config: ScoreConfig,
    policy: Policy,
    samples: ScoredSamples,
    loss_counts: LossCounts | None = None,
    near: Sequence[str] | None = None,
) -> ScoreTable:
    """Scores of worth from the ledgers on disk, with their reliability around the cut: at the samples `near` it, or
    those that the bootstrap cannot place. Raises LedgerError."""
    bins, loss_counts = config.bank.bins, loss_counts or LossCounts(config.k)
    loss, floor, change, used, losses = _losses(data, target, irreducible, config, samples, loss_counts)
    reference_samples = choose_reference_samples(samples.keys)
    worth = value_samples(samples.keys, loss, floor, change, reference_N=np.isin(samples.keys, reference_samples))
    pairs, sure = worth.pairs.get(policy.score), np.full(len(samples.keys), np.nan)
    unplaced = np.zeros(len(samples.keys), bool)
    if pairs is not None:
        sure = certainty(pairs, policy.fraction, chooses_highest(policy))
        unplaced = borderline(sure)
    if near is not None:
        unplaced = np.isin(samples.keys, near)
    metadata = _identity(data, target, irreducible, config, policy, samples)
    columns = {
        "k": pa.array(loss_counts.of(samples.keys), pa.int32()),
        **_scores(worth, pairs, sure, bins),
        "irreducible_runs": used,
    }
    return ScoreTable(
        id=sha256_json(metadata)[:16],
        stage=target.config.stage,
        target=target,
        irreducible=tuple(irreducible),
        bank=metadata["bank"],
        keys=samples.keys,
        valuation=worth,
        rows=_rows(metadata, target, columns),
        reliability={name: split_half(part[:, : config.k // 2]) for name, part in worth.pairs.items()},
        reliability_at_cut=1.0 if pairs is None else conditional_reliability(pairs, unplaced, bins),
        near=tuple(key for key, is_near in zip(samples.keys, unplaced) if is_near),
        reference_samples=reference_samples,
        losses=losses,
    )


def _losses(
    data: Path,
    target: Run,
    irreducible: Sequence[Run],
    config: ScoreConfig,
    samples: ScoredSamples,
    loss_counts: LossCounts,
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray, list[list[str]], int]:
    """(the run's losses (N, K), the irreducible ones if there are runs for them, how much changes in each clip, the
    ids of the irreducible runs behind each, how many losses that is in all)."""
    bank, count_N = config.bank.hash[:16], loss_counts.of(samples.keys)
    measured = read_losses(data, target, bank, samples.keys, loss_counts)
    loss, count = measured.values_NK, int(count_N.sum())
    missing = missing_losses(loss, count_N)
    if missing.any():
        raise LedgerError(
            f"{missing.sum()} of {len(loss)} samples are not in the ledger of run {target.path}: run "
            f"`longdance score --run {target.path}`."
        )
    if not irreducible:
        return loss, None, measured.change_N, [[] for _ in samples.keys], count
    floor = irreducible_losses(data, irreducible, bank, samples, loss_counts)
    return loss, floor.values_NK, measured.change_N, floor.runs, count + floor.losses


def _identity(
    data: Path,
    target: Run,
    irreducible: Sequence[Run],
    config: ScoreConfig,
    policy: Policy,
    samples: ScoredSamples,
) -> dict[str, Any]:
    """All that the scores follow from; not the scores themselves, whose last bits are a processor's own."""
    rounds = [config.adaptive, config.reliability, config.most_k] if config.adaptive else [False]
    return {
        "stage": target.config.stage,
        "checkpoint": target.checkpoint.sha256,
        "irreducible": sorted(run.checkpoint.sha256 for run in irreducible),
        "bank": config.bank.hash[:16],
        "scoring": [SCORE_VERSION, config.k, *rounds],
        "score": [policy.score, policy.fraction, chooses_highest(policy)],
        "keys": list(samples.keys),
        "probes": list(samples.holdout_samples),
        "latents": sorted(current_latents(data, target.codec)),
    }


def _rows(metadata: dict[str, Any], target: Run, columns: dict[str, Any]) -> pa.Table:
    """Rows of the catalog's `worth`, which carry what they follow from."""
    count = len(metadata["keys"])
    rows = {
        "evidence": [sha256_json(metadata)[:16]] * count,
        "sample_key": metadata["keys"],
        "stage": [metadata["stage"]] * count,
        "run": [target.run_id] * count,
        "bank": [metadata["bank"]] * count,
        **columns,
    }
    return pa.table(rows).replace_schema_metadata({"longdance": json.dumps(metadata, sort_keys=True)})


def _scores(worth: Valuation, pairs: np.ndarray | None, sure_N: np.ndarray, bins: int) -> dict[str, pa.Array]:
    """The columns of `worth` that are measured: every score, and the error and certainty of the policy's own."""
    error_N = np.full(len(sure_N), np.nan) if pairs is None else standard_error(pairs, bins)
    columns = {**worth.columns, "error": error_N, "certainty": sure_N}
    return {name: pa.array(values, pa.float64(), from_pandas=True) for name, values in columns.items()}


def write_score_table(data: Path, evidence: ScoreTable) -> Path:
    """Keep the scores on disk; the same evidence is the same file."""
    path = DataFolder(data).scores / f"{evidence.id}.parquet"
    with atomic(path) as temp:
        pq.write_table(evidence.rows, temp, write_page_checksum=True)
    return path


def stored_score_tables(data: Path, warn: Callable[[str], None]) -> Iterator[pa.Table]:
    """Every piece of evidence on disk, as rows of the catalog's `worth`; a damaged one is left out and reported."""
    for path in sorted(path for path in DataFolder(data).scores.glob("*.parquet") if not path.name.startswith(".")):
        try:
            yield pq.read_table(path, page_checksum_verification=True).replace_schema_metadata(None)
        except (pa.ArrowException, OSError) as error:
            warn(f"{path} is damaged ({error}): delete it, `longdance prune` makes it again.")


def policy_record(policy: Policy, sql: str, evidence: Sequence[ScoreTable], stored: Sequence[Sample]) -> dict[str, Any]:
    """What a version says about how it was made; `stored` are the data set's samples with what people decided."""
    return {
        "config": policy.model_dump(mode="json"),
        "sql": sql,
        "decisions": {sample.clip_id: sample.decision for sample in stored if sample.decision},
        "evidence": [one.id for one in evidence],
        "bank": sorted({one.bank for one in evidence}),
        "checkpoints": {one.stage: one.target.checkpoint.sha256 for one in evidence},
        "runs": {one.stage: [one.target.run_id, *(run.run_id for run in one.irreducible)] for one in evidence},
    }


def version_samples(
    data: Path,
    parent: str | None,
    stored: Sequence[Sample],
    judged: Sequence[str],
    chosen: Sequence[str],
    policy: Policy,
) -> list[Sample]:
    """What a version holds: of the judged samples those that stay, and its parent's others (the hold-out's).

    Licences come first, then a person's word: no clip that was dropped is in it, and none that was kept goes. Raises
    VersionError for an unknown parent, or where no sample would stay.
    """
    about, picked = set(judged), set(chosen)
    stays = picked if policy.action == "keep" else about - picked
    base = {s.key for s in read_version(data, parent).samples} if parent else None
    held = [s for s in stored if (s.ok if base is None else s.key in base) and s.decision != "drop"]
    if policy.licences:
        held = [s for s in held if s.licence in policy.licences]
        if not held:
            raise VersionError(
                f"No good sample has the licence {' or '.join(policy.licences)}: see "
                '`longdance sql "SELECT licence, count(*) FROM clips GROUP BY ALL"`, and write sources.csv.'
            )
    beyond = clips_beyond(data, policy.measured)
    held = [s for s in held if s.clip_id not in beyond]
    kept = [s for s in held if s.decision == "keep" or s.key in stays or s.key not in about]
    if not kept:
        raise VersionError(f"Of {len(stored)} samples none would stay: prune fewer, or build more clips first.")
    return kept

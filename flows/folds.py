"""The trainings that an irreducible loss comes from: the run's own config, on one half of the sources each."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_catalog.base.files import sha256_json
from model.config import TrainConfig, absolute_folders
from model.scoring.policy import Policy

if TYPE_CHECKING:
    from model.data.versions import Version
    from model.runs.run import Run

FOLDS = 2
COMPARED = ("random", "high_loss", "rho")
"""The policies that `experiment prune` sets against each other, beside the full data."""


@dataclass(frozen=True)
class Fold:
    """One of them, which may not have begun."""

    version: "Version"
    config: TrainConfig
    run: Path


def needs_folds(policy: Policy) -> bool:
    """Whether a policy asks for an irreducible loss."""
    from model.scoring.score_table import NEEDS_IRREDUCIBLE

    return policy.score in NEEDS_IRREDUCIBLE or policy.weights == "rho"


def fold_of(root: Path, target: "Run", fold: int, settings: Mapping[str, Any]) -> Fold:
    """What is trained on one fold of the sources, for the run `target`: half its steps.

    Where the target began from another run, so with the weights that this one saw all sources in, a fold begins where
    that one did, with half the steps of both. Raises DataError (nothing is held out), VersionError (no source in the
    fold), ConfigError, RunError (a run of the chain is gone, or its first weights have seen these sources).
    """
    from model.config import train_config
    from model.data.samples import read_samples
    from model.data.versions import fold_version
    from model.runs.lineage import flatten_init_chain
    from model.scoring.irreducible import require_unseen
    from model.scoring.scored_losses import require_holdout

    version = fold_version(read_samples(root), require_holdout(root, target.config), fold, FOLDS)
    was = target.config.model_dump(mode="json", exclude={"stage"})
    given = absolute_folders(settings)
    changed = {"steps": target.config.steps} if "init" in given else flatten_init_chain(target.config)
    changed |= {"steps": max(1, changed["steps"] // 2), "version": version.name, "prioritise": False}
    settings = {**was, **changed, **given}
    config = train_config(target.config.stage, settings.pop("preset"), **settings)
    require_unseen(root, config.init_source)
    named = f"{target.path.name}-{version.name}-{sha256_json(config.model_dump(mode='json'))[:6]}"
    return Fold(version, config, target.path.with_name(named))

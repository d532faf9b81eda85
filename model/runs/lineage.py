"""Which sources a run's weights have seen: those of its own training, and of every run or export that it began from.

An irreducible loss means something only where the model never saw the sample, not even through its first weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from data_catalog.base.files import read_json, write_json
from data_catalog.base.paths import RunFolder
from model.config import TrainConfig, parse_config
from model.errors import RunError
from model.runs.record import read_record
from model.sources import Init, OtherRun, Pretrained, Scratch

ORIGIN = "origin.json"
"""What an exported folder says of the run that it was."""


def inherited_sources(init: Init, fork: Path | None) -> frozenset[str] | None:
    """What the first weights have seen; None where that is not on record."""
    if fork is not None:
        return seen_sources(fork)
    match init:
        case Scratch():
            return frozenset()
        case OtherRun(path):
            return seen_sources(path)
        case Pretrained(name):
            inner = Path(name) / "unet"  # a pipeline's folder: its network may be an export of ours
            origin = (inner if inner.is_dir() else Path(name)) / ORIGIN
            return _noted(origin, "sources") if origin.is_file() else frozenset()  # weights that others trained


def write_sources(run_dir: Path, own: Iterable[str], inherited: frozenset[str] | None) -> None:
    """Note what the run sees in all, before it begins; null where that cannot be known."""
    write_json(RunFolder(run_dir).sources, None if inherited is None else sorted({*own, *inherited}))


def seen_sources(run_dir: Path) -> frozenset[str] | None:
    """Ids of the sources that a run's weights have seen; None where that is not on record."""
    path = RunFolder(run_dir).sources
    return _noted(path) if path.is_file() else None


def _noted(path: Path, under: str | None = None) -> frozenset[str] | None:
    """The sources that a file lists, None where it says null. Raises RunError for a damaged one."""
    try:
        said = read_json(path)
        seen = said.get(under) if under else said
        if seen is None:
            return None
        if isinstance(seen, list) and all(isinstance(one, str) for one in seen):
            return frozenset(seen)
        why = "it is not a list of sources"
    except (ValueError, AttributeError) as error:
        why = str(error)
    raise RunError(f"{path}, which says what weights have seen, is damaged ({why}): restore it, or train again.")


def read_sources(run_dir: Path) -> frozenset[str]:
    """The same. Raises RunError where it is not on record."""
    seen = seen_sources(run_dir)
    if seen is None:
        raise RunError(
            f"Run {run_dir} does not say which sources its weights have seen (an older longdance trained it, or what "
            "it began from): train it again, or give other runs."
        )
    return seen


def flatten_init_chain(config: TrainConfig) -> dict[str, Any]:
    """Settings of one training that does what a chain of `init=run:` did: what its first run began from and the
    network that this was, the steps of all its runs, and all that learnt in any of them.

    Raises RunError if a run of the chain is gone or damaged.
    """
    chain = [config]
    while isinstance(init := chain[-1].init_source, OtherRun):
        folder = init.path
        if not RunFolder(folder).record.is_file():
            raise RunError(
                f"{folder}, which the weights began from, is gone, so nothing can be trained as they were on other "
                "sources: put it back, or say what to begin from by --set fit.init=scratch."
            )
        chain.append(parse_config(read_record(folder)["identity"]["config"]))
    first, learnt = chain[-1], {one.train for one in chain}
    return {
        **{name: getattr(first, name) for name in ("preset", "init", "network", "prediction")},
        "steps": sum(one.steps for one in chain),
        "train": next(most for most in ("all", "lora", "new") if most in learnt),
    }

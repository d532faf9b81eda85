"""Which sources a run's weights have seen: those of its own training, and of every run or export that it began from.

An irreducible loss means something only where the model never saw the sample, not even through its first weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from model.config import TrainConfig, parse_config
from model.errors import RunError
from pipeline.files import read_json, write_json

SOURCES = "sources.json"
ORIGIN = "origin.json"
"""What an exported folder says of the run that it was."""


def inherited_sources(init: str, fork: Path | None) -> frozenset[str] | None:
    """What the first weights have seen; None where that is not on record."""
    if fork is not None:
        return seen_sources(fork)
    if init.startswith("run:"):
        return seen_sources(Path(init.removeprefix("run:")))
    origin = Path(init) / ORIGIN
    if not origin.is_file():
        return frozenset()  # scratch, or weights that others trained
    seen = read_json(origin).get("sources")
    return None if seen is None else frozenset(seen)


def write_sources(run_dir: Path, own: Iterable[str], inherited: frozenset[str] | None) -> None:
    """Note what the run sees in all, before it begins; null where that cannot be known."""
    write_json(run_dir / SOURCES, None if inherited is None else sorted({*own, *inherited}))


def seen_sources(run_dir: Path) -> frozenset[str] | None:
    """Ids of the sources that a run's weights have seen; None where that is not on record."""
    path = run_dir / SOURCES
    seen = read_json(path) if path.is_file() else None
    return None if seen is None else frozenset(seen)


def read_sources(run_dir: Path) -> frozenset[str]:
    """The same. Raises RunError where it is not on record."""
    seen = seen_sources(run_dir)
    if seen is None:
        raise RunError(
            f"Run {run_dir} does not say which sources its weights have seen (an older longdance trained it, or what "
            "it began from): train it again, or give other runs."
        )
    return seen


def first_weights(config: TrainConfig) -> tuple[str, int]:
    """(what the first run of a chain of `init=run:` began from, the steps of all runs in it).

    Raises RunError if a run of the chain is gone.
    """
    steps, init = config.steps, config.init
    while init.startswith("run:"):
        folder = Path(init.removeprefix("run:"))
        if not (folder / "run.json").is_file():
            raise RunError(
                f"{folder}, which the weights began from, is gone, so nothing can be trained as they were on other "
                "sources: put it back, or say what to begin from by --set fit.init=scratch."
            )
        before = parse_config(read_json(folder / "run.json")["identity"]["config"])
        steps, init = steps + before.steps, before.init
    return init, steps

"""A data set of people who sway, and a choreographer that has seen a little of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.choreography.choreographer import Choreographer
from model.choreography.config import ChoreographerConfig, choreographer_config
from model.training.train import train
from tests.model.dataset import make_dataset

SMALL = {"components": 12, "window_beats": 4, "width": 32, "layers": 2, "heads": 2}


def small_config(**settings: object) -> ChoreographerConfig:
    """A training of a second."""
    quick = {"steps": 10, "batch": 4, "checkpoint_every": 2, "validate_every": 5, "sample_every": 10, "holdout": 0.3}
    few = {"validation_windows": 2, "sample_windows": 1, "sample_steps": 2, "warmup": 2}
    return choreographer_config(**{**quick, **few, "network": SMALL, **settings})


@pytest.fixture(scope="session")
def swaying(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set whose clips are long enough to have beats. Read only."""
    return make_dataset(tmp_path_factory.mktemp("swaying") / "data", frames=121, clips_per_source=1)


@pytest.fixture(scope="session")
def run(swaying: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run. Read only."""
    folder = tmp_path_factory.mktemp("choreographer") / "run"
    train(swaying, folder, small_config(steps=30, batch=8, sample_every=30))
    return folder


@pytest.fixture(scope="session")
def choreographer(run: Path) -> Choreographer:
    """It, opened."""
    return Choreographer.open(run)

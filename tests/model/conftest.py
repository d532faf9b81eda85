"""What the tests of the model share: one small encoded data set, and children that can be killed."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
import torch

from model.data.latents import encode_dataset
from model.training.train import train
from tests.model.dataset import make_dataset, micro_config, micro_encode


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Sums in one order, whatever the machine; and children that agree with this process bit for bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def raw_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built data set without latents. Read only."""
    return make_dataset(tmp_path_factory.mktemp("raw") / "data")


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built data set with latents of `micro_encode`. Read only."""
    data = make_dataset(tmp_path_factory.mktemp("encoded") / "data")
    encode_dataset(data, micro_encode())
    return data


@pytest.fixture(scope="session")
def children() -> ForkServerContext:
    """Starts processes in a hundredth of a second that have imported the trainer already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["model.training.train", "tests.model.children", "torch.utils.tensorboard"])
    return context


@pytest.fixture(scope="session")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a few steps on `dataset`. Read only."""
    run = tmp_path_factory.mktemp("trained") / "run"
    train(dataset, run, micro_config(steps=4, sample_every=50, validate_every=50))
    return run

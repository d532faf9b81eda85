"""A network that paints dances, barely trained."""

from pathlib import Path

import pytest
import torch

from model.config import train_config
from model.data.latents import encode_dataset
from model.training.train import train


@pytest.fixture(scope="module")
def star(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps of training of stage `star`."""
    quiet = {"checkpoint_every": 2, "validate_every": 9, "sample_every": 9, "holdout": 0}
    config = train_config("star", steps=2, batch=2, encode={"picture": 96, "fit_frames": 16}, **quiet)
    encode_dataset(data, config.encode)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return train(data, tmp_path_factory.mktemp("runs") / "star", config).run_dir
    finally:
        torch.set_num_threads(before)

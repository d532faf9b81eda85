"""The filled area weighs nothing in a training's loss, a validation's or a score's, by a bit; and costs no resume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model.data.dataset import load_data
from model.data.latents import encode_dataset
from model.network.conditioning import HINT_NOISE
from model.network.objective import Objective, draw
from model.scoring.policy import BankConfig, ScoreConfig
from model.scoring.score import ScoreJob, Scorer
from model.training.train import train
from model.training.validation import bank_windows, validation_losses
from tests.model.dataset import make_dataset, micro_config, micro_encode

PICTURE = [[8, 2, 26, 32]]
CONFIG = ScoreConfig(bank=BankConfig(bins=2, windows=2), k=8, batch=4)


class Spoiled:
    """A network that says something else where latents do not count."""

    def __init__(self, network: Callable[..., torch.Tensor], counted_HW: np.ndarray, planted: float) -> None:
        self._network, self._counted, self._planted = network, torch.from_numpy(counted_HW), planted

    def __call__(self, *args: Any) -> torch.Tensor:
        said = self._network(*args)
        return torch.where(self._counted, said, torch.full_like(said, self._planted))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(data set whose odd sources are filled, a short run on it)."""
    root = tmp_path_factory.mktemp("filled")
    data = make_dataset(root / "data", picture=PICTURE)
    encode_dataset(data, micro_encode())
    train(data, root / "run", micro_config(steps=6, sample_every=50))
    return data, root / "run"


def job(data: Path, run: Path) -> ScoreJob:
    return ScoreJob.model_validate({"data": data, "run": run, "config": CONFIG})


@pytest.mark.parametrize("planted", [7.0, float("nan")])
def test_errors_planted_in_the_filled_area_of_a_prediction_change_no_score(
    run: tuple[Path, Path], planted: float
) -> None:
    scorer = Scorer(job(*run), torch.device("cpu"))
    samples = scorer.reader.index.samples
    filled = next(place for place, sample in enumerate(samples) if sample.counted is not None)
    counted = scorer.reader.counted(filled, [0])
    assert counted is not None
    assert 0.1 < counted.mean() < 0.6
    honest = scorer.losses(filled)
    network = scorer.network
    scorer.network = Spoiled(network, counted[0], planted)
    assert np.array_equal(scorer.losses(filled), honest)
    scorer.network = Spoiled(network, ~counted[0], 7.0)
    assert not np.array_equal(scorer.losses(filled), honest)


def test_how_much_a_clip_changes_leaves_out_what_is_filled(run: tuple[Path, Path]) -> None:
    scorer = Scorer(job(*run), torch.device("cpu"))
    place = next(n for n, sample in enumerate(scorer.reader.index.samples) if sample.counted is not None)
    x0, y0, x1, y1 = scorer.reader.index.samples[place].counted[0]
    windows = [scorer.bank.window(k, 25) for k in range(0, 8, 2)]
    frames = sorted({frame for window in windows for frame in window.frames})
    latents = scorer.reader.read(place, frames).astype(float)[:, :, y0:y1, x0:x1]
    assert scorer.change(place) == pytest.approx(latents.var(0).mean())


def test_errors_planted_in_the_filled_area_change_no_validation_loss(run: tuple[Path, Path]) -> None:
    data, folder = run
    scorer = Scorer(job(data, folder), torch.device("cpu"))
    index = load_data(data, micro_encode(), holdout=0.0).train
    bank = [item for item in bank_windows(index, "starter", 8) if item.counted is not None]
    assert bank
    counted = bank[0].counted[0].numpy()
    objective = Objective(scorer.network.config.prediction_type, HINT_NOISE["none"])

    def losses(network: Any) -> np.ndarray:
        return validation_losses(network, objective, bank, scorer.text_of, torch.device("cpu"))

    honest = losses(scorer.network)
    assert np.array_equal(losses(Spoiled(scorer.network, counted, float("inf"))), honest)


def test_training_teaches_nothing_about_what_is_filled(run: tuple[Path, Path]) -> None:
    """The gradient of every weight is the same whatever is taught there: here, the targets of other latents."""
    data, folder = run
    scorer = Scorer(job(data, folder), torch.device("cpu"))
    network = scorer.network.train().requires_grad_(True)
    place = next(n for n, sample in enumerate(scorer.reader.index.samples) if sample.counted is not None)
    window = scorer.bank.window(0, 25)
    latents = torch.from_numpy(scorer.reader.read(place, window.frames)).float()[None]
    counted = torch.from_numpy(scorer.reader.counted(place, window.frames))[None]
    draws = draw(0, "training", [0], tuple(latents.shape[2:]), latents.shape[1])
    text = scorer.text_of(scorer.reader.index.samples[place].prompt)[None]
    grads = []
    for prediction in ("epsilon", "v_prediction"):
        for spoil in (False, True):
            network.zero_grad()
            spoiled = _with_other_target(network, counted) if spoil else network
            objective = Objective(prediction, HINT_NOISE["none"])
            objective.denoise(spoiled, latents, [window], draws, text, counted_BFHW=counted).losses().sum().backward()
            grads.append(torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None]))
    assert torch.equal(grads[0], grads[1])
    assert torch.equal(grads[2], grads[3])
    assert grads[0].abs().sum() > 0


def _with_other_target(network: Any, counted_BFHW: torch.Tensor) -> Callable[..., torch.Tensor]:
    """The network, with something added where latents do not count: as if another target were set there."""

    def call(*args: Any) -> torch.Tensor:
        said = network(*args)
        return said + torch.where(counted_BFHW[:, :, None], torch.zeros_like(said), torch.full_like(said, 3.0))

    return call

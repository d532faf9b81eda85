"""The examination is the same every time, and the sampler makes targets of hints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from model.data.dataset import load_data
from model.network.conditioning import FrameConditioning, get_hint_noise
from model.network.diffusion import alpha_sigma
from model.network.objective import Objective
from model.sampling.guidance import Scales
from model.sampling.sample_window import CallSettings
from model.training.ema import Ema, decay_at
from model.training.validation import BINS, bank_windows, bin_log_snr, bin_timesteps, sample_window, validation_losses
from tests.model.dataset import micro_encode

CPU = torch.device("cpu")
HOW = CallSettings("ddim", steps=10, temperature=0.5, hint_noise=0.0, scales=Scales())


def no_text(prompt: str) -> torch.Tensor:
    return torch.zeros(1, 8)


class KnowsTheTruth:
    """Predicts the noise that leads exactly to `truth`."""

    def __init__(self, truth_FCHW: torch.Tensor) -> None:
        self.truth = truth_FCHW

    def __call__(
        self, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor, cond: FrameConditioning
    ) -> torch.Tensor:
        alpha, sigma = alpha_sigma(timestep)
        return (sample[:, :, : self.truth.shape[1]] - alpha * self.truth) / sigma


def test_bins_go_from_clean_to_noisy_and_share_the_timesteps() -> None:
    assert len(bin_timesteps()) == BINS
    assert bin_log_snr() == sorted(bin_log_snr(), reverse=True)
    assert np.diff(bin_timesteps()).tolist() == [125] * (BINS - 1)


def test_the_bank_is_the_same_every_time_and_only_held_out(dataset: Path) -> None:
    split = load_data(dataset, micro_encode(), holdout=0.3)
    first, second = (bank_windows(split.holdout, "starter", 5) for _ in range(2))
    assert len(first) == 5
    for one, two in zip(first, second):
        assert one.window == two.window
        assert torch.equal(one.latents, two.latents)
    objective = Objective("epsilon", get_hint_noise("uniform-0.7"))

    def zero(sample: torch.Tensor, *rest: object) -> torch.Tensor:
        return torch.zeros_like(sample[:, :, :4])

    losses = [validation_losses(zero, objective, bank, no_text, CPU) for bank in (first, second)]
    assert losses[0].shape == (5, BINS)
    assert np.array_equal(*losses)
    assert abs(losses[0].mean() - 1) < 0.1


def test_sampling_with_a_network_that_knows_the_truth_gives_the_truth(dataset: Path) -> None:
    split = load_data(dataset, micro_encode(), holdout=0.3)
    item = bank_windows(split.train, "interpolation", 1)[0]
    made = sample_window(KnowsTheTruth(item.latents), "epsilon", item, no_text, HOW, CPU)
    torch.testing.assert_close(made, item.latents, atol=1e-3, rtol=1e-3)
    hints = [item.window.frames.index(hint) for hint in item.window.hints]
    assert torch.equal(made[hints], item.latents[hints])


def test_the_average_follows_the_weights_and_gives_them_back() -> None:
    layer = torch.nn.Linear(2, 2)
    parameters = dict(layer.named_parameters())
    ema = Ema(parameters, decay=0.5)
    start = layer.weight.detach().clone()
    with torch.no_grad():
        layer.weight.add_(1)
    ema.update(step=100)
    torch.testing.assert_close(ema.averages["weight"], start + 0.5)
    with ema.applied():
        torch.testing.assert_close(layer.weight, start + 0.5)
    torch.testing.assert_close(layer.weight, start + 1)


def test_the_averages_decay_warms_up() -> None:
    assert decay_at(1, 0.9999) < 0.2
    assert decay_at(10**7, 0.9999) == 0.9999

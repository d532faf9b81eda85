"""Guidance adds what hints or text change, in the proportion asked for; samplers find a known answer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from model.network.conditioning import FrameConditioning
from model.network.diffusion import alpha_sigma
from model.plans.stages import Window
from model.sampling.guidance import Denoiser, Scales, TextPair
from model.sampling.samplers import make_scheduler, sample

WINDOW = Window((0, 4), (1, 2, 3), 0)
TEXT = TextPair(torch.full((1, 1, 4), 2.0), torch.zeros(1, 1, 4))


class Adds:
    """Says x_0 = 1 without anything, 10 more with hints, and the text's mean more."""

    def __call__(self, sample: Tensor, timestep: Tensor, text: Tensor, cond: FrameConditioning) -> Tensor:
        alpha, sigma = alpha_sigma(timestep)
        clean = 1.0 + 10.0 * float(cond.given_BF.any()) + float(text.mean())
        return (sample[:, :, :3] - alpha * clean) / sigma


@pytest.mark.parametrize(
    ("hints", "text", "expected"),
    [(1.0, 1.0, 13.0), (2.0, 1.0, 23.0), (0.0, 1.0, 3.0), (1.0, 3.0, 17.0), (1.5, 2.0, 20.0)],
)
def test_guidance_scales_what_hints_and_text_change(hints: float, text: float, expected: float) -> None:
    zeros = torch.zeros(1, 5, 3, 2, 2)
    denoiser = Denoiser(Adds(), "epsilon", WINDOW, zeros, torch.zeros(1, 5), zeros, TEXT, Scales(hints, text))
    made = denoiser(torch.randn(1, 5, 3, 2, 2), 500)[0, 1:4]  # what is said of hints is not used
    torch.testing.assert_close(made, torch.full((3, 3, 2, 2), expected), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["ddim", "dpm++", "euler"])
def test_a_sampler_draws_from_the_distribution_that_its_denoiser_knows(name: str) -> None:
    """Data with mean 1 and spread 0.5: its best denoiser is linear, and samples have that mean and spread.

    But for a little: SD's schedule ends before the signal is gone, and sampling starts without any.
    """

    def denoise(noisy: Tensor, timestep: int) -> Tensor:
        alpha, sigma = (float(x) for x in alpha_sigma(torch.tensor([timestep])))
        gain = alpha * 0.5**2 / (alpha**2 * 0.5**2 + sigma**2)
        return 1 + gain * (noisy - alpha)

    noise = torch.randn(1, 4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    nothing = torch.zeros_like(noise)
    made = sample(denoise, noise, nothing, torch.zeros(1, 4, dtype=torch.bool), sampler=name, steps=60)
    assert made.mean() == pytest.approx(1, abs=0.07)
    assert made.std() == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("name", ["ddim", "dpm++", "euler"])
def test_known_frames_lie_under_the_noise_of_the_step_and_come_back_as_they_are(name: str) -> None:
    seen = []

    def denoise(noisy: Tensor, timestep: int) -> Tensor:
        seen.append((timestep, noisy[0, 1].clone()))
        return torch.zeros_like(noisy)

    noise = torch.randn(1, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    known = torch.full_like(noise, 4.0)
    made = sample(denoise, noise, known, torch.tensor([[False, True]]), sampler=name, steps=10)
    assert torch.equal(made[0, 1], known[0, 1])
    assert [timestep for timestep, _ in seen] == [int(t) for t in make_scheduler(name, 10).timesteps]
    for timestep, noisy in seen[1:]:
        alpha, sigma = (float(x) for x in alpha_sigma(torch.tensor([timestep])))
        assert noisy.mean() == pytest.approx(4 * alpha, abs=0.3)
        assert noisy.std() == pytest.approx(sigma, rel=0.1)

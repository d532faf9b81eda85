"""What a training stresses: bounded weights of mean 1, so that a loss keeps its scale; the ledger stresses nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.config import NoiseWeighting
from model.network.conditioning import FrameConditioning, PoseConditioning
from model.network.diffusion import PredictionType, alpha_sigma, alphas_cumprod, loss_per_sample
from model.network.loss_weights import EVEN, MAX_SNR, LossWeights, noise_weights, place_weights
from model.network.objective import Objective
from model.plans.stages import Window
from tests.model.dataset import micro_config

WINDOWS = [Window((0,), (1, 2, 3), 0), Window((6,), (2, 3, 4), 6)]
SHAPE = (2, 4, 3, 5, 6)
EVERY_TIMESTEP = torch.arange(1000)
weight = st.floats(0, 100)


def scene(seed: int, share_unknown: float = 0.3) -> tuple[torch.Tensor, FrameConditioning, torch.Tensor]:
    """Latents of WINDOWS, what is told of them, and which of them count."""
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn(SHAPE, generator=generator) * torch.rand(2, 1, 1, 5, 6, generator=generator)
    unknown = (torch.rand(2, 4, 5, 6, generator=generator) < share_unknown).float()
    pose = PoseConditioning(torch.zeros(2, 4, 1, 5, 6), latents, unknown, torch.tensor([True, False]))
    counted = torch.rand(2, 4, 5, 6, generator=generator) < 0.7
    counted[:, :, 0, 0] = True
    return latents, FrameConditioning.of(WINDOWS, torch.zeros(2, 4), pose), counted


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), weight, weight, st.booleans())
def test_weights_are_bounded_and_an_even_error_weighs_what_it_did(
    seed: int, moving: float, uncovered: float, some: bool
) -> None:
    latents, cond, mask = scene(seed)
    counted = mask if some else None
    weights = place_weights(LossWeights(moving, uncovered), latents, cond, counted)
    most = 1 + moving + uncovered
    where = ~cond.given_BF[:, :, None, None] & (mask if some else torch.ones_like(mask))
    assert (weights[where] >= (1 - 1e-4) / most).all()
    assert (weights[where] <= most * (1 + 1e-4)).all()
    weighed = loss_per_sample(latents + 2, latents, ~cond.given_BF, counted, weights)
    assert weighed.tolist() == pytest.approx([4, 4], rel=1e-4)


def test_without_anything_to_stress_no_bit_changes() -> None:
    latents, cond, counted = scene(0)
    assert torch.equal(place_weights(LossWeights(), latents, cond, counted)[counted], torch.ones(int(counted.sum())))
    assert not EVEN.weighs_places


def test_what_moves_and_what_is_uncovered_weighs_more_by_what_was_asked_for() -> None:
    latents, unknown = torch.zeros(2, 4, 3, 5, 6), torch.zeros(2, 4, 5, 6)
    latents[:, 1:, :, 0, 0] = 1000.0
    latents[0, 3, :, 0, 0] = 1000.0
    unknown[:, :, 1, 1] = 1
    latents[1, 3, :, 0, 0] = latents[0, 0, :, 0, 0] = 0  # the hints
    pose = PoseConditioning(torch.zeros(2, 4, 1, 5, 6), latents, unknown, torch.tensor([True, False]))
    cond = FrameConditioning.of(WINDOWS, torch.zeros(2, 4), pose)
    weights = place_weights(LossWeights(moving=3, uncovered=7), latents, cond)
    still = weights[:, 1, 4, 4]
    assert (weights[:, 1, 0, 0] / still).tolist() == pytest.approx([4, 4], rel=1e-3)
    assert (weights[:, 1, 1, 1] / still).tolist() == pytest.approx([8, 1], rel=1e-5)  # the second is told no pose
    unposed = place_weights(LossWeights(uncovered=7), latents, replace(cond, pose=None))
    assert torch.equal(unposed, torch.ones_like(unposed))


def test_what_does_not_count_changes_no_weight() -> None:
    latents, cond, counted = scene(3)
    weights = place_weights(LossWeights(5, 5), latents, cond, counted)
    other = torch.where(counted[:, :, None] | cond.given_BF[:, :, None, None, None], latents, 100 * latents + 7)
    assert torch.equal(place_weights(LossWeights(5, 5), other, cond, counted)[counted], weights[counted])


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("kind", ["none", "x0", "min_snr"])
def test_levels_of_noise_weigh_1_in_the_mean(kind: NoiseWeighting, prediction: PredictionType) -> None:
    weights = noise_weights(kind, EVERY_TIMESTEP, prediction)
    assert weights.mean().item() == pytest.approx(1, rel=1e-4)
    assert (weights > 0).all()


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_x0_weighs_errors_of_the_latents_and_min_snr_these_by_the_ratio(prediction: PredictionType) -> None:
    alpha, sigma = (x.flatten().double() for x in alpha_sigma(EVERY_TIMESTEP))
    said_error = alpha / sigma if prediction == "epsilon" else 1 / sigma  # of an error of 1 in the latents
    loss = noise_weights("x0", EVERY_TIMESTEP, prediction).double() * said_error.square()
    assert loss.max().item() == pytest.approx(loss.min().item(), rel=1e-3)
    snr = alphas_cumprod(torch.device("cpu")) / (1 - alphas_cumprod(torch.device("cpu")))
    ratio = noise_weights("min_snr", EVERY_TIMESTEP, prediction) / noise_weights("x0", EVERY_TIMESTEP, prediction)
    expected = snr.clamp(max=MAX_SNR)
    assert (ratio / ratio[-1]).tolist() == pytest.approx((expected / expected[-1]).tolist(), rel=1e-3)


def test_a_runs_validations_and_scores_stress_nothing() -> None:
    stressed = micro_config("any", weigh_moving=4, weigh_uncovered=4, weigh_noise="min_snr", error_share=0.5)
    assert Objective.of(stressed, "v_prediction") == Objective.of(micro_config("any"), "v_prediction")

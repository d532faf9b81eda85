from __future__ import annotations

import math

import pytest
import torch
from diffusers import DDIMScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from model.network.diffusion import (
    SCHEDULER_CONFIG,
    PredictionType,
    add_noise,
    alpha_sigma,
    alphas_cumprod,
    log_snr,
    loss_per_sample,
    predicted_latents,
    prediction_target,
)

CPU = torch.device("cpu")
X, NOISE = (torch.randn(2, 3, 4, 5, 5, generator=torch.Generator().manual_seed(n)) for n in range(2))
T = torch.tensor([3, 800])


def test_the_schedule_is_sd15s() -> None:
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    expected = torch.cumprod(1 - betas, 0)
    assert alphas_cumprod(CPU).shape == (1000,)
    torch.testing.assert_close(alphas_cumprod(CPU).double(), expected, rtol=1e-4, atol=1e-7)


def test_noise_and_targets_are_those_of_diffusers() -> None:
    scheduler = DDIMScheduler.from_config(SCHEDULER_CONFIG)
    torch.testing.assert_close(add_noise(X, NOISE, T), scheduler.add_noise(X, NOISE, T))
    torch.testing.assert_close(prediction_target(X, NOISE, T, "v_prediction"), scheduler.get_velocity(X, NOISE, T))
    assert prediction_target(X, NOISE, T, "epsilon") is NOISE


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_the_true_prediction_gives_back_the_latents(kind: PredictionType) -> None:
    target = prediction_target(X, NOISE, T, kind)
    torch.testing.assert_close(predicted_latents(target, add_noise(X, NOISE, T), T, kind), X, rtol=1e-3, atol=1e-4)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 999))
def test_log_snr_is_that_of_alpha_and_sigma_and_the_schedule_preserves_variance(t: int) -> None:
    alpha, sigma = (x.item() for x in alpha_sigma(torch.tensor([t])))
    assert alpha**2 + sigma**2 == pytest.approx(1, abs=1e-6)
    assert log_snr(torch.tensor([t])).item() == pytest.approx(2 * math.log(alpha / sigma), abs=2e-3)


def test_a_schedule_first_used_for_sampling_can_still_train() -> None:
    alphas_cumprod.cache_clear()
    with torch.inference_mode():
        add_noise(X, NOISE, T)
    weight = torch.ones((), requires_grad=True)
    (alpha_sigma(T)[0] * weight).sum().backward()
    assert weight.grad is not None


def test_loss_is_one_mean_per_sample_over_its_target_frames() -> None:
    error = torch.zeros(2, 3, 4, 5, 5)
    error[0, 0], error[0, 1], error[0, 2], error[1, 2] = 100.0, 1.0, 3.0, 2.0
    is_target = torch.tensor([[False, True, True], [False, False, True]])
    loss = loss_per_sample(X + error, X, is_target)
    assert loss.tolist() == pytest.approx([(1 + 9) / 2, 4.0], rel=1e-5)


def test_hints_carry_no_gradient() -> None:
    prediction = X.clone().requires_grad_()
    is_target = torch.tensor([[False, True, True], [True, False, True]])
    loss_per_sample(prediction, NOISE, is_target).sum().backward()
    assert torch.equal(prediction.grad.abs().flatten(2).sum(-1) > 0, is_target)


def test_loss_of_half_precision_predictions_is_float32() -> None:
    assert loss_per_sample(X.bfloat16(), X, torch.ones(2, 3, dtype=torch.bool)).dtype == torch.float32


def counted_mask(*kept: tuple[slice, slice]) -> torch.Tensor:
    """(2, 3, 5, 5): of each sample a rectangle, in all frames."""
    mask = torch.zeros(2, 3, 5, 5, dtype=torch.bool)
    for sample, (rows, columns) in zip(mask, kept):
        sample[:, rows, columns] = True
    return mask


ALL = (slice(None), slice(None))
IS_TARGET = torch.tensor([[False, True, True], [True, True, False]])


@pytest.mark.parametrize("planted", [1e3, 1e30, float("inf"), float("nan")])
def test_what_is_said_where_latents_do_not_count_changes_no_bit_of_loss_or_gradient(planted: float) -> None:
    counted = counted_mask((slice(1, 4), slice(0, 3)), ALL)
    clean = (X + 0.3 * NOISE).requires_grad_()
    spoiled = torch.where(counted[:, :, None], clean.detach(), torch.full_like(clean, planted)).requires_grad_()
    losses = [loss_per_sample(prediction, X, IS_TARGET, counted) for prediction in (clean, spoiled)]
    assert torch.equal(*losses)
    for loss in losses:
        loss.sum().backward()
    assert torch.equal(clean.grad, spoiled.grad)
    assert not clean.grad[~counted[:, :, None].expand_as(clean)].any()


def test_the_loss_of_the_latents_that_count_is_their_mean() -> None:
    error = torch.full_like(X, 100.0)
    error[0, :, :, 1:4, 0:3], error[1] = 2.0, 3.0
    counted = counted_mask((slice(1, 4), slice(0, 3)), ALL)
    assert loss_per_sample(X + error, X, IS_TARGET, counted).tolist() == pytest.approx([4.0, 9.0], rel=1e-4)


def test_a_sample_whose_latents_all_count_has_the_same_bits_as_without_the_mask() -> None:
    prediction = X + 0.3 * NOISE
    plain = loss_per_sample(prediction, X, IS_TARGET)
    assert torch.equal(loss_per_sample(prediction, X, IS_TARGET, counted_mask(ALL, ALL)), plain)
    beside = loss_per_sample(prediction, X, IS_TARGET, counted_mask((slice(0, 2), slice(0, 2)), ALL))
    assert torch.equal(beside[1], plain[1])
    assert not torch.equal(beside[0], plain[0])


def test_a_frame_without_a_latent_that_counts_is_no_target() -> None:
    error = torch.zeros_like(X)
    error[:, 1], error[:, 2] = 2.0, 50.0
    counted = counted_mask(ALL, ALL)
    counted[0, 2] = False
    loss = loss_per_sample(X + error, X, torch.tensor([[False, True, True]] * 2), counted)
    assert loss[0].item() == pytest.approx(4.0, rel=1e-4)

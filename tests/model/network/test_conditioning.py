from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.errors import ShapeError, UnknownNameError
from model.network.conditioning import (
    HINT_NOISE,
    MAX_LOG_SNR,
    FrameConditioning,
    FrameEmbedding,
    HintNoise,
    blended_hints,
    get_hint_noise,
    log_snr_of,
    nearest_hint,
    network_input,
    noise_hints,
    noise_to_signal_of,
)
from model.plans.stages import STAGES, Window, draw_window
from tests.model.networks import WINDOWS

CLEAN = torch.zeros(2, 7)


@given(st.floats(0.0, 2.0))
def test_hint_noise_keeps_the_variance_and_has_the_ratio_asked_for(ratio: float) -> None:
    level = torch.full((1, 1), ratio)
    ones, zeros = torch.ones(1, 1, 1, 1, 1), torch.zeros(1, 1, 1, 1, 1)
    alpha, sigma = noise_hints(ones, zeros, level).item(), noise_hints(zeros, ones, level).item()
    assert alpha**2 + sigma**2 == pytest.approx(1, rel=1e-5)
    assert sigma == pytest.approx(ratio * alpha, rel=1e-5, abs=1e-7)


def test_a_hint_without_noise_is_exactly_itself() -> None:
    x = torch.randn(2, 3, 4, 5, 5)
    assert torch.equal(noise_hints(x, torch.randn_like(x), torch.zeros(2, 3)), x)


def test_the_origins_settings_are_its_noise_to_signal() -> None:
    draws = torch.rand(2, 7)
    for name, ratio in (("origin-0.33", 0.33), ("origin-0.66", 0.66)):
        level = noise_to_signal_of(WINDOWS, HINT_NOISE[name], draws)
        assert level[1, [0, 4, 6]].tolist() == pytest.approx([ratio] * 3) or level.max().item() == pytest.approx(ratio)
        assert log_snr_of(level).min().item() == pytest.approx(-2 * math.log(ratio), rel=1e-5)


@given(st.sampled_from(sorted(STAGES)), st.integers(0, 10**6))
def test_noise_never_falls_on_targets_or_on_frame_0_of_the_sequence(stage: str, position: int) -> None:
    window = draw_window(stage, seed=0, position=position, group=0)
    frames = torch.tensor(window.frames)
    level = noise_to_signal_of([window], HintNoise(0.1, 0.7), torch.rand(1, len(frames)))[0]
    noised = set(frames[level > 0].tolist())
    assert noised == set(window.hints) - {window.first}


def test_every_hint_draws_its_own_level() -> None:
    draws = torch.rand(2, 7, generator=torch.Generator().manual_seed(0))
    level = noise_to_signal_of(WINDOWS, HINT_NOISE["uniform-0.7"], draws)
    drawn = level[level > 0]
    assert len(drawn) == len(drawn.unique()) == 6
    assert drawn.max() < 0.7


def test_a_clean_hint_has_the_highest_log_snr_and_it_is_finite() -> None:
    assert log_snr_of(torch.tensor([0.0, 1.0])).tolist() == pytest.approx([MAX_LOG_SNR, 0.0], abs=1e-5)


def test_indices_are_real_and_signed_and_do_not_change_with_a_shift() -> None:
    cond = FrameConditioning.of(WINDOWS, CLEAN)
    assert cond.frame_index_BF.tolist() == [[-10, -9, -8, -4, 0, 4, 8], [-1, 0, 1, 3, 4, 6, 7]]
    assert cond.given_BF[0].tolist() == [True] * 4 + [False] * 3
    shifted = FrameConditioning.of([window.shifted(31) for window in WINDOWS], CLEAN)
    assert torch.equal(shifted.frame_index_BF, cond.frame_index_BF)


def test_frames_farther_than_any_clip_can_teach_look_as_far_as_one_can() -> None:
    window = Window((0, 700, 704), (708,), first=0)
    cond = FrameConditioning.of([window], torch.zeros(1, 4))
    assert cond.frame_index_BF.tolist() == [[-180, -8, -4, 0]]


def test_every_frame_finds_its_nearest_hint_and_of_two_the_earlier() -> None:
    window = Window((0, 4, 8), (1, 2, 3, 5, 6, 7), first=None)
    hints = torch.arange(9.0).view(1, 9, 1, 1, 1)
    filled = nearest_hint(hints, FrameConditioning.of([window], torch.zeros(1, 9)))
    assert filled.flatten().tolist() == [0, 0, 0, 4, 4, 4, 4, 8, 8]


def test_clean_hints_blend_in_inverse_proportion_to_their_distance() -> None:
    window = Window((0, 4), (1, 2, 3, 8), first=0)
    hints = torch.tensor([0.0, 9, 9, 9, 4, 9]).view(1, 6, 1, 1, 1)
    blended = blended_hints(hints, FrameConditioning.of([window], torch.zeros(1, 6)))
    assert blended.flatten().tolist() == pytest.approx([0, 1, 2, 3, 4, 4 * 2 / 3], abs=0.01)


def test_blended_hints_show_what_stands_still_with_less_noise_than_any_noisy_hint() -> None:
    still = torch.randn(2, 1, 4, 32, 32).expand(-1, 7, -1, -1, -1)
    level = noise_to_signal_of(WINDOWS, HINT_NOISE["origin-0.66"], torch.rand(2, 7))
    cond = FrameConditioning.of(WINDOWS, level)
    noisy = noise_hints(still, torch.randn(still.shape), level)
    error = (blended_hints(noisy, cond) - still).square().mean((2, 3, 4))
    assert error[0].max() < 0.33 * 0.66**2  # frame 0, which has no noise, is one of its hints
    assert error[1].max() < 0.67 * 0.66**2
    silent = blended_hints(noise_hints(still, torch.zeros(still.shape), level), cond)
    torch.testing.assert_close(silent, still, rtol=1e-4, atol=1e-4)


def test_without_any_hint_the_blend_and_the_hint_channels_are_zero() -> None:
    cond = FrameConditioning.of(WINDOWS, CLEAN)
    dropped = FrameConditioning(cond.frame_index_BF, cond.hint_log_snr_BF, torch.zeros_like(cond.given_BF))
    noisy, hints = torch.randn(2, 7, 4, 3, 3), torch.randn(2, 7, 4, 3, 3)
    out = network_input(noisy, hints, dropped)
    assert torch.equal(out[:, :, :4], noisy)
    assert out[:, :, 4].eq(1).all()
    assert out[:, :, 5:].eq(0).all()
    assert blended_hints(hints, dropped).eq(0).all()


def test_the_input_is_noisy_mask_hint_and_never_shows_a_target() -> None:
    cond = FrameConditioning.of(WINDOWS, CLEAN)
    noisy, latents = torch.randn(2, 7, 4, 3, 3), torch.randn(2, 7, 4, 3, 3)
    out = network_input(noisy, latents, cond)
    assert out.shape == (2, 7, 9, 3, 3)
    assert torch.equal(out[:, :, 4, 0, 0] == 1, ~cond.given_BF)
    assert torch.equal(out[:, :, :4][cond.given_BF], latents[cond.given_BF])
    assert torch.equal(out[:, :, 5:][cond.given_BF], latents[cond.given_BF])
    assert torch.equal(out[:, :, :4][~cond.given_BF], noisy[~cond.given_BF])
    other = torch.where(cond.given_BF[:, :, None, None, None], latents, torch.full_like(latents, torch.nan))
    assert torch.equal(network_input(noisy, other, cond), out), "latents of frames to be made must not be read"


def test_shapes_that_disagree_are_refused() -> None:
    with pytest.raises(ShapeError, match="give all the same"):
        network_input(torch.zeros(2, 6, 4, 3, 3), torch.zeros(2, 6, 4, 3, 3), FrameConditioning.of(WINDOWS, CLEAN))


def test_the_embedding_starts_at_zero_and_then_tells_sign_noise_and_given_apart() -> None:
    torch.manual_seed(0)
    layer = FrameEmbedding(16)
    index = torch.tensor([[-4.0, 4.0, 4.0, 4.0, 5.0]])
    noise = torch.tensor([[MAX_LOG_SNR, MAX_LOG_SNR, 1.0, 1.0, 1.0]])
    cond = FrameConditioning(index, noise, torch.tensor([[True, True, True, False, False]]))
    assert layer(cond).abs().max() == 0
    torch.nn.init.normal_(layer.out.weight)
    out = layer(cond)[0]
    assert torch.cdist(out, out)[~torch.eye(5, dtype=torch.bool)].min() > 1e-2
    louder = FrameConditioning(index, noise + torch.tensor([0, 0, 0, 3.0, 3.0]), cond.given_BF)
    assert torch.equal(layer(louder), layer(cond)), "a frame that is not given has no hint noise"


def test_an_unknown_hint_noise_is_named_in_the_error() -> None:
    with pytest.raises(UnknownNameError, match=r"hint noise 'lots'.*origin-0.66"):
        get_hint_noise("lots")


def test_a_window_without_hints_has_nothing_given_and_nothing_in_its_hint_channels() -> None:
    windows = [Window((0, 4), (8, 12), 0), Window((0, 4), (8, 12), 0)]
    cond = FrameConditioning.of(windows, torch.zeros(2, 4)).without_hints(torch.tensor([False, True]))
    noisy, hints = torch.full((2, 4, 3, 2, 2), 5.0), torch.ones(2, 4, 3, 2, 2)
    kept, dropped = network_input(noisy, hints, cond)
    assert cond.given_BF.tolist() == [[True, True, False, False], [False] * 4]
    assert (kept[:2, :3] == 1).all()
    assert (dropped[:, :3] == 5).all()
    assert (dropped[:, 3] == 1).all()
    assert (dropped[:, 4:] == 0).all()

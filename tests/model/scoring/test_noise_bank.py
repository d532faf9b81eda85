"""The bank is a pure function of its config: the same pairs for all samples and models, spread over log-SNR."""

from __future__ import annotations

import pytest
import torch

from model.scoring.noise_bank import Bank
from model.scoring.policy import BankConfig

SHAPE = (4, 8, 8)


def bank(**settings: int) -> Bank:
    return Bank(BankConfig(**settings), "extrapolation")


def draws(made: Bank, ks: list[int]):
    return made.draws(ks, [made.window(k) for k in ks], SHAPE)


def test_the_two_members_of_a_pair_share_all_but_the_sign_of_their_noise() -> None:
    made = draws(bank(), [4, 5])
    assert made.timestep_B[0] == made.timestep_B[1]
    assert torch.equal(made.noise_BFCHW[0], -made.noise_BFCHW[1])
    assert torch.equal(made.hint_noise_BFCHW[0], -made.hint_noise_BFCHW[1])
    assert torch.equal(made.hint_level_BF[0], made.hint_level_BF[1])
    assert bank().window(4) == bank().window(5)


def test_draws_depend_on_seed_k_and_frame_alone() -> None:
    alone, together = draws(bank(), [6]), draws(bank(), [0, 2, 6])
    assert torch.equal(alone.noise_BFCHW[0], together.noise_BFCHW[2])
    assert torch.equal(alone.hint_level_BF[0], together.hint_level_BF[2])
    window = bank().window(6)
    one_frame_on = bank().draws([6], [window.shifted(1)], SHAPE).noise_BFCHW
    shared = [f for f in window.frames if f + 1 in window.frames]
    for frame in shared:
        place = window.frames.index(frame + 1)
        assert torch.equal(alone.noise_BFCHW[0, place], one_frame_on[0, window.frames.index(frame)])
    assert not torch.equal(alone.noise_BFCHW, draws(bank(seed=1), [6]).noise_BFCHW)


@pytest.mark.parametrize("bins", [1, 3, 4, 8])
def test_every_bin_gets_as_many_pairs_and_timesteps_stay_in_their_bin_and_differ(bins: int) -> None:
    made, ks = bank(bins=bins), range(2 * bins * 6)
    for k in ks:
        assert made.timestep(k) * bins // 1000 == made.bin(k)
    counts = [sum(made.bin(k) == b for k in ks) for b in range(bins)]
    assert counts == [12] * bins
    assert len({made.timestep(k) for k in ks}) == 6 * bins
    levels = [made.log_snr(k) for k in range(0, 2 * bins, 2)]
    assert levels == sorted(levels, reverse=True)


def test_each_bin_meets_each_window_and_windows_fit_the_clip() -> None:
    made = bank(bins=4, windows=4)
    met = {(made.bin(k), made.window_number(k)) for k in range(2 * 16)}
    assert len(met) == 16
    for k in range(8):
        assert 0 <= made.window(k, 61).frames[0] < made.window(k, 61).frames[-1] < 61


def test_another_setting_is_another_bank_and_k_is_not() -> None:
    assert len({bank().id, bank(seed=1).id, bank(bins=8).id, bank(windows=1).id}) == 4
    assert bank().id == BankConfig().hash[:16]

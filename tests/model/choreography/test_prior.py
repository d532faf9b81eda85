"""Noise moves as the dances do, leaves alone what is known, and goes on from it without a jump."""

import numpy as np
import torch

from model.choreography.prior import DancePrior, Style, autocovariance


def waves(count: int = 60, keys: int = 48) -> list[torch.Tensor]:
    """Sines of two periods and random phases, one component each."""
    phases = torch.from_numpy(np.random.default_rng(0).uniform(0, 2 * np.pi, (count, 2))).float()
    times = torch.arange(keys)[:, None]
    return [torch.sin(2 * np.pi * times / torch.tensor([8.0, 24.0]) + phase) for phase in phases]


WAVES = autocovariance(waves(), 16)
PRIOR = DancePrior(WAVES)
UNTOLD = torch.zeros(1, 18 * 2)
UNIT = torch.randn(500, 16, 2, generator=torch.Generator().manual_seed(0))


def test_what_follows_one_pose_has_the_size_and_the_pace_of_the_dances():
    real, untold = torch.stack([wave[:16] for wave in waves(500)]), UNTOLD.expand(500, -1)
    made = PRIOR.mean(real, [1] * 500, untold) + PRIOR.coloured(UNIT, [1] * 500, untold)
    assert np.allclose(made.std((0, 1)), real.std((0, 1)), atol=0.12)
    steps, wanted = (torch.diff(values, dim=1).std((0, 1)) for values in (made, real))
    assert steps[0] > 1.5 * steps[1]
    assert np.allclose(steps, wanted, atol=0.15)


def test_what_is_known_is_kept_and_what_follows_goes_on_from_it():
    window = torch.stack([wave[:16] for wave in waves(20)])
    expected = PRIOR.mean(window, [8] * 20, UNTOLD.expand(20, -1))
    assert torch.equal(expected[:, :8], window[:, :8])
    assert not PRIOR.coloured(torch.ones(1, 16, 2), [8], UNTOLD)[:, :8].any()
    jump = (expected[:, 8] - window[:, 7]).abs().mean()
    assert jump < 1.3 * torch.diff(window, dim=1).abs().mean()
    assert (expected[:, 8] - window[:, 8]).abs().mean() < 0.5 * (window[:, 8]).abs().mean()


def test_a_style_s_dance_goes_about_its_mean_as_far_and_as_fast_as_it_does():
    times = torch.arange(48)[:, None]
    dance = torch.tensor([2.0, 0.0]) + torch.cat([0.5 * torch.sin(times * np.pi / 2), torch.sin(times * np.pi / 12)], 1)
    packed = Style.of(dance, WAVES).packed()[None].expand(500, -1)
    made = PRIOR.mean(dance[None, :1].expand(500, -1, -1), [1] * 500, packed) + PRIOR.coloured(UNIT, [1] * 500, packed)
    free = PRIOR.coloured(UNIT, [1] * 500, UNTOLD.expand(500, -1))
    assert abs(made[:, 4:, 0].mean() - 2) < 0.2
    assert abs(made[:, 4:, 0].std() - 0.36) < 0.1
    pace, usual = (torch.diff(of[:, 4:, 0], dim=1).std() / of[:, 4:, 0].std() for of in (made, free))
    assert pace > 1.2 * usual

"""Noise moves as the dances do, leaves alone what is known, and goes on from it without a jump."""

import numpy as np
import torch

from model.choreography.prior import DancePrior, autocovariance


def waves(count: int = 60, keys: int = 48) -> list[torch.Tensor]:
    """Sines of two periods and random phases, one component each."""
    phases = torch.from_numpy(np.random.default_rng(0).uniform(0, 2 * np.pi, (count, 2))).float()
    times = torch.arange(keys)[:, None]
    return [torch.sin(2 * np.pi * times / torch.tensor([8.0, 24.0]) + phase) for phase in phases]


WAVES = autocovariance(waves(), 16)
PRIOR = DancePrior(WAVES, WAVES)
UNTOLD = torch.zeros(1, 4)


def test_what_follows_one_pose_has_the_size_and_the_pace_of_the_dances():
    unit = torch.randn(500, 16, 2, generator=torch.Generator().manual_seed(0))
    real, untold = torch.stack([wave[:16] for wave in waves(500)]), UNTOLD.expand(500, -1)
    made = PRIOR.mean(real, [1] * 500, untold) + PRIOR.coloured(unit, [1] * 500, untold)
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


def test_what_follows_goes_to_the_style_s_mean_and_as_far_as_the_style_goes():
    style = torch.tensor([[2.0, 0.0, 0.5, 1.0]])
    unit = torch.randn(500, 16, 2, generator=torch.Generator().manual_seed(0))
    made = PRIOR.coloured(unit, [1] * 500, style.expand(500, -1))
    free = PRIOR.coloured(unit, [1] * 500, UNTOLD.expand(500, -1))
    assert torch.allclose(made[..., 0], free[..., 0] / 2)
    assert torch.allclose(made[..., 1], free[..., 1])
    expected = PRIOR.mean(torch.zeros(1, 16, 2), [1], style)[0, :, 0]
    assert expected[0] == 0
    assert (expected[4:] - 2).abs().max() < 2.3
    assert expected.mean() > 1

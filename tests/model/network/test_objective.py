"""Drop-out of hints: by position, in the share asked for, and the loss stays that of the targets."""

from __future__ import annotations

import pytest
import torch

from model.network.conditioning import FrameConditioning, get_hint_noise
from model.network.diffusion import PredictionType, alpha_sigma
from model.network.objective import Objective, draw, dropped_hints
from model.network.unet import VideoUNet
from model.plans.stages import Window
from model.sampling.guidance import Scales, TextPair
from model.sampling.sample_window import CallNoise, CallSettings, make_window
from tests.model.networks import unet2d

WINDOWS = [Window((0, 2), (4, 6), 0), Window((0, 2), (4, 6), 0)]
SHAPE = (3, 2, 2)


class Records:
    """A network that says nothing and keeps what it was given."""

    def __call__(
        self, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor, cond: FrameConditioning
    ) -> torch.Tensor:
        self.sample, self.cond = sample, cond
        return torch.zeros_like(sample[:, :, : SHAPE[0]])


def losses(without: torch.Tensor | None) -> tuple[torch.Tensor, Records]:
    """The losses of WINDOWS on fixed latents."""
    network, draws = Records(), draw(0, "test", [0, 1], SHAPE, 4)
    latents = torch.ones(2, 4, *SHAPE)
    objective = Objective("epsilon", get_hint_noise("uniform-0.7"))
    return objective.denoise(network, latents, WINDOWS, draws, torch.zeros(2, 1, 8), without).losses(), network


def test_dropped_hints_are_drawn_by_position_in_the_share_that_was_asked_for() -> None:
    dropped = dropped_hints(0, range(2000), 0.2)
    assert 0.17 < dropped.float().mean() < 0.23
    assert torch.equal(dropped[500:600], dropped_hints(0, range(500, 600), 0.2))
    assert not torch.equal(dropped, dropped_hints(1, range(2000), 0.2))


def test_a_sample_without_hints_is_given_none_and_its_loss_is_still_that_of_its_targets() -> None:
    with_hints, seen = losses(None)
    assert seen.cond.given_BF.tolist() == [[True, True, False, False]] * 2
    mixed, seen = losses(torch.tensor([False, True]))
    assert seen.cond.given_BF.tolist() == [[True, True, False, False], [False] * 4]
    assert (seen.sample[1, :, SHAPE[0] + 1 :] == 0).all()
    # The network says 0 either way, so a loss over the same frames is the same number.
    assert torch.equal(with_hints, mixed)


def test_the_loss_is_that_of_the_targets_alone_and_one_number_a_sample() -> None:
    found, _ = losses(None)
    noise = draw(0, "test", [0, 1], SHAPE, 4).noise_BFCHW
    assert torch.allclose(found, noise[:, 2:].square().mean((1, 2, 3, 4)))  # the network says 0, epsilon was asked for


@torch.no_grad()
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_the_loss_of_one_step_is_the_error_of_what_a_sampler_of_one_step_makes(prediction: PredictionType) -> None:
    torch.manual_seed(0)
    network = VideoUNet(unet2d=dict(unet2d(9, out_channels=8).config), prediction_type=prediction, residual_std=0.5)
    network.eval()
    window, latents, text = Window((0,), (3, 4), 0), torch.randn(3, 4, 8, 8), torch.zeros(1, 1, 8)
    objective = Objective(prediction, get_hint_noise("none"), one_step=True)
    losses = [
        objective.denoise(network, latents[None], [window], draw(0, "test", [position], (4, 8, 8), 3), text).losses()
        for position in range(2)
    ]
    noise = CallNoise.of(0, "test", 0, window, (4, 8, 8))
    how = CallSettings("ddim", 1, 0.0, 0.0, Scales())
    known = {0: latents[0]}
    made = make_window(
        network, prediction, window, known, frozenset(), noise, TextPair(text, text), how, torch.device("cpu")
    )
    assert losses[0] == losses[1]  # nothing is drawn
    assert torch.allclose(losses[0], (made - latents)[1:].square().mean(), rtol=1e-4)


def test_the_network_sees_noisy_targets_and_noisy_hints_and_frame_0_clean() -> None:
    _, seen = losses(None)
    draws, channels = draw(0, "test", [0, 1], SHAPE, 4), SHAPE[0]
    alpha, sigma = (x.view(2, 1, 1, 1, 1) for x in alpha_sigma(draws.timestep_B))
    noisy = alpha * torch.ones(2, 4, *SHAPE) + sigma * draws.noise_BFCHW
    targets, hints = seen.sample[:, 2:], seen.sample[:, :2, channels + 1 :]
    assert torch.allclose(targets[:, :, :channels], noisy[:, 2:], atol=1e-6)
    assert (hints[:, 0] == 1).all()
    level = (-seen.cond.hint_log_snr_BF[:, 1] / 2).exp().view(2, 1, 1, 1)
    assert (level > 0.001).all()
    expected = (1 + level * draws.hint_noise_BFCHW[:, 1]) / (1 + level**2).sqrt()
    assert torch.allclose(hints[:, 1], expected, atol=1e-5)

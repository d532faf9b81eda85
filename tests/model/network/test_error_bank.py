"""The bank of a network's own errors: bounded, by position, on hints that a network makes, the same after a resume."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.network.conditioning import FrameConditioning, PoseConditioning, get_hint_noise
from model.network.error_bank import SIZE, ErrorBank
from model.network.objective import Objective, draw
from model.plans.stages import Window

SHAPE = (2, 3, 3)
WINDOWS = [Window((0, 2), (4, 6), 0), Window((1, 9), (3, 5), None)]


def constant(*values: float) -> torch.Tensor:
    """Errors of windows of WINDOWS that are these numbers everywhere."""
    return torch.tensor(values).view(-1, 1, 1, 1, 1).expand(-1, 4, *SHAPE)


def filled(count: int, seed: int = 0) -> ErrorBank:
    """A bank that has seen errors 1, 2, ..., count."""
    bank = ErrorBank(SHAPE, seed)
    for number in range(count):
        bank.keep(constant(number + 1.0), WINDOWS[:1], [number])
    return bank


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 3 * SIZE))
def test_it_keeps_the_newest_and_no_more_than_it_holds(count: int) -> None:
    bank = filled(count)
    assert len(bank) == min(count, SIZE)
    drawn = {float(bank.draw(WINDOWS[1:], [p], 1.0)[0, 0].mean()) for p in range(500)}
    assert drawn <= set(map(float, range(max(1, count - SIZE + 1), count + 1))) | ({0.0} if not count else set())


def test_an_empty_bank_adds_nothing() -> None:
    assert not ErrorBank(SHAPE, 0).draw(WINDOWS, [0, 1], 1.0).any()


def test_errors_fall_on_hints_that_a_network_made_in_the_share_of_windows_that_was_asked_for() -> None:
    bank = filled(10)
    erred = 0
    for position in range(1000):
        drawn = bank.draw(WINDOWS, [position, position + 5000], 0.3).flatten(2).abs().sum(2) > 0
        assert drawn[0].tolist() in ([False, True, False, False], [False] * 4)  # never on frame 0 of the sequence
        assert drawn[1].tolist() in ([True, False, False, True], [False] * 4)
        erred += int(drawn[0].any()) + int(drawn[1].any())
    assert 0.27 < erred / 2000 < 0.33


def test_what_is_drawn_is_a_function_of_seed_position_and_what_was_kept() -> None:
    bank, positions = filled(20), [7, 8]
    drawn = bank.draw(WINDOWS, positions, 1.0)
    assert torch.equal(drawn, bank.draw(WINDOWS, positions, 1.0))
    assert torch.equal(drawn[1:], bank.draw(WINDOWS[1:], positions[1:], 1.0))
    again = ErrorBank(SHAPE, 0)
    again.load(bank.state())
    assert torch.equal(drawn, again.draw(WINDOWS, positions, 1.0))
    again.keep(constant(99.0), WINDOWS[:1], [20])
    bank.keep(constant(99.0), WINDOWS[:1], [20])
    assert all(torch.equal(bank.state()[name], again.state()[name]) for name in bank.state())
    others = [filled(20, seed=1).draw(WINDOWS, [p, p], 1.0) for p in positions]
    assert not all(torch.equal(drawn, other) for other in others)


def test_an_error_is_that_of_a_target_and_one_that_is_no_number_is_passed_over() -> None:
    bank, errors = ErrorBank(SHAPE, 0), torch.zeros(1, 4, *SHAPE)
    errors[0, 2:] = 5.0
    bank.keep(errors, WINDOWS[:1], [0])
    bank.keep(constant(float("nan")), WINDOWS[:1], [1])
    assert len(bank) == 1
    assert (bank.state()["errors"][0] == 5).all()


class Records:
    """A network that says nothing and keeps what it was given."""

    def __call__(
        self, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor, cond: FrameConditioning
    ) -> torch.Tensor:
        self.sample = sample
        return torch.zeros_like(sample[:, :, : SHAPE[0]])


def test_the_network_sees_errors_on_hints_and_on_what_they_show_of_each_pose_and_is_to_say_the_truth() -> None:
    network, latents, errors = Records(), torch.ones(1, 4, *SHAPE), torch.zeros(1, 4, *SHAPE)
    errors[:, 1] = 10.0  # on frame 2, which is the nearest hint of frames 4 and 6
    pose = PoseConditioning(
        torch.zeros(1, 4, 1, 3, 3), 2 * torch.ones(1, 4, *SHAPE), torch.zeros(1, 4, 3, 3), torch.tensor([True])
    )
    draws, text = draw(0, "test", [0], SHAPE, 4), torch.zeros(1, 1, 8)
    objective = Objective("v_prediction", get_hint_noise("none"))
    done = objective.denoise(network, latents, WINDOWS[:1], draws, text, pose=pose, errors_BFCHW=errors)
    noisy, shown = network.sample[0, :, : SHAPE[0]], network.sample[0, :, SHAPE[0] + 1 :]
    assert (noisy[0] == 1).all()
    assert (noisy[1] == 11).all()
    assert [float(frame.mean()) for frame in shown] == [2, 12, 12, 12]
    assert torch.equal(done.losses(), objective.denoise(network, latents, WINDOWS[:1], draws, text, pose=pose).losses())
    assert torch.allclose(done.errors(), done.made() - 1)

"""The network's own errors, put on hints: in a rollout they are frames that it made, in a data set they are not.

After SVI (Li et al. 2025, "Stable Video Infinity"), which trains on a bank of a model's one-step errors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from model.plans.stages import Window
from model.seeding import torch_generator

SIZE = 64
"""Errors that are kept, each of one frame: the oldest goes."""


def bank_bytes(frame_shape: tuple[int, int, int]) -> int:
    """What a bank takes of the memory and of a checkpoint."""
    return 4 * SIZE * math.prod(frame_shape)


class ErrorBank:
    """A ring of errors (C, H, W), on the CPU; what is drawn from it is a function of seed, position and the ring."""

    def __init__(self, frame_shape: tuple[int, ...], seed: int) -> None:
        self._errors, self._seen, self._seed = torch.zeros(SIZE, *frame_shape), 0, seed

    def __len__(self) -> int:
        return min(self._seen, SIZE)

    def keep(self, errors_BFCHW: Tensor, windows: Sequence[Window], positions: Sequence[int]) -> None:
        """Take in one error a sample: that of one of its targets. One that is no number is passed over."""
        for error_FCHW, window, position in zip(errors_BFCHW, windows, positions):
            generator = torch_generator(self._seed, "error-kept", position)
            target = window.targets[int(torch.randint(len(window.targets), (), generator=generator))]
            error_CHW = error_FCHW[window.frames.index(target)].detach().float().cpu()
            if error_CHW.isfinite().all():
                self._errors[self._seen % SIZE] = error_CHW
                self._seen += 1

    def draw(self, windows: Sequence[Window], positions: Sequence[int], share: float) -> Tensor:
        """What to add to the hints of these windows, (B, F, C, H, W): in a `share` of them an error on each hint.

        Nothing while the bank is empty, and never on frame 0 of the sequence, which no network made.
        """
        drawn = torch.zeros(len(windows), len(windows[0].frames), *self._errors.shape[1:])
        for row_FCHW, window, position in zip(drawn, windows, positions):
            generator = torch_generator(self._seed, "error-drawn", position)
            if not len(self) or torch.rand((), generator=generator) >= share:
                continue
            for hint in window.hints:
                number = int(torch.randint(len(self), (), generator=generator))
                if hint != window.first:
                    row_FCHW[window.frames.index(hint)] = self._errors[number]
        return drawn

    def state(self) -> dict[str, Tensor]:
        """All of it, as a checkpoint keeps it."""
        return {"errors": self._errors.clone(), "seen": torch.tensor(self._seen)}

    def load(self, state: dict[str, Tensor]) -> None:
        """Put a saved bank back."""
        self._errors, self._seen = state["errors"].cpu().clone(), int(state["seen"])

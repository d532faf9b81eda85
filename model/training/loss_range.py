"""Whether a training's loss is still in the range that it began in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model.config import TrainConfig

NOTHING_LEARNT = 1.0
"""The loss of a network that says zero: what it should say has a variance of about 1."""
TIMES = 2.0
_DECAY = 0.9


@dataclass
class LossRange:
    """The first loss and a moving average, both part of a checkpoint: so a resume knows them to the last bit."""

    first: float | None = None
    mean: float | None = None

    def add(self, loss: float) -> None:
        """Take the loss of the next step."""
        self.first = loss if self.first is None else self.first
        self.mean = loss if self.mean is None else _DECAY * self.mean + (1 - _DECAY) * loss

    @property
    def left(self) -> bool:
        """Whether the average is above twice the first loss, and twice what a network that says zero would have."""
        return self.first is not None and self.mean is not None and self.mean > TIMES * max(self.first, NOTHING_LEARNT)


def diverged_sentence(loss: float, step: int, config: TrainConfig, run: Path, kept: Path | None) -> str:
    """What to do about a loss that is no number; `kept` is the newest checkpoint from before it left its range."""
    cure = f"lower the learning rate ({config.learning_rate:g})"
    if config.mixed_precision == "fp16":
        cure += ", or train another run in mixed_precision 'bf16'"
    if kept:
        goes_on = f"`--fork {run}` goes on from {kept.name}, which is from before the loss left its range"
    else:
        goes_on = "no checkpoint is from before the loss left its range, so begin a new run"
    return f"The loss is {loss} at step {step}: {cure}; {goes_on}."

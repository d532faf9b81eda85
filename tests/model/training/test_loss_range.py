"""A training that diverges keeps a checkpoint from before, and goes on there."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.errors import RunError
from model.runs.checkpoint import list_checkpoints, newest_checkpoint
from model.training.loss_range import LossRange
from model.training.metrics_log import TrainEvent
from model.training.train import train
from model.training.trainer import Trainer
from tests.model.dataset import micro_config

SETTINGS = {"steps": 40, "checkpoint_every": 2, "validate_every": 100, "sample_every": 100, "keep": 2}


def test_a_loss_leaves_its_range_where_it_is_twice_what_it_began_with_for_long():
    spike, rising, large = LossRange(), LossRange(), LossRange()
    for loss in [1.0] * 20 + [5.0]:
        spike.add(loss)
    for loss in [1.0] * 20 + [5.0] * 10:
        rising.add(loss)
    for loss in [50.0] * 10:
        large.add(loss)
    assert [spike.left, rising.left, large.left] == [False, True, False]


@pytest.mark.parametrize("first_bad", [1, 9, 10])
def test_a_diverged_training_keeps_a_checkpoint_from_before_and_goes_on_there(
    first_bad: int, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From `first_bad` on the network's losses are many times larger, and no numbers after step 24."""
    before, run = Trainer._losses, tmp_path / "run"

    def growing(trainer: Trainer, batch: object) -> object:
        factor = 1.0 if trainer.step < first_bad else 1e4 if trainer.step < 24 else float("nan")
        return before(trainer, batch) * factor  # type: ignore[arg-type]

    monkeypatch.setattr(Trainer, "_losses", growing)
    with pytest.raises(RunError) as raised:
        train(dataset, run, micro_config(**SETTINGS))
    kept = newest_checkpoint(run / "checkpoints") if first_bad > 1 else None
    if kept is None:
        assert "no checkpoint is from before the loss left its range, so begin a new run" in str(raised.value)
        return
    assert kept.step == first_bad // 2 * 2
    assert f"`--fork {run}` goes on from {kept.path.name}, which is from before" in str(raised.value)
    assert [path.name for path in list_checkpoints(run / "checkpoints")] == [kept.path.name]
    events: list[TrainEvent] = []
    with pytest.raises(RunError, match=kept.path.name):
        train(dataset, run, micro_config(**SETTINGS), events.append)
    assert any(f"Going on from checkpoint {kept.path.name}" in event.values.get("text", "") for event in events)
    monkeypatch.undo()
    calmer = micro_config(**SETTINGS, learning_rate=1e-5)
    assert train(dataset, tmp_path / "child", calmer, fork=run).status == "finished"

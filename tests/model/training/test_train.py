"""A training explains what stops it, and what it shows of itself is whole again after a kill."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator  # type: ignore[import-untyped]

from model.data.latents import encode_dataset
from model.errors import DeviceError
from model.runs.checkpoint import load_checkpoint, newest_checkpoint
from model.training.dry_run import dry_run
from model.training.metrics_log import TrainEvent
from model.training.optimizer import learning_rate_at
from model.training.train import train
from model.training.trainer import Trainer
from tests.model.children import train_on_filling_disk
from tests.model.dataset import QUICK, make_dataset, micro_config


def trained_weights(run_dir: Path) -> dict[str, torch.Tensor]:
    """The weights of a run's newest checkpoint."""
    info = newest_checkpoint(run_dir / "checkpoints")
    assert info is not None
    return load_checkpoint(info).tensors["weights"]


@pytest.mark.parametrize("moment", ["begin", "metrics"])
def test_a_full_disk_is_one_sentence_and_afterwards_it_goes_on(
    moment: str, dataset: Path, tmp_path: Path, children: ForkServerContext
) -> None:
    """Not only where a checkpoint is written: the codec's copy, the metrics."""
    config = micro_config(checkpoint_every=2, steps=6, validate_every=50, sample_every=50)
    child = children.Process(
        target=train_on_filling_disk, args=(dataset, tmp_path / "run", config.model_dump(mode="json"), moment)
    )
    child.start()
    child.join()
    said = (tmp_path / "error.txt").read_text()
    assert "The disk of" in said
    assert "run the same command again" in said
    assert train(dataset, tmp_path / "run", config).step == 6


def test_a_gpu_too_small_to_begin_on_is_explained(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def restore(trainer: Trainer, state: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(Trainer, "restore", restore)
    with pytest.raises(DeviceError, match="memory is not enough under vram_gib=24"):
        train(dataset, tmp_path / "run", micro_config(**QUICK))


def test_gradients_are_clipped(dataset: Path, tmp_path: Path) -> None:
    """Far below Adam's epsilon, a gradient moves nothing."""
    moved = {}
    for clip in (1.0, 1e-14):
        settings = {**QUICK, "clip": clip, "weight_decay": 0.0, "warmup": 1}
        train(dataset, tmp_path / str(clip), micro_config(**settings))
        first = micro_config(**{**settings, "learning_rate": 1e-30})
        train(dataset, tmp_path / f"{clip}-still", first)
        now, still = trained_weights(tmp_path / str(clip)), trained_weights(tmp_path / f"{clip}-still")
        moved[clip] = max(float((now[name] - still[name]).abs().max()) for name in now)
    assert moved[1e-14] < 1e-6 < 1e-4 < moved[1.0]


def test_every_step_has_the_rate_of_its_schedule(dataset: Path, tmp_path: Path) -> None:
    config = micro_config(**{**QUICK, "steps": 4, "warmup": 2, "schedule": "cosine"})
    train(dataset, tmp_path / "run", config)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["learning_rate"] for line in lines if line["kind"] == "step"] == [
        learning_rate_at(step, config) for step in range(4)
    ]
    frozen = micro_config(**{**QUICK, "steps": 4, "warmup": 10**12, "schedule": "cosine"})
    train(dataset, tmp_path / "frozen", frozen)
    begun = trained_weights(tmp_path / "frozen")
    train(dataset, tmp_path / "still", micro_config(**{**QUICK, "steps": 4, "learning_rate": 1e-30}))
    still = trained_weights(tmp_path / "still")
    assert max(float((begun[name] - still[name]).abs().max()) for name in begun) < 1e-9


def test_the_hold_out_is_examined_with_the_averaged_weights(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from model.training import examine
    from model.training.ema import Ema

    applied, seen = [False], []

    @contextmanager
    def watched(ema: Ema):
        with before(ema):
            applied[0] = True
            yield
            applied[0] = False

    def losses(*args: object) -> torch.Tensor:
        seen.append(applied[0])
        return validation(*args)  # type: ignore[arg-type]

    before, validation = Ema.applied, examine.validation_losses
    monkeypatch.setattr(Ema, "applied", watched)
    monkeypatch.setattr(examine, "validation_losses", losses)
    train(dataset, tmp_path / "run", micro_config(**{**QUICK, "validate_every": 1}))
    assert seen == [True] * 3


def test_pictures_that_a_kill_prevented_are_made_by_the_next_call(dataset: Path, tmp_path: Path) -> None:
    config = micro_config(**{**QUICK, "sample_every": 2})
    train(dataset, tmp_path / "run", config)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run" / "samples").iterdir()}
    assert set(before) == {"step-00000002.png", "step-00000002.gif"}
    shutil.rmtree(tmp_path / "run" / "samples")
    train(dataset, tmp_path / "run", config)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run" / "samples").iterdir()} == before


def test_metrics_that_were_cut_short_are_told_of(dataset: Path, tmp_path: Path) -> None:
    events: list[TrainEvent] = []
    train(dataset, tmp_path / "run", micro_config(**QUICK))
    os.truncate(tmp_path / "run" / "metrics.jsonl", 10)
    train(dataset, tmp_path / "run", micro_config(**QUICK), events.append)
    assert any("lines are missing" in event.values.get("text", "") for event in events)


def test_the_gradient_scaler_goes_on_as_it_was(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """fp16 needs a GPU; a scaler that grows at every step does not."""

    class Scaling(Accelerator):  # type: ignore[misc]
        def __init__(self, **settings: object) -> None:
            super().__init__(**settings)
            self.scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=1)

    monkeypatch.setattr("model.training.train.Accelerator", Scaling)
    config = micro_config(**{**QUICK, "steps": 4})
    train(dataset, tmp_path / "whole", config)
    train(dataset, tmp_path / "resumed", config, until=2)
    train(dataset, tmp_path / "resumed", config)
    saved = []
    for name in ("whole", "resumed"):
        info = newest_checkpoint(tmp_path / name / "checkpoints")
        assert info is not None
        saved.append(load_checkpoint(info).progress["scaler"])
    assert saved[0] == saved[1]
    assert saved[0]["scale"] == 8.0 * 2**4


def test_the_last_step_is_validated_and_sampled_whatever_is_due_then(dataset: Path, tmp_path: Path) -> None:
    train(dataset, tmp_path / "run", micro_config(**{**QUICK, "steps": 3, "checkpoint_every": 2}))
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "validation"] == [0, 3]
    assert {path.stem for path in (tmp_path / "run" / "samples").iterdir()} == {"step-00000003"}


@pytest.mark.parametrize(
    ("sources", "holdout", "said"),
    [
        (1, 0.3, "Nothing is held out (the data set has one source; add another video), so validation does not run."),
        (2, 0.0, "Nothing is held out (setting 'holdout' is 0), so validation does not run."),
        (2, 0.3, None),
    ],
)
def test_a_training_in_which_nothing_is_held_out_says_so_and_why(
    sources: int, holdout: float, said: str | None, tmp_path: Path
) -> None:
    data, events = make_dataset(tmp_path / "data", sources=sources), []
    config = micro_config(**QUICK, holdout=holdout)
    assert any("validation does not run" in line for line in dry_run(data, config).lines()) == (said is not None)
    encode_dataset(data, config.encode)
    train(data, tmp_path / "run", config, events.append)
    warned = [event.values["text"] for event in events if event.kind == "warning"]
    assert warned == ([] if said is None else [said])
    assert any(event.kind == "validation" for event in events) == (said is None)

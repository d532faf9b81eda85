"""Damage is always seen, never loaded, and never leaves a run without a checkpoint."""

from __future__ import annotations

import random
import shutil
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
import torch

from model.errors import CheckpointError
from model.runs.checkpoint import (
    CheckpointInfo,
    TrainingState,
    list_checkpoints,
    load_checkpoint,
    newest_checkpoint,
    newest_step,
    save_checkpoint,
    step_folder,
)
from model.training.train import train
from tests.model.children import train_on_full_disk
from tests.model.dataset import micro_config


def state_at(step: int) -> TrainingState:
    generator = torch.Generator().manual_seed(step)
    tensors = {
        "weights": {"a.weight": torch.randn(8, 8, generator=generator)},
        "ema": {"a.weight": torch.randn(8, 8, generator=generator)},
        "optimizer": {"a.weight/exp_avg": torch.randn(8, 8, generator=generator), "a.weight/step": torch.tensor(3.0)},
        "rng": {"cpu": torch.arange(16, dtype=torch.uint8)[None]},
    }
    progress = {"step": step, "samples_seen": 2 * step, "optimizer": {}, "scaler": None, "metrics_bytes": 10}
    return TrainingState(tensors, progress, {"width": 8})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two checkpoints, of steps 10 and 20."""
    for step in (10, 20):
        save_checkpoint(tmp_path / "checkpoints", state_at(step), keep=2)
    return tmp_path / "checkpoints"


def assert_falls_back(root: Path) -> None:
    """The damaged step 20 is told of, and step 10 is loaded."""
    said: list[str] = []
    info = newest_checkpoint(root, said.append)
    assert info is not None
    assert info.step == 10
    assert len(said) == 1
    assert "step-00000020" in said[0]
    loaded, written = load_checkpoint(info), state_at(10)
    assert torch.equal(loaded.tensors["weights"]["a.weight"], written.tensors["weights"]["a.weight"])


def test_a_checkpoint_comes_back_as_it_was_saved(root: Path) -> None:
    info = newest_checkpoint(root)
    assert info is not None
    assert info.step == 20
    loaded, written = load_checkpoint(info), state_at(20)
    assert loaded.progress == written.progress
    assert loaded.network == written.network
    assert loaded.tensors.keys() == written.tensors.keys()
    for part, tensors in written.tensors.items():
        for name, tensor in tensors.items():
            assert torch.equal(loaded.tensors[part][name], tensor)


def test_fifty_truncated_checkpoints_are_all_detected(root: Path, tmp_path: Path) -> None:
    choices = random.Random(0)
    for number in range(50):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(root, copy)
        victim = choices.choice(sorted(step_folder(copy, 20).iterdir()))
        victim.write_bytes(victim.read_bytes()[: choices.randrange(victim.stat().st_size)])
        assert_falls_back(copy)


def test_fifty_flipped_bits_are_all_detected(root: Path, tmp_path: Path) -> None:
    choices = random.Random(1)
    for number in range(50):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(root, copy)
        victim = choices.choice(sorted(step_folder(copy, 20).iterdir()))
        content = bytearray(victim.read_bytes())
        content[choices.randrange(len(content))] ^= 1 << choices.randrange(8)
        victim.write_bytes(content)
        assert_falls_back(copy)


def test_a_file_that_does_not_belong_there_is_detected(root: Path) -> None:
    (step_folder(root, 20) / "zzz.safetensors").write_bytes(b"")
    assert_falls_back(root)


def test_every_single_missing_file_is_detected(root: Path, tmp_path: Path) -> None:
    names = [path.name for path in step_folder(root, 20).iterdir()]
    assert len(names) == 7
    for name in names:
        copy = tmp_path / name
        shutil.copytree(root, copy)
        (step_folder(copy, 20) / name).unlink()
        assert_falls_back(copy)


def test_a_checkpoint_under_another_steps_name_is_detected(root: Path) -> None:
    step_folder(root, 20).rename(step_folder(root, 30))
    said: list[str] = []
    info = newest_checkpoint(root, said.append)
    assert info is not None
    assert (info.step, len(said)) == (10, 1)


def test_when_all_are_damaged_it_is_an_error_and_never_a_new_start(root: Path) -> None:
    for path in list_checkpoints(root):
        (path / "weights.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"No checkpoint in .* is whole.*weights.safetensors is missing"):
        newest_checkpoint(root)


def test_when_all_are_gone_it_is_an_error_and_never_a_new_start(root: Path) -> None:
    for path in list_checkpoints(root):
        shutil.rmtree(path)
    with pytest.raises(CheckpointError, match="all are gone"):
        newest_checkpoint(root)


def test_none_were_written_yet_is_no_error(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path / "nothing") is None


def test_only_the_newest_are_kept_and_a_damaged_one_does_not_count(root: Path) -> None:
    (step_folder(root, 20) / "ema.safetensors").unlink()
    save_checkpoint(root, state_at(30), keep=2)
    assert [path.name for path in list_checkpoints(root)] == ["step-00000030", "step-00000020", "step-00000010"]
    save_checkpoint(root, state_at(40), keep=2)
    assert [path.name for path in list_checkpoints(root)] == ["step-00000040", "step-00000030"]


def test_a_copy_by_another_name_is_no_checkpoint_and_stays(root: Path) -> None:
    shutil.copytree(step_folder(root, 20), root / "step-00000020.bak")
    shutil.copytree(step_folder(root, 20), root / "step-999")
    save_checkpoint(root, state_at(30), keep=2)
    save_checkpoint(root, state_at(40), keep=2)
    assert [path.name for path in list_checkpoints(root)] == ["step-00000040", "step-00000030"]
    assert newest_step(root) == 40
    assert (root / "step-00000020.bak").is_dir()


def test_a_damaged_checkpoint_is_set_aside_when_its_step_comes_again(root: Path) -> None:
    (step_folder(root, 20) / "ema.safetensors").write_bytes(b"")
    info = save_checkpoint(root, state_at(20), keep=2)
    assert isinstance(info, CheckpointInfo)
    assert newest_checkpoint(root) == info
    assert (root / "damaged-step-00000020-0" / "ema.safetensors").read_bytes() == b""


def test_a_full_disk_is_said_clearly_and_costs_no_older_checkpoint(
    dataset: Path, tmp_path: Path, children: ForkServerContext
) -> None:
    config = micro_config(checkpoint_every=2, steps=6, validate_every=50, sample_every=50)
    run_dir = tmp_path / "run"

    def stop_at_four(event: object) -> None:
        if getattr(event, "kind", "") == "checkpoint" and getattr(event, "step", 0) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(dataset, run_dir, config, stop_at_four)
    before = [path.name for path in list_checkpoints(run_dir / "checkpoints")]
    for limit in (3_000, 200_000):  # too small for the weights; large enough for them and too small for Adam's moments
        child = children.Process(
            target=train_on_full_disk, args=(dataset, run_dir, config.model_dump(mode="json"), limit)
        )
        child.start()
        child.join()
        assert child.exitcode == 7
        error = (run_dir / "error.txt").read_text()
        assert f"The disk of {run_dir / 'checkpoints'} is full (File too large, " in error
        assert "run the same command again" in error
        assert [path.name for path in list_checkpoints(run_dir / "checkpoints")] == before
        assert not list((run_dir / "checkpoints").glob(".tmp-*"))
    assert train(dataset, run_dir, config).status == "finished"

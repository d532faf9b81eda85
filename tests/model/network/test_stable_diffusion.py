"""From a whole checkpoint in diffusers' format: latents by its VAE, prompts by its text encoder, its UNet inflated."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from model.config import TrainConfig
from model.data.dataset import load_data
from model.data.latents import encode_dataset
from model.data.text import TextTable, embed
from model.errors import RunError
from model.network.lora import is_lora
from model.network.unet import VideoUNet
from model.runs.checkpoint import TrainingState, load_checkpoint, newest_checkpoint
from model.runs.init_weights import initial_network, network_of_run
from model.training.train import train
from tests.model.dataset import micro_config
from tests.model.networks import inputs, save_stable_diffusion
from tests.model.training.test_resume import _CrashError, crash_after, footprint

STEPS = {"steps": 6, "checkpoint_every": 2, "validate_every": 3, "sample_every": 6}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny checkpoints: text to image, and inpaint."""
    folder = tmp_path_factory.mktemp("sd")
    for name, channels in (("sd", 4), ("inpaint", 9)):
        save_stable_diffusion(folder / name, channels)
    return {name: folder / name for name in ("sd", "inpaint")}


@pytest.fixture(scope="module")
def encoded(raw_dataset: Path, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set with latents of both checkpoints. Read only."""
    data = tmp_path_factory.mktemp("encoded") / "data"
    shutil.copytree(raw_dataset, data)
    for folder in checkpoints.values():
        encode_dataset(data, config_of(folder).encode)
    return data


def config_of(folder: Path, **settings: object) -> TrainConfig:
    """A short training from a checkpoint's folder: VAE, text encoder and UNet all come from it."""
    encode = {"codec": str(folder), "picture": 32, "patch": 4, "channels": 4}
    given = {"init": str(folder), "network": {}, "encode": encode, "train": "new", **STEPS, **settings}
    return micro_config("interpolation", **given)


def last_state(run: Path) -> TrainingState:
    info = newest_checkpoint(run / "checkpoints")
    assert info is not None
    return load_checkpoint(info)


@pytest.mark.parametrize("kind", ["sd", "inpaint"])
def test_a_whole_checkpoint_trains_its_new_layers_and_leaves_the_image_network(
    kind: str, checkpoints: dict[str, Path], encoded: Path, tmp_path: Path
) -> None:
    config = config_of(checkpoints[kind])
    assert train(encoded, tmp_path / "run", config).status == "finished"
    begun, ended = initial_network(config, 4, 16), network_of_run(tmp_path / "run")
    assert ended.config.prediction_type == "epsilon"
    for name, parameter in begun.image_parameters().items():
        assert torch.equal(parameter, ended.get_parameter(name)), name
    moved = [name for name, p in begun.new_parameters().items() if not torch.equal(p, ended.get_parameter(name))]
    assert len(moved) > 0.9 * len(begun.new_parameters())


def test_prompts_are_embedded_by_the_checkpoints_own_encoder(checkpoints: dict[str, Path], encoded: Path) -> None:
    encode = config_of(checkpoints["sd"]).encode
    split = load_data(encoded, encode, holdout=0.0)
    assert split.train.shape == (4, 8, 8)
    table = TextTable(split.latents, encode, split.prompts, 16)
    expected = embed(str(checkpoints["sd"]), [encode.prompt])[0]
    torch.testing.assert_close(table(encode.prompt), expected, atol=2e-3, rtol=2e-3)


KINDS = {
    "bf16": {"mixed_precision": "bf16"},
    "bf16, all": {"mixed_precision": "bf16", "train": "all"},
    "LoRA": {"train": "lora", "lora_rank": 2},
    "LoRA, bf16": {"train": "lora", "lora_rank": 2, "mixed_precision": "bf16"},
    "8-bit Adam": {"train": "all", "optimizer": "adamw8bit"},
    "8-bit Adam, bf16": {"train": "all", "optimizer": "adamw8bit", "mixed_precision": "bf16"},
    "average elsewhere": {"ema_every": 2, "ema_device": "cpu"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_way_to_train_learns_and_resumes_bit_for_bit(
    kind: str, checkpoints: dict[str, Path], encoded: Path, tmp_path: Path
) -> None:
    if "8-bit" in kind:
        pytest.importorskip("bitsandbytes")
    config = config_of(checkpoints["inpaint"], dropout=0.1, **KINDS[kind])
    assert train(encoded, tmp_path / "whole", config).status == "finished"
    with pytest.raises(_CrashError):
        train(encoded, tmp_path / "crashed", config, crash_after(5))
    assert train(encoded, tmp_path / "crashed", config).status == "finished"
    assert footprint(tmp_path / "crashed", 6) == footprint(tmp_path / "whole", 6)
    lines = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    validated = [line["loss"] for line in lines if line["kind"] == "validation"]
    assert len(validated) == 3
    assert len(set(validated)) > 1


def test_in_bf16_the_frozen_network_is_stored_once_and_in_half(
    checkpoints: dict[str, Path], encoded: Path, tmp_path: Path
) -> None:
    train(encoded, tmp_path / "run", config_of(checkpoints["inpaint"], mixed_precision="bf16"))
    state = last_state(tmp_path / "run")
    new = set(VideoUNet.from_config(state.network).new_parameters())
    assert {name for name, t in state.tensors["weights"].items() if t.dtype == torch.float32} == new
    assert {t.dtype for name, t in state.tensors["weights"].items() if name not in new} == {torch.bfloat16}
    assert set(state.tensors["ema"]) == new


def test_8_bit_moments_and_lower_halves_are_stored_as_they_are(
    checkpoints: dict[str, Path], encoded: Path, tmp_path: Path
) -> None:
    pytest.importorskip("bitsandbytes")
    train(encoded, tmp_path / "run", config_of(checkpoints["inpaint"], **KINDS["8-bit Adam, bf16"]))
    state = last_state(tmp_path / "run")
    kinds = {name.rsplit("/", 1)[1]: set() for name in state.tensors["optimizer"]}
    for name, tensor in state.tensors["optimizer"].items():
        kinds[name.rsplit("/", 1)[1]].add(tensor.dtype)
    assert kinds["low"] == {torch.int16}
    assert kinds["moment1"] == kinds["moment2"] == {torch.uint8, torch.float32}
    assert {tensor.dtype for tensor in state.tensors["weights"].values()} == {torch.bfloat16}
    assert {tensor.dtype for tensor in state.tensors["ema"].values()} == {torch.float32}


def test_bf16_losses_are_those_of_float32_nearly(checkpoints: dict[str, Path], encoded: Path, tmp_path: Path) -> None:
    losses = []
    for precision in ("no", "bf16"):
        run = tmp_path / precision
        train(encoded, run, config_of(checkpoints["inpaint"], mixed_precision=precision))
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        losses.append([line["loss"] for line in lines if line["kind"] == "step"])
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.03)


def test_a_run_from_a_lora_run_starts_from_the_merged_network(
    checkpoints: dict[str, Path], encoded: Path, tmp_path: Path
) -> None:
    parent, child = tmp_path / "parent", tmp_path / "child"
    train(encoded, parent, config_of(checkpoints["inpaint"], train="lora", learning_rate=0.05))
    factors = {n: t for n, t in last_state(parent).tensors["ema"].items() if n.endswith("lora_up.weight")}
    assert any(t.abs().max() > 0 for t in factors.values())
    merged = network_of_run(parent)
    assert not any(is_lora(name) for name, _ in merged.named_parameters())
    config = config_of(checkpoints["inpaint"], init=f"run:{parent}")
    with torch.no_grad():
        begun = initial_network(config, 4, 16)
        sample, timestep, _, cond = inputs()
        text = torch.randn(2, 3, 16)
        assert torch.equal(begun(sample, timestep, text, cond), merged(sample, timestep, text, cond))
    assert train(encoded, child, config).status == "finished"
    assert train(encoded, child, config).status == "finished"


def test_a_fork_that_its_parents_adam_would_not_fit_is_refused(
    checkpoints: dict[str, Path], encoded: Path, tmp_path: Path
) -> None:
    train(encoded, tmp_path / "run", config_of(checkpoints["sd"]))
    changed = config_of(checkpoints["sd"], train="all")
    with pytest.raises(RunError, match="train: 'new' before, 'all' now"):
        train(encoded, tmp_path / "fork", changed, fork=tmp_path / "run")
    assert not (tmp_path / "fork" / "run.json").exists()

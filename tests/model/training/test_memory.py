"""The memory plan counts what a step keeps, and says what would help."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from model.config import TrainConfig, train_config
from model.errors import ConfigError
from model.network.conditioning import FrameConditioning
from model.network.unet import VideoUNet
from model.plans.stages import Window
from model.runs.init_weights import compute_dtype, configure_parameters, initial_network
from model.training.dry_run import dry_run
from model.training.memory import GIB, MemoryPlan, explain_out_of_memory, plan_memory
from model.training.shapes import latent_shape
from model.training.step_bytes import meta_copy, step_bytes
from model.training.train import train
from pipeline.picture_size import PictureSize
from tests.model.dataset import QUICK, make_dataset, micro_config


def kept_by_a_real_pass(config: TrainConfig, frames: int, side: int) -> int:
    """Bytes that autograd keeps of the forward pass of a real network, parameters left out."""
    network = initial_network(config, 4, 32)
    configure_parameters(network, config, torch.device("cpu"))
    own = {parameter.untyped_storage()._cdata for parameter in network.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor.untyped_storage()
        return tensor

    batch = config.batch // config.accumulate
    cond = FrameConditioning.of([Window((0,), tuple(range(1, frames)), 0)] * batch, torch.zeros(batch, frames))
    half = compute_dtype(config)
    with (
        saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", dtype=torch.bfloat16, enabled=half == torch.bfloat16),
    ):
        out = network.train()(torch.randn(batch, frames, 9, side, side), torch.zeros(batch).long(),
                              torch.randn(batch, 5, 32), cond).square().mean()  # fmt: skip
    del out
    return sum(storage.nbytes() for place, storage in kept.items() if place not in own)


@pytest.mark.parametrize("train", ["new", "all", "lora"])
def test_what_a_pass_keeps_is_predicted_as_it_is(train: str) -> None:
    config = micro_config(train=train, mixed_precision="bf16", batch=2)
    network = initial_network(config, 4, 32).config
    predicted = step_bytes(meta_copy(config, network), config, PictureSize(16, 16), text_length=5, frames=9)
    assert predicted.kept == pytest.approx(kept_by_a_real_pass(config, 9, 16), rel=0.03)
    assert predicted.peak >= predicted.kept >= predicted.peak_kept > 0


def sd15(latents: PictureSize = PictureSize(64, 64), **settings: object) -> MemoryPlan:  # noqa: B008
    """The plan at the origin's size: 9 frames of 64x64 latents, 77 tokens."""
    config = train_config("interpolation", "sd15", **settings)
    with torch.device("meta"):
        network = VideoUNet.from_preset("sd15", latent_channels=4, text_channels=768)
    return plan_memory(config, network.config, latents, text_length=77)


@pytest.mark.parametrize(("settings", "bound"), [({}, 12.0), ({"train": "all", "optimizer": "adamw8bit"}, 22.0)])
def test_stable_diffusions_size_is_predicted_to_fit_with_a_tenth_to_spare(settings: dict, bound: float) -> None:
    assert sd15(**settings).total / GIB < 0.9 * bound


def test_parts_are_counted_by_parameters_and_activations_grow_with_the_batch() -> None:
    config = micro_config(batch=2)
    network = initial_network(config, 4, 32)
    count = sum(parameter.numel() for parameter in network.parameters())
    plan = plan_memory(config, network.config, PictureSize(8, 8), text_length=1)
    assert (plan.weights, plan.optimizer, plan.ema) == tuple(n * count for n in (4, 8, 4))
    double = plan_memory(config.model_copy(update={"batch": 4}), network.config, PictureSize(8, 8), text_length=1)
    assert double.activations == pytest.approx(2 * plan.activations, rel=0.1)
    split = config.model_copy(update={"batch": 4, "accumulate": 2})
    assert plan_memory(split, network.config, PictureSize(8, 8), text_length=1) == plan
    assert plan.total == sum(vars(plan).values())
    elsewhere = config.model_copy(update={"ema_device": "cpu"})
    assert plan_memory(elsewhere, network.config, PictureSize(8, 8), text_length=1).ema == 0


def test_gradients_come_as_activations_go() -> None:
    config = micro_config(batch=1)
    network = initial_network(config, 4, 32).config
    count = sum(parameter.numel() for parameter in initial_network(config, 4, 32).parameters())
    sizes = (PictureSize(4, 4), PictureSize(32, 32))
    small, large = (step_bytes(meta_copy(config, network), config, size, 1, frames=4) for size in sizes)
    assert small.peak_gradients > 0.5 * 4 * count  # few activations: the fullest moment is the end
    assert large.peak_gradients < 0.1 * 4 * count  # many: it is the beginning of the backward pass
    for step in (small, large):
        assert step.peak < step.kept + 4 * count + step.peak // 2


def test_frozen_layers_take_half_the_bytes_and_no_moments() -> None:
    network = initial_network(micro_config(), 4, 32)
    config = micro_config(train="new", mixed_precision="bf16")
    plan = plan_memory(config, network.config, PictureSize(8, 8), text_length=1)
    new = sum(parameter.numel() for parameter in network.new_parameters().values())
    old = sum(parameter.numel() for parameter in network.image_parameters().values())
    assert plan.weights == 4 * new + 2 * old
    assert (plan.optimizer, plan.ema) == (8 * new, 4 * new)


def test_weights_in_halves_take_four_bytes_and_their_moments_two() -> None:
    network = initial_network(micro_config(), 4, 32)
    count = sum(parameter.numel() for parameter in network.parameters())
    config = micro_config(train="all", optimizer="adamw8bit", mixed_precision="bf16")
    plan = plan_memory(config, network.config, PictureSize(8, 8), text_length=1)
    assert (plan.weights, plan.optimizer) == (2 * count, 4 * count)


def test_planning_leaves_real_training_alone(dataset: Path, tmp_path: Path) -> None:
    config = micro_config(steps=1, sample_every=50, validate_every=50)
    plan_memory(config, initial_network(config, 4, 32).config, PictureSize(8, 8), text_length=1)
    assert train(dataset, tmp_path / "run", config).status == "finished"


def test_the_explanation_names_the_parts_and_the_settings_that_help() -> None:
    config = micro_config(batch=8)
    plan = plan_memory(config, initial_network(config, 4, 32).config, PictureSize(8, 8), text_length=1)
    text = explain_out_of_memory(config, plan)
    for word in ("vram_gib=24", "activations", "accumulate=8 frees", "mixed_precision='bf16' frees", "train='new'"):
        assert word in text


def test_a_dry_run_tells_what_training_would_take(dataset: Path, tmp_path: Path) -> None:
    config = micro_config()
    told = dry_run(dataset, config)
    assert (told.samples, told.holdout_samples, told.steps, told.epochs) == (6, 2, 12, 4.0)
    assert told.parameters == told.trained_parameters
    assert told.latent_bytes == 8 * 25 * 4 * 8 * 8 * 2
    checkpoint = train(dataset, tmp_path / "run", config).checkpoint
    written = sum(path.stat().st_size for path in checkpoint.iterdir())
    # What is not tensors (names, manifest) weighs much beside so small a network.
    assert told.checkpoint_bytes < written < 1.5 * told.checkpoint_bytes
    assert any("held out" in line for line in told.lines())


def test_a_dry_run_counts_the_bank_of_errors(dataset: Path, tmp_path: Path) -> None:
    plain, banked = (micro_config("any", error_share=share, **QUICK) for share in (0.0, 0.5))
    more = dry_run(dataset, banked).checkpoint_bytes - dry_run(dataset, plain).checkpoint_bytes
    task = train(dataset, tmp_path / "run", banked).checkpoint / "task.safetensors"
    assert more < task.stat().st_size < more + 500


def test_a_dry_run_says_the_same_before_the_data_set_is_encoded(dataset: Path, tmp_path: Path) -> None:
    config, bare = micro_config(), make_dataset(tmp_path / "bare")
    assert not (bare / "latents").exists()
    assert dry_run(bare, config) == dry_run(dataset, config)
    assert not (bare / "latents").exists()


def test_a_dry_run_of_stable_diffusion_downloads_nothing_and_says_what_it_took_for_granted(tmp_path: Path) -> None:
    config = train_config("interpolation", "sd15")
    told = dry_run(make_dataset(tmp_path / "bare"), config)
    assert told.memory == sd15()
    assert told.latent_bytes == 8 * 25 * 4 * 64 * 64 * 2
    said = "\n".join(told.lines())
    assert f"not looked at: {config.init}; it is taken to be shaped as Stable Diffusion 1.5's" in said


def test_upright_pictures_of_sd15_have_upright_latents_and_take_less_than_a_square() -> None:
    config = train_config("interpolation", "sd15", encode={"picture": "384x640"})
    assert latent_shape(config.encode) == (4, (48, 80))
    upright = sd15(PictureSize(48, 80), encode={"picture": "384x640"})
    square = sd15()
    assert upright.total < square.total < 24 * GIB
    assert upright.activations == pytest.approx(square.activations * 48 * 80 / 64**2, rel=0.05)
    with pytest.raises(ConfigError, match="is 400x656: for sd15 both sides are multiples of 64"):
        train_config("interpolation", "sd15", encode={"picture": "400x656"})

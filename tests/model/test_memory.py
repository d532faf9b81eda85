"""The memory plan counts what a step keeps, and says what would help."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.dry_run import dry_run
from model.initial import initial_network
from model.memory import explain_out_of_memory, plan_memory
from model.train import train
from tests.model.dataset import micro_config


def test_parts_are_counted_by_parameters_and_activations_grow_with_the_batch() -> None:
    config = micro_config(batch=2)
    network = initial_network(config, 4, 32)
    count = sum(parameter.numel() for parameter in network.parameters())
    plan = plan_memory(config, network.config, side=8, text_length=1)
    assert (plan.weights, plan.gradients, plan.optimizer, plan.ema) == tuple(n * count for n in (4, 4, 8, 4))
    double = plan_memory(config.model_copy(update={"batch": 4}), network.config, side=8, text_length=1)
    assert double.activations == pytest.approx(2 * plan.activations, rel=0.02)
    split = config.model_copy(update={"batch": 4, "accumulate": 2})
    assert plan_memory(split, network.config, side=8, text_length=1).activations == plan.activations
    assert plan.total == sum(vars(plan).values())


def test_frozen_layers_need_no_gradients_and_half_the_bytes() -> None:
    network = initial_network(micro_config(), 4, 32)
    config = micro_config(train="new", mixed_precision="bf16")
    plan = plan_memory(config, network.config, side=8, text_length=1)
    new = sum(parameter.numel() for parameter in network.new_parameters().values())
    old = sum(parameter.numel() for parameter in network.image_parameters().values())
    assert plan.gradients == 4 * new
    assert plan.weights == 4 * new + 2 * old


def test_planning_leaves_real_training_alone(dataset: Path, tmp_path: Path) -> None:
    config = micro_config(steps=1, sample_every=50, validate_every=50)
    plan_memory(config, initial_network(config, 4, 32).config, side=8, text_length=1)
    assert train(dataset, tmp_path / "run", config).status == "finished"


def test_the_explanation_names_the_parts_and_the_settings_that_help() -> None:
    config = micro_config(batch=8)
    plan = plan_memory(config, initial_network(config, 4, 32).config, side=8, text_length=1)
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

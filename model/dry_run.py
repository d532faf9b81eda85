"""What a training would be, without training: `longdance train --dry-run`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.config import TrainConfig
from model.data import load_data
from model.initial import initial_network
from model.memory import GIB, MemoryPlan, plan_memory
from model.step_bytes import twin_of
from model.text import TextTable, text_width


@dataclass(frozen=True)
class DryRun:
    """The resolved config and what it will take."""

    config: dict[str, Any]
    parameters: int
    trained_parameters: int
    memory: MemoryPlan
    steps: int
    samples: int
    holdout_samples: int
    epochs: float
    checkpoint_bytes: int
    """One checkpoint; `keep` of them are on the disk, and one more while it is written."""
    latent_bytes: int

    def lines(self) -> list[str]:
        """What it takes, line by line, for the eye."""
        keep = self.config["keep"]
        return [
            f"parameters: {self.parameters:,}, of which {self.trained_parameters:,} learn",
            *(f"predicted memory on a GPU, {line}" for line in self.memory.lines()),
            f"steps: {self.steps:,}, {self.epochs:.1f} epochs of {self.samples:,} samples "
            f"({self.holdout_samples:,} held out)",
            f"disk for checkpoints: {(keep + 1) * self.checkpoint_bytes / GIB:.2f} GiB "
            f"({keep} kept and one being written)",
            f"disk for latents: {self.latent_bytes / GIB:.2f} GiB",
        ]


def dry_run(data: Path, config: TrainConfig) -> DryRun:
    """Work out what `train` would do. Raises what `train` raises for a data set or network that does not fit."""
    split = load_data(data, config.encode, config.holdout, config.version)
    width = text_width(split.latents, config.encode, split.prompts)
    network = initial_network(config, split.train.shape[0], width)
    text = TextTable(split.latents, config.encode, split.prompts, network.unet.config.cross_attention_dim)
    memory = plan_memory(config, network.config, split.train.shape[1], len(text(split.prompts[0])))
    learnt = sum(p.numel() for p in twin_of(config, network.config).parameters() if p.requires_grad)
    channels, height, side = split.train.shape
    frames = sum(sample.frames for sample in (*split.train.samples, *split.holdout.samples))
    return DryRun(
        config=config.model_dump(mode="json"),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        trained_parameters=learnt,
        memory=memory,
        steps=config.steps,
        samples=len(split.train.samples),
        holdout_samples=len(split.holdout.samples),
        epochs=config.steps * config.batch / len(split.train.samples),
        checkpoint_bytes=memory.weights + 4 * learnt + memory.optimizer,
        latent_bytes=2 * frames * channels * height * side,
    )

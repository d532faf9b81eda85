"""What a training would be, without training: `longdance train --dry-run`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.config import TrainConfig
from model.data.dataset import choose_samples
from model.data.loader import BatchPlan, check_weights
from model.data.samples import stored_frames
from model.network.conditioning import get_hint_noise
from model.network.error_bank import bank_bytes
from model.plans.stages import get_stage, training_windows
from model.training.memory import GIB, MemoryPlan, plan_memory
from model.training.shapes import shapes_of
from model.training.step_bytes import meta_copy


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
    """Of every stored sample."""
    assumed: tuple[str, ...]
    """Hub ids that were not looked at, but taken to be shaped as Stable Diffusion 1.5's."""

    def lines(self) -> list[str]:
        """What it takes, line by line, for the eye."""
        keep = self.config["keep"]
        return [
            f"parameters: {self.parameters:,}, of which {self.trained_parameters:,} learn",
            *(f"predicted memory on a GPU, {line}" for line in self.memory.lines()),
            f"steps: {self.steps:,}, {self.epochs:.1f} epochs of {self.samples:,} samples "
            f"({self.holdout_samples:,} held out)",
            *([] if self.holdout_samples else ["nothing is held out, so validation does not run"]),
            f"disk for checkpoints: {(keep + 1) * self.checkpoint_bytes / GIB:.2f} GiB "
            f"({keep} kept and one being written)",
            f"disk for latents: {self.latent_bytes / GIB:.2f} GiB",
            *(f"not looked at: {name}; it is taken to be shaped as Stable Diffusion 1.5's" for name in self.assumed),
        ]


def dry_run(data: Path, config: TrainConfig, processes: int = 1) -> DryRun:
    """Work out what `train` would do, before or after the data set is encoded.

    Raises what `train` raises for a data set or network that does not fit.
    """
    get_hint_noise(config.hint_noise or get_stage(config.stage).hint_noise)
    training_windows(config.stage, plans=config.plans)
    BatchPlan(config.batch, config.accumulate, processes)
    chosen = choose_samples(data, config.holdout, config.version)
    if config.prioritise:
        check_weights(chosen.weights)
    shapes = shapes_of(config)
    memory = plan_memory(config, shapes.network.config, shapes.latents, shapes.tokens)
    twin = meta_copy(config, shapes.network.config)
    bank = bank_bytes((shapes.channels, shapes.latents.height, shapes.latents.width)) if config.error_share else 0
    learnt = sum(p.numel() for p in twin.parameters() if p.requires_grad)
    return DryRun(
        config=config.model_dump(mode="json"),
        parameters=sum(parameter.numel() for parameter in shapes.network.parameters()),
        trained_parameters=learnt,
        memory=memory,
        steps=config.steps,
        samples=len(chosen.train),
        holdout_samples=len(chosen.holdout),
        epochs=config.steps * config.batch / len(chosen.train),
        checkpoint_bytes=memory.weights + 4 * learnt + memory.optimizer + bank,
        latent_bytes=2 * stored_frames(data) * shapes.channels * shapes.latents.area,
        assumed=shapes.assumed,
    )

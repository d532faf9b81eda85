"""What every training has: its length, its optimizer, its checkpoints, whatever it is that learns."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from data_catalog.base.settings import Settings

CHOREOGRAPHER = "choreographer"
"""The stage that learns dances and no pictures."""
Decay = Annotated[float, Field(ge=0, lt=1)]


class LoopConfig(Settings):
    """How long and how one network is trained. Immutable once the run has begun."""

    stage: str
    """What is learnt."""
    steps: int = Field(100_000, ge=1)
    """Optimizer steps of the whole run."""
    batch: int = Field(1, ge=1)
    """Samples per optimizer step, over all processes and accumulated parts."""
    accumulate: int = Field(1, ge=1)
    """Parts that a batch is split into, one after the other, to save memory."""
    version: str | None = Field(None, min_length=1)
    """The named set of samples that is trained on. None: all good clips."""
    seed: int = Field(0, ge=0, le=2**63 - 1)
    """Seed of sample order, windows, noise and first weights."""
    workers: int = Field(0, ge=0)
    """Threads per training process that read latents ahead. 0 reads them when they are needed, which costs a few
    thousandths of a step; 2 hide a disk that is slow and larger than the memory."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes a GPU where there is one."""
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    """What the network computes in; `fp16` needs a GPU."""
    vram_gib: float = Field(24.0, gt=0)
    """Enforced cap on CUDA memory, per process."""
    optimizer: Literal["adamw", "adamw8bit"] = "adamw"
    """AdamW, in full precision or with 8-bit moments."""
    learning_rate: float = Field(1e-4, gt=0)
    """Of AdamW, after the warm-up."""
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    """Decay of AdamW's two moments."""
    weight_decay: float = Field(0.01, ge=0)
    """Of AdamW."""
    warmup: int = Field(500, ge=0)
    """Steps over which the learning rate rises linearly from 0."""
    schedule: Literal["constant", "cosine"] = "constant"
    """The learning rate after the warm-up: constant, or falling to 0 at the last step as half a cosine."""
    clip: float = Field(1.0, gt=0)
    """Largest norm of the gradient."""
    ema: float = Field(0.9999, ge=0, lt=1)
    """Decay per step of the moving average of the weights, once it has warmed up."""
    ema_every: int = Field(1, ge=1)
    """Steps between its updates."""
    ema_device: Literal["training", "cpu"] = "training"
    """Where it is kept: beside the weights, or in the computer's memory."""
    checkpoint_every: int = Field(1000, ge=1)
    """Steps between checkpoints."""
    keep: int = Field(2, ge=2)
    """Checkpoints that are kept."""
    validate_every: int = Field(1000, ge=1)
    """Steps between validations; the last step is validated, too."""
    validation_windows: int = Field(16, ge=1)
    """Held-out windows of a validation."""
    sample_every: int = Field(1000, ge=1)
    """Steps between pictures of sampled windows; there are some of the last step, too."""
    sample_windows: int = Field(2, ge=1)
    """Windows that are sampled for a picture."""
    sample_steps: int = Field(20, ge=1)
    """Sampler steps of those pictures."""
    holdout: float = Field(0.05, ge=0, lt=1)
    """Share of the sources that is never trained on."""

    @model_validator(mode="after")
    def _splits(self) -> Self:
        if self.batch % self.accumulate:
            raise ValueError(f"batch {self.batch} cannot be split into {self.accumulate} accumulated parts")
        return self

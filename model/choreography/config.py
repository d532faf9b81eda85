"""What can be set of a choreographer and of its dances: the one source of defaults."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator

from data_catalog.base.settings import Settings, explain_settings
from model.errors import ConfigError
from model.loop_config import LoopConfig


class DancerNetworkConfig(Settings):
    """The size of the network, and the grid that it sees dances on."""

    components: int = Field(40, ge=4, le=128)
    """Principal components that a pose is told by."""
    keys_per_beat: int = Field(4, ge=1, le=8)
    """Key poses in a beat; the frames between them are a curve through them."""
    window_beats: int = Field(8, ge=2, le=32)
    """Beats that are made at a time, those included that are known from before."""
    width: int = Field(128, ge=16, le=512)
    """Of the transformer."""
    layers: int = Field(4, ge=1, le=12)
    """Of the transformer."""
    heads: int = Field(4, ge=1, le=16)
    """Of its attention."""

    @property
    def window(self) -> int:
        """Key poses of a window."""
        return self.keys_per_beat * self.window_beats


class ChoreographerConfig(LoopConfig):
    """One training of a choreographer. Immutable once the run has begun."""

    stage: Literal["choreographer"] = "choreographer"
    """Dances: key poses on the beats, from a pose, a style and music."""
    network: DancerNetworkConfig = DancerNetworkConfig()
    music_dropout: float = Field(0.15, ge=0, le=1)
    """Share of windows that are told neither beats nor sound, for dances without music."""
    style_dropout: float = Field(0.25, ge=0, le=1)
    """Share of windows that are told no style."""
    mirrored: bool = True
    """Whether every dance is learnt with left and right exchanged, too."""
    history_noise: float = Field(0.05, ge=0, le=1)
    """Noise on the key poses that a window begins with, in standard deviations: in generation they are made ones."""
    start_share: float = Field(0.3, ge=0, le=1)
    """Share of windows that begin with one pose alone, as a dance does."""
    velocity_weight: float = Field(1.0, ge=0)
    """Weight of the error in what changes from one key pose to the next."""

    steps: int = Field(2000, ge=1)
    """Optimizer steps of the whole run."""
    batch: int = Field(32, ge=1)
    """Windows per optimizer step."""
    learning_rate: float = Field(1e-3, gt=0)
    """Of AdamW, after the warm-up."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Decay of AdamW's two moments."""
    warmup: int = Field(200, ge=0)
    """Steps over which the learning rate rises linearly from 0."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """The learning rate after the warm-up: constant, or falling to 0 at the last step as half a cosine."""
    ema: float = Field(0.998, ge=0, lt=1)
    """Decay per step of the moving average of the weights, once it has warmed up."""
    device: Literal["auto", "cpu", "cuda"] = "cpu"
    """`auto` takes a GPU where there is one."""
    holdout: float = Field(0.1, ge=0, lt=1)
    """Share of the sources that is never trained on."""


class DanceConfig(Settings):
    """How a dance is made."""

    seed: int = Field(0, ge=0, le=2**63 - 1)
    """Seed of all noise: the same makes the same dance."""
    candidates: int = Field(4, ge=1, le=64)
    """Dances that are made, of which the best by the measures is taken."""
    steps: int = Field(20, ge=1, le=1000)
    """Sampler steps of a window."""
    history_beats: int = Field(2, ge=1, le=16)
    """Beats that a window takes over from the one before."""
    temperature: float = Field(1.2, ge=0, le=2)
    """Scale of the noise: above 1, since a network that has learnt for minutes says less than it should."""
    learnt_style: bool = True
    """Whether a dance that is to be like no named clip is like one of the training's, by seed; false tells no style."""
    style_beats: int = Field(32, ge=1)
    """Beats after which a dance goes on like another one that was learnt."""
    tempo: float | None = Field(None, ge=30, le=300)
    """Beats a minute where there is no music. None: one of the tempi that were learnt, by seed."""

    @field_validator("tempo", mode="before")
    @classmethod
    def _none(cls, given: Any) -> Any:
        return None if given == "none" else given


def choreographer_config(**settings: Any) -> ChoreographerConfig:
    """A training's config. Raises ConfigError, in one sentence per wrong setting."""
    try:
        return ChoreographerConfig.model_validate({**settings, "stage": "choreographer"})
    except ValidationError as error:
        raise ConfigError(explain_settings(error, ChoreographerConfig)) from error


def dance_config(**settings: Any) -> DanceConfig:
    """How a dance is made. Raises ConfigError, in one sentence per wrong setting."""
    try:
        return DanceConfig.model_validate(settings)
    except ValidationError as error:
        raise ConfigError(explain_settings(error, DanceConfig)) from error

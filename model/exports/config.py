"""What can be set about an export of data, with its defaults."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationError

from data_catalog.base.settings import Settings, explain_settings
from model.config import EncodeConfig, TrainConfig
from model.errors import ConfigError

Target = Literal["diffusion-pipe", "musubi", "finetrainers", "hf", "webdataset"]


class ExportConfig(Settings):
    """Which samples go, and to whom."""

    to: Target
    """Whose loader is to read them."""
    version: str | None = None
    """Named set of samples; without one, all good clips."""
    holdout: float = Field(TrainConfig.model_fields["holdout"].default, ge=0, lt=1)
    """Share of the sources that goes out as the target's validation, the same sources as in a training of ours."""
    captions: str | None = None
    """Set of captions by `longdance caption`; what stands in `captions.csv` comes before it."""
    prompt: str = EncodeConfig.model_fields["prompt"].default
    """Caption of a sample that has none of its own."""
    sound: bool = True
    """Give the sound along, where the target takes it."""
    licences: tuple[str, ...] = ()
    """Licences that a sample's source may have, in both splits; empty: those that the version's policy asks for."""
    model_fps: float = Field(16.0, gt=0, le=240)
    """Frame rate of the model that is to be trained: diffusion-pipe resamples to it before it cuts its buckets."""


def export_config(**given: Any) -> ExportConfig:
    """A checked config. Raises ConfigError, in one sentence."""
    try:
        return ExportConfig.model_validate(given)
    except ValidationError as error:
        raise ConfigError(explain_settings(error, ExportConfig)) from error

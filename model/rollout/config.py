"""How frames are sampled: the settings, their defaults, and what a calibration wrote into a run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from data_catalog.base.files import read_json
from data_catalog.base.paths import RunFolder
from data_catalog.base.settings import Settings, explain_settings
from model.config import parse_config
from model.errors import ConfigError
from model.runs.record import read_record


class HintNoiseLevels(Settings):
    """sigma/alpha of the noise on hints that were generated, per stage; frame 0 stays clean always."""

    star: float = Field(0.0, ge=0, le=2, description="noise on generated hints of star calls (sigma/alpha)")
    starter: float = Field(0.0, ge=0, le=2, description="the same for starter calls")
    extrapolation: float = Field(0.1, ge=0, le=2, description="the same for extrapolation calls")
    interpolation: float = Field(0.1, ge=0, le=2, description="the same for interpolation calls")


class HintGuidance(Settings):
    """Guidance scale over hints, per stage; 1 is off and costs nothing."""

    star: float = Field(1.0, ge=0, le=20, description="guidance over the hints of star calls (1: off)")
    starter: float = Field(1.0, ge=0, le=20, description="the same for starter calls")
    extrapolation: float = Field(1.0, ge=0, le=20, description="the same for extrapolation calls")
    interpolation: float = Field(1.0, ge=0, le=20, description="the same for interpolation calls")


class SamplingConfig(Settings):
    """How every call of a plan is carried out."""

    sampler: Literal["ddim", "dpm++", "euler"] = Field("ddim", description="ddim, dpm++ (second order) or euler")
    steps: int = Field(20, ge=1, le=1000, description="steps of the sampler")
    seed: int = Field(0, ge=0, le=2**63 - 1, description="seed of all noise")
    temperature: float = Field(
        1.0, ge=0, le=2, description="scale of the noise that sampling begins with; below 1 keeps to what is likely"
    )
    copy_gate: float = Field(
        0.0,
        ge=0,
        le=100,
        description="how freely frames get the picture's own detail back: the mean squared change of a latent at which "
        "half of it comes; 0: none",
    )
    hint_noise: HintNoiseLevels = HintNoiseLevels()
    hint_guidance: HintGuidance = HintGuidance()
    text_guidance: float = Field(1.0, ge=0, le=50, description="guidance over the prompt, where there is text (1: off)")
    prompt: str | None = Field(None, description="the prompt (default: the one of the training)")
    negative_prompt: str = Field("", description="what text guidance leads away from")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where the networks run")
    dtype: Literal["auto", "fp32", "bf16"] = Field("auto", description="of the 2-D layers (auto: bf16 on a GPU)")
    vram_gib: float = Field(24.0, gt=0, description="enforced cap on CUDA memory, GiB")

    def of_stage(self, stage: str) -> tuple[float, float]:
        """(noise on generated hints, guidance over hints) of a stage's calls."""
        return getattr(self.hint_noise, stage), getattr(self.hint_guidance, stage)

    def identity(self, stages: Collection[str]) -> dict[str, Any]:
        """What decides about the frames of these stages' calls: all but the memory's cap and other stages' levels."""
        values = self.model_dump(mode="json", exclude={"vram_gib"})
        for name in ("hint_noise", "hint_guidance"):
            values[name] = {stage: values[name][stage] for stage in stages}
        return values


def run_defaults(run: Path) -> dict[str, Any]:
    """What was calibrated for a run: nested values of SamplingConfig; nothing if it never was. Raises ConfigError."""
    path = RunFolder(run).sampling
    if not path.is_file():
        return {}
    try:
        return dict(read_json(path)["defaults"])
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} is damaged ({type(error).__name__}): remove it, or run `longdance calibrate --run {run}` again."
        ) from error


PLAN_DEFAULTS: Mapping[str, Mapping[str, Any]] = {"star": {"steps": 3, "temperature": 0.0, "copy_gate": 0.0003}}
"""Where a pose says what follows, little is left to chance: more noise and steps cost time and make it no better. At
such a gate what stands still is the picture's own, and what moves stays the network's (bench/teaching.py)."""


ONE_STEP: Mapping[str, Any] = {"steps": 1, "temperature": 0.0}
"""What a run with `one_step` was taught."""


def is_one_step(run: Path) -> bool:
    """Whether a run's network was taught the one step of a sampler that begins without noise."""
    return RunFolder(run).record.is_file() and parse_config(read_record(run)["identity"]["config"]).one_step


def sampling_config(runs: Sequence[Path], settings: Mapping[str, Any], plan: str = "") -> SamplingConfig:
    """`settings` over what was calibrated for the runs, in their order, over the plan's defaults, over the others.

    Raises ConfigError.
    """
    values: dict[str, Any] = dict(PLAN_DEFAULTS.get(plan, {}))
    if plan == "star" and any(is_one_step(run) for run in runs):
        values |= ONE_STEP
    for layer in (*(run_defaults(run) for run in runs), settings):
        _merge(values, layer)
    try:
        return SamplingConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(explain_settings(error, SamplingConfig)) from error


def _merge(values: dict[str, Any], layer: Mapping[str, Any]) -> None:
    for name, value in layer.items():
        if isinstance(value, Mapping):
            values[name] = {**values.get(name, {}), **value}
        else:
            values[name] = value

"""What can be set about scoring and pruning, with its defaults."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from data_catalog.base.settings import Settings, explain_settings
from model.errors import PolicyError
from pipeline.config import read_rule

ScoreName = Literal["unlearnable", "rho", "high_loss", "learnt", "random", "flags"]
Stratum = Literal["motion", "source"]
MAX_LOSSES = 4096


class BankConfig(Settings):
    """The fixed (timestep, noise) pairs under which every sample is judged. Its hash names the bank."""

    seed: int = Field(0, ge=0)
    """Seed of the bank's noise."""
    bins: int = Field(4, ge=1, le=100)
    """Parts of equal probability of the training timesteps, so also of log-SNR."""
    windows: int = Field(4, ge=1, le=10_000)
    """Windows of a clip that the pairs are spread over, the same for all clips of one length."""
    plan: str = "origin"
    """Plan whose windows are scored."""


class ScoreConfig(Settings):
    """How a run's losses are measured."""

    bank: BankConfig = BankConfig()
    k: int = Field(8, ge=2, le=MAX_LOSSES, multiple_of=2)
    """Losses per sample: antithetic pairs, so an even number."""
    batch: int = Field(8, ge=1)
    """Windows of one sample in a forward pass at most. Samples never share one."""
    threads: int = Field(1, ge=1, le=1024)
    """On a CPU, of each process: sums come out the same to the last bit for the same number only."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes a GPU where there is one."""
    adaptive: bool = True
    """More losses for samples near the cut, until the score is reliable there."""
    reliability: float = Field(0.9, gt=0, lt=1)
    """Where the adaptive rounds stop."""
    most_k: int = Field(64, ge=2, le=MAX_LOSSES, multiple_of=2)
    """Losses of a sample that is near the cut, at most."""


class Policy(Settings):
    """Which samples go. Its readable form is the SQL of `model.scoring.selection.policy_sql`."""

    score: ScoreName = "random"
    """`unlearnable`: hard for a model that never saw it, and no easier for one that did. `rho`: not worth learning.
    `high_loss`: the origin's rule. `learnt`: already easy. `random`: the control. `flags`: the SQL verdicts."""
    fraction: float = Field(0.1, gt=0, lt=1)
    """Share of the judged samples that goes, per stage."""
    action: Literal["drop", "keep"] = "drop"
    """`keep`: of the samples most worth training on, only this share stays."""
    end: Literal["worth", "highest", "lowest"] = "worth"
    """Which end of the score is chosen: that which its worth says, or one by force."""
    combine: Literal["each", "union", "intersection", "vote"] = "each"
    """Of several stages' choices: each stage its own version, or one of what any, all, or more than half choose."""
    strata: tuple[Stratum, ...] = ("motion",)
    """No stratum loses more than `cap` times its share."""
    motion_strata: int = Field(10, ge=2)
    """Parts of equal size by motion energy."""
    cap: float = Field(1.0, gt=0, le=1000)
    """Times its share that a stratum may lose at most."""
    certainty: float = Field(0.0, ge=0, lt=1)
    """Least bootstrap probability of being in the chosen `fraction` (the worst, unless the policy keeps or is turned
    round), for a sample to be chosen."""
    measured: dict[str, str] = Field(default_factory=dict)
    """Rules about columns of scorers of your own, `measured.NAME=<4.5`: clips below, or with > above, go."""
    licences: tuple[str, ...] = ()
    """Licences that a sample's source may have; all others go, and unknown ones. Empty: any."""
    weights: Literal["none", "rho"] = "none"
    """`rho`: samples that stay weigh 1 to 2 by the rank of their rho, for a training with `prioritise`."""

    @field_validator("weights")
    @classmethod
    def _of_one_stage(cls, value: str, info: ValidationInfo) -> str:
        if value == "rho" and info.data.get("combine") != "each":
            raise ValueError("weights by rho are those of one stage, so leave 'combine' at 'each'")
        return value

    @field_validator("measured")
    @classmethod
    def _rules(cls, value: dict[str, str]) -> dict[str, str]:
        for name, rule in value.items():
            read_rule(name, rule)
        return value

    @field_validator("strata", "licences", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """`motion,source` as a command line gives it; `none` for no strata."""
        if value is None:
            return ()
        return tuple(part for part in value.split(",") if part) if isinstance(value, str) else value


def policy(**settings: Any) -> Policy:
    """A checked policy. Raises PolicyError, in one sentence."""
    return _checked(Policy, settings)


def score_config(**settings: Any) -> ScoreConfig:
    """A checked way of scoring. Raises PolicyError, in one sentence."""
    return _checked(ScoreConfig, settings)


def _checked(kind: Any, settings: dict[str, Any]) -> Any:
    try:
        return kind.model_validate(settings)
    except ValidationError as error:
        raise PolicyError(explain_settings(error, kind)) from error

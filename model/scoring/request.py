"""What `prune` is asked for: one object that the command, its dry run and the flow share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator

from data_catalog.base.settings import Settings, explain_settings
from data_catalog.base.store import is_url
from model.errors import PolicyError
from model.scoring.policy import Policy, ScoreConfig


class PruneRequest(Settings):
    """A version without the samples that a policy drops, from the losses of trained runs."""

    data: Path | str = Field(description="folder of a built data set, or its address in object storage")
    runs: tuple[Path, ...] = Field(min_length=1, description="trained runs whose losses decide, one a stage")
    policy: Policy = Field(Policy(), description="which samples go")
    scoring: ScoreConfig = Field(ScoreConfig(), description="noise bank and number of losses")
    irreducible: tuple[Path, ...] = Field(
        (), description="runs trained on other sources; without them two are trained, on two halves of them"
    )
    fit: dict[str, Any] = Field(
        default_factory=dict, description="settings of those two that differ from their run's, whose steps they halve"
    )
    parent: str | None = Field(None, description="version that is pruned further; without one, all good clips")
    name: str | None = Field(None, description="the new version's name; without one it is made of policy and hash")
    processes: int = Field(1, ge=1, description="processes that score")
    then_train: bool = Field(False, description="fork each run onto its version and train it on, in this order")
    then_steps: int | None = Field(None, ge=1, description="steps of that training; else as many as the run has had")

    @field_validator("data", "runs", "irreducible", mode="after")
    @classmethod
    def _absolute(cls, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(path.expanduser().resolve() for path in value)
        return str(value) if is_url(value) else Path(value).expanduser().resolve()


def prune_request(**given: Any) -> PruneRequest:
    """A checked request. Raises PolicyError, in one sentence."""
    try:
        return PruneRequest.model_validate(given)
    except ValidationError as error:
        raise PolicyError(explain_settings(error, PruneRequest)) from error

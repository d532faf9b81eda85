"""What can go wrong in the model, in one plain sentence each: given what, expected what, do what."""

from __future__ import annotations

from collections.abc import Iterable

from data_catalog.base.errors import LongdanceError


class ModelError(LongdanceError):
    """Base of every error that `model` raises on purpose."""


class ChannelCountError(ModelError, ValueError):
    """A tensor or a checkpoint has another number of channels than the network and its codec."""


class ShapeError(ModelError, ValueError):
    """A tensor's axes do not fit the window they belong to."""


class UnknownNameError(ModelError, ValueError):
    """A stage, plan, preset or noise setting of a name that does not exist."""

    def __init__(self, kind: str, name: object, known: Iterable[str]) -> None:
        super().__init__(f"Unknown {kind} {name!r}: choose one of {', '.join(sorted(known))}.")


class PlanError(ModelError, ValueError):
    """A plan that cannot be carried out, or a number of frames that no plan can make."""


class WeightsError(ModelError, ValueError):
    """A folder of weights that does not hold exactly the tensors of its network."""


class ConfigError(ModelError, ValueError):
    """A setting that does not exist, or has a value that it cannot have."""


class DataError(ModelError):
    """A data set that is missing, has no latents, or does not hold what its catalog says."""


class CodecError(ModelError):
    """A codec that cannot be loaded, has changed, or is not the one that a checkpoint was trained with."""


class CheckpointError(ModelError):
    """A checkpoint that could not be written, or a run that has none left that is whole."""


class RunError(ModelError):
    """A run that cannot continue: something differs from how it began, or another process is at it."""


class DeviceError(ModelError):
    """A device that is not there, or has too little memory."""


class RolloutError(ModelError):
    """A rollout that cannot begin or continue: its runs do not cover the plan, its folder holds another, no room."""


class PoseError(ModelError, ValueError):
    """A pose or a dance that cannot be used: of another shape, without a dancer, beyond the picture's edge."""


class PictureError(ModelError, ValueError):
    """An input picture that cannot be read or aligned."""


class MetricsError(ModelError):
    """A measurement that cannot be made, for want of weights or frames."""


class PolicyError(ModelError, ValueError):
    """A setting of scoring or pruning that cannot be, or a stratum with nothing in it."""


class LedgerError(ModelError):
    """Losses that are missing, or were measured on other data or with another bank."""


class VersionError(ModelError):
    """A version that does not exist, or whose samples have changed since it was made."""

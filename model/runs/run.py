"""A trained run as it is now: what was trained, and its newest whole checkpoint. Generation and scoring open it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_catalog.base.paths import RunFolder
from model.config import EncodeConfig, TrainConfig, parse_config
from model.errors import RunError
from model.loop_config import CHOREOGRAPHER
from model.runs.checkpoint import CheckpointInfo, network_config, newest_checkpoint
from model.runs.record import read_record

if TYPE_CHECKING:
    from model.network.diffusion import PredictionType


@dataclass(frozen=True)
class Run:
    """A run that can be used."""

    path: Path
    run_id: str
    config: TrainConfig
    codec: str
    """Hash of the codec of its latents."""
    prediction: PredictionType
    """What its network predicts, which is what its loss is of."""
    checkpoint: CheckpointInfo

    @classmethod
    def open(cls, path: Path) -> Run:
        """The run in a folder. Raises RunError, CheckpointError."""
        checkpoint, record = run_checkpoint(path), read_record(path)
        identity = record["identity"]
        if identity["config"]["stage"] == CHOREOGRAPHER:
            raise RunError(f"Run {path} is a choreographer and makes no pictures: give it as --choreographer.")
        return cls(
            path=path,
            run_id=record["run_id"],
            config=parse_config(identity["config"]),
            codec=identity["data"]["codec"],
            prediction=network_config(checkpoint)["prediction_type"],
            checkpoint=checkpoint,
        )

    @property
    def encode(self) -> EncodeConfig:
        """How its frames and prompts became what it was trained on."""
        return self.config.encode

    def record(self) -> dict[str, Any]:
        """Names the run and its weights, as plain JSON values."""
        return {
            "run": self.run_id,
            "path": str(self.path),
            "stage": self.config.stage,
            "step": self.checkpoint.step,
            "checkpoint": self.checkpoint.sha256,
        }


def run_checkpoint(run_dir: Path) -> CheckpointInfo:
    """The newest whole checkpoint of a run. Raises RunError if there is no such run or it has none yet."""
    if not RunFolder(run_dir).record.is_file():
        raise RunError(f"{run_dir} is not a run (it has no run.json): name the folder that `longdance train` made.")
    info = newest_checkpoint(RunFolder(run_dir).checkpoints)
    if info is None:
        raise RunError(f"Run {run_dir} has no checkpoint yet: let it train first.")
    return info

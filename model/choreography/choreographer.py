"""A trained choreographer as it is now: its run, its newest whole checkpoint, its averaged weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.choreography.network import ChoreographerNetwork, network_of
from model.errors import RunError
from model.loop_config import CHOREOGRAPHER
from model.runs.checkpoint import load_checkpoint
from model.runs.record import read_record
from model.runs.run import run_checkpoint


@dataclass(frozen=True)
class Choreographer:
    """What `longdance choreograph` opens."""

    network: ChoreographerNetwork
    record: dict[str, Any]
    """Names the run and its weights, as plain JSON values."""

    @classmethod
    def open(cls, path: Path) -> Choreographer:
        """The run in a folder. Raises RunError, CheckpointError."""
        checkpoint, record = run_checkpoint(path), read_record(path)
        stage = record["identity"]["config"]["stage"]
        if stage != CHOREOGRAPHER:
            raise RunError(
                f"Run {path} is of stage {stage!r} and makes no dances: train one by `longdance train choreographer`."
            )
        state = load_checkpoint(checkpoint)
        network = network_of(state.network)
        network.load_state_dict({**state.tensors["weights"], **state.tensors["ema"]})
        named = {"run": record["run_id"], "path": str(path), "stage": stage, "step": checkpoint.step}
        return cls(network.eval(), {**named, "checkpoint": checkpoint.sha256})

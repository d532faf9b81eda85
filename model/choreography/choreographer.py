"""A trained choreographer: a run's newest whole checkpoint with its averaged weights, or a folder exported from one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from data_catalog.base.files import atomic_folder, read_json, sha256_file, write_json
from data_catalog.base.paths import ChoreographerFolder
from model.choreography.network import ChoreographerNetwork, network_of, network_record
from model.errors import RunError
from model.loop_config import CHOREOGRAPHER
from model.runs.checkpoint import load_checkpoint
from model.runs.lineage import seen_sources
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
        """The run, or the export of one, in a folder. Raises RunError, CheckpointError."""
        if ChoreographerFolder(path).weights.is_file():
            return _open_export(ChoreographerFolder(path))
        checkpoint, record = run_checkpoint(path), read_record(path)
        stage = record["identity"]["config"]["stage"]
        if stage != CHOREOGRAPHER:
            raise RunError(
                f"Run {path} is of stage {stage!r} and makes no dances: train one by `longdance train choreographer`."
            )
        state = load_checkpoint(checkpoint)
        network = _with_weights(network_of(state.network), {**state.tensors["weights"], **state.tensors["ema"]}, path)
        named = {"run": record["run_id"], "path": str(path), "stage": stage, "step": checkpoint.step}
        return cls(network, {**named, "checkpoint": checkpoint.sha256})


def export_choreographer(run: Path, out: Path, half: bool = False) -> dict[str, Any]:
    """Write a run's averaged weights into the new folder `out`, which `Choreographer.open` takes; what was written.

    With `half` what was learnt, and the styles, are float16; the components of poses stay as they are. Raises RunError
    where `out` is there already, or the run is not; CheckpointError.
    """
    if out.exists():
        raise RunError(f"{out} is there already: name a new folder to export into.")
    opened, identity = Choreographer.open(run), read_record(run)["identity"]
    shortened = {"styles", *(name for name, _ in opened.network.named_parameters())}
    tensors = {
        name: tensor.to(torch.float16 if half and name in shortened else tensor.dtype).contiguous()
        for name, tensor in opened.network.state_dict().items()
    }
    with atomic_folder(out) as temp:
        folder = ChoreographerFolder(temp)
        save_file(tensors, folder.weights)
        write_json(folder.network, network_record(opened.network))
        origin = {
            "stage": CHOREOGRAPHER,
            "run": opened.record["run"],
            "steps": opened.record["step"],
            "seed": identity["config"]["seed"],
            "data": identity["data"]["version"],
            "sources": None if (seen := seen_sources(run)) is None else sorted(seen),
            "weights_sha256": sha256_file(folder.weights),
        }
        write_json(folder.origin, origin)
    return origin


def _open_export(folder: ChoreographerFolder) -> Choreographer:
    """A folder that `export_choreographer` wrote. Raises RunError for one that is not whole."""
    try:
        origin, sizes, tensors = read_json(folder.origin), read_json(folder.network), load_file(folder.weights)
    except (OSError, ValueError, SafetensorError) as error:
        raise RunError(f"The choreographer in {folder.root} cannot be read ({error}): export it again.") from error
    sha256 = sha256_file(folder.weights)
    if origin.get("weights_sha256") != sha256:
        raise RunError(f"The choreographer in {folder.root} is not as it was written: export it again.")
    network = _with_weights(network_of(sizes), {name: tensor.float() for name, tensor in tensors.items()}, folder.root)
    named = {"run": origin["run"], "path": str(folder.root), "stage": CHOREOGRAPHER, "step": origin["steps"]}
    return Choreographer(network, {**named, "checkpoint": sha256})


def _with_weights(network: ChoreographerNetwork, tensors: dict[str, torch.Tensor], path: Path) -> ChoreographerNetwork:
    """The network with these weights. Raises RunError where they are another network's."""
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise RunError(f"The choreographer in {path} is of another longdance: train it again with this one.") from error
    return network.eval()

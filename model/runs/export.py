"""A trained network as a folder of its own: in diffusers' format, with its codec, without Adam and history."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from data_catalog.base.files import atomic_folder, sha256_file, write_json
from data_catalog.base.paths import RunFolder
from model.data.codec import load_codec
from model.errors import RunError
from model.runs.init_weights import network_of_run
from model.runs.lineage import ORIGIN, seen_sources
from model.runs.record import read_record
from model.runs.run import run_checkpoint

WEIGHTS = "diffusion_pytorch_model.safetensors"


def export_run(run: Path, out: Path, half: bool = False) -> dict[str, Any]:
    """Write a run's averaged weights and codec into the new folder `out`; what was written, as plain JSON values.

    A training starts from it by `init=OUT` and, with the embedded codec, `encode.codec=OUT`. With `half` the weights
    are float16, which is enough to start from. Raises RunError where `out` is there already, or the run is not.
    """
    info = run_checkpoint(run)
    if out.exists():
        raise RunError(f"{out} is there already: name a new folder to export into.")
    network = network_of_run(run)
    for parameter in network.parameters():
        parameter.data = parameter.data.to(torch.float16 if half else torch.float32)
    identity = read_record(run)["identity"]
    with atomic_folder(out) as temp:
        network.save_pretrained(temp, safe_serialization=True)
        load_codec(RunFolder(run).codec).save(temp)
        origin = {
            "stage": identity["config"]["stage"],
            "steps": info.step,
            "seed": identity["config"]["seed"],
            "data": identity["data"]["version"],
            "sources": None if (seen := seen_sources(run)) is None else sorted(seen),
            "weights_sha256": sha256_file(temp / WEIGHTS),
        }
        write_json(temp / ORIGIN, origin)
    return origin

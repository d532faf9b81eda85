"""Checkpoints: one folder each, whole or not there, every byte under a checksum, safetensors and JSON only.

`CHECKPOINTS/step-00001000/` holds the parts and, hashing them all, `manifest.json` in its one canonical spelling,
so that a flipped bit in any file, the manifest too, is seen. A damaged folder is set aside when its step is written
again, and goes when it is older than those that are kept.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from data_catalog.base.disk import disk_errors
from data_catalog.base.files import (
    atomic_folder,
    canonical_json,
    fsync_path,
    make_folder,
    read_json,
    remove_temp_folders,
    sha256_file,
    sha256_from_disk,
)
from data_catalog.base.paths import RunFolder
from model.errors import CheckpointError

_log = logging.getLogger(__name__)

Tensors = dict[str, torch.Tensor]


@dataclass
class TrainingState:
    """All that the next step depends on, apart from the data and the config.

    `tensors` holds one file's worth each: `weights`, `ema`, `optimizer`, `rng`, and `task` of one that
    remembers something. `progress` holds plain values: step, samples seen, the optimizer's own numbers, the gradient
    scaler, the length of the metrics file.
    """

    tensors: dict[str, Tensors]
    progress: dict[str, Any]
    network: dict[str, Any]
    """The network's config, as `from_config` takes it."""


@dataclass(frozen=True)
class CheckpointInfo:
    """A checkpoint that verified: its folder, step, and the hash of its manifest."""

    path: Path
    step: int
    sha256: str
    bytes: int


def step_folder(root: Path, step: int) -> Path:
    """The folder of the checkpoint after `step` optimizer steps."""
    return root / f"step-{step:08d}"


def step_of(path: Path) -> int:
    """The step in a checkpoint folder's name."""
    return int(path.name.removeprefix("step-"))


def save_checkpoint(root: Path, state: TrainingState, keep: int) -> CheckpointInfo:
    """Write, verify from the disk, and only then remove what is older than the `keep` newest that verify.

    Raises CheckpointError if the disk is full or gives back other bytes; the older checkpoints are then untouched.
    """
    make_folder(root)
    remove_temp_folders(root)
    path = step_folder(root, state.progress["step"])
    if path.exists():
        if info := inspect_checkpoint(path)[0]:
            return info
        set_aside(path)
    resumes = f"it continues from {'the checkpoint before' if list_checkpoints(root) else 'the start'}"
    try:
        with disk_errors(root, CheckpointError, resumes), atomic_folder(path) as temp:
            _write_parts(temp, state)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"A checkpoint could not be written to {root} ({error}): fix that and run the same command again, "
            f"{resumes}."
        ) from error
    info, reason = inspect_checkpoint(path, from_disk=True)
    if info is None:
        damaged = set_aside(path)
        raise CheckpointError(f"The new checkpoint does not read back ({reason}), kept as {damaged}: check the disk.")
    with RunFolder(root.parent).checkpoint_history.open("ab") as history:
        history.write(canonical_json({"step": info.step, "sha256": info.sha256, "bytes": info.bytes}) + b"\n")
        history.flush()
        os.fsync(history.fileno())
    fsync_path(root.parent)
    _prune(root, keep)
    return info


def _write_parts(folder: Path, state: TrainingState) -> None:
    for name, tensors in state.tensors.items():
        plain = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
        save_file(plain, folder / f"{name}.safetensors")
    (folder / "progress.json").write_bytes(canonical_json(state.progress))
    (folder / "network.json").write_bytes(canonical_json(state.network))
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256_file(path)} for path in sorted(folder.iterdir())
    }
    (folder / "manifest.json").write_bytes(canonical_json({"step": state.progress["step"], "files": files}))


def inspect_checkpoint(path: Path, *, from_disk: bool = False) -> tuple[CheckpointInfo | None, str]:
    """(info, "") if every byte is as it was written, otherwise (None, what is wrong)."""
    hash_file = sha256_from_disk if from_disk else sha256_file
    manifest_file = path / "manifest.json"
    try:
        raw = manifest_file.read_bytes()
        manifest = read_json(manifest_file)
        canonical = canonical_json(manifest) == raw
        files = {name: (int(entry["bytes"]), str(entry["sha256"])) for name, entry in manifest["files"].items()}
        step = int(manifest["step"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return None, f"manifest.json cannot be read: {error!r}"
    if not canonical or path != step_folder(path.parent, step):
        return None, "manifest.json has been altered"
    if extra := {part.name for part in path.iterdir()} - {*files, manifest_file.name}:
        return None, f"{min(extra)} does not belong to it"
    for name, (size, digest) in files.items():
        part = path / name
        if not part.is_file():
            return None, f"{name} is missing"
        if part.stat().st_size != size:
            return None, f"{name} has {part.stat().st_size} bytes, {size} were written"
        if hash_file(part) != digest:
            return None, f"{name} has other bytes than were written"
    total = sum(size for size, _ in files.values()) + len(raw)
    return CheckpointInfo(path, step, sha256_file(manifest_file), total), ""


def list_checkpoints(root: Path) -> list[Path]:
    """The checkpoint folders, newest first, verified or not. A copy by another name is none, and is left alone."""
    return [step_folder(root, step) for step in sorted(_steps(root), reverse=True)]


def newest_step(root: Path) -> int:
    """The step of the newest checkpoint, verified or not; 0 if there is none."""
    return max(_steps(root), default=0)


def _steps(root: Path) -> Iterator[int]:
    for path in root.glob("step-*"):
        digits = path.name.removeprefix("step-")
        if digits.isdecimal() and path == step_folder(root, int(digits)):
            yield int(digits)


def set_aside(path: Path) -> Path:
    """Rename a damaged checkpoint to `damaged-...`, so that its step can be written again and nothing is lost."""
    number = 0
    while (target := path.with_name(f"damaged-{path.name}-{number}")).exists():
        number += 1
    path.rename(target)
    fsync_path(path.parent)
    return target


def set_aside_diverged(root: Path) -> Path | None:
    """Rename the checkpoints that are newer than the newest from before the loss left its range, to `diverged-...`, so
    that a resume goes on there. Returns that one; None, and nothing is renamed, if there is none."""
    newer: list[Path] = []
    for path in list_checkpoints(root):
        if inspect_checkpoint(path)[0] and not _has_diverged(path):
            for diverged in newer:
                target = diverged.with_name(f"diverged-{diverged.name}")
                shutil.rmtree(target, ignore_errors=True)  # of an earlier try, which was the same
                diverged.rename(target)
            fsync_path(root)
            return path
        newer.append(path)
    return None


def _has_diverged(path: Path) -> bool:
    """Whether the loss had left its range in a checkpoint that verifies."""
    return bool(read_json(path / "progress.json").get("diverged", False))


def _prune(root: Path, keep: int) -> None:
    """Remove what is older than the `keep` newest that verify, but for the newest whose loss was in its range."""
    kept, sound = 0, False
    for path in list_checkpoints(root):
        if kept >= keep and sound:
            shutil.rmtree(path)
        elif kept < keep:
            whole = inspect_checkpoint(path)[0] is not None
            kept += whole
            sound = sound or (whole and not _has_diverged(path))
        elif inspect_checkpoint(path)[0] and not _has_diverged(path):
            sound = True
        else:
            shutil.rmtree(path)


def newest_checkpoint(root: Path, say: Callable[[str], None] = _log.warning) -> CheckpointInfo | None:
    """The newest checkpoint that verifies; None if none was ever written. `say` is told of each damaged one.

    Raises CheckpointError if there were checkpoints and none verifies.
    """
    damaged = []
    for path in list_checkpoints(root):
        info, reason = inspect_checkpoint(path)
        if info:
            return info
        damaged.append(f"{path.name}: {reason}")
        say(f"Checkpoint {path} is damaged ({reason}): falling back to the one before it.")
    damaged += [path.name for path in root.glob("damaged-*")]
    if damaged or RunFolder(root.parent).checkpoint_history.exists():
        found = "; ".join(damaged) or "all are gone"
        raise CheckpointError(
            f"No checkpoint in {root} is whole ({found}): restore one from a backup, or start a new run."
        )
    return None


def network_config(info: CheckpointInfo) -> dict[str, Any]:
    """The config of the network in a checkpoint, as `from_config` takes it."""
    return dict(read_json(info.path / "network.json"))


def load_checkpoint(info: CheckpointInfo) -> TrainingState:
    """Read a verified checkpoint. Tensors come as they were saved, on the CPU."""
    parts = {path.stem: load_file(path) for path in sorted(info.path.glob("*.safetensors"))}
    return TrainingState(parts, read_json(info.path / "progress.json"), network_config(info))


def pack_optimizer(optimizer: torch.optim.Optimizer, names: Mapping[torch.Tensor, str]) -> tuple[Tensors, dict]:
    """An optimizer's state as named tensors and plain numbers, whatever it keeps per parameter."""
    tensors: Tensors = {}
    numbers: dict[str, Any] = {}
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            target = tensors if isinstance(value, torch.Tensor) else numbers
            target[f"{names[parameter]}/{key}"] = value
    return tensors, numbers


def unpack_optimizer(
    optimizer: torch.optim.Optimizer, names: Mapping[torch.Tensor, str], tensors: Tensors, numbers: Mapping[str, Any]
) -> None:
    """Put a packed state back, each tensor beside its parameter (where the fused Adam keeps its steps, too).

    Raises CheckpointError if it belongs to other parameters.
    """
    parameters = {name: parameter for parameter, name in names.items()}
    known = {path.rsplit("/", 1)[0] for path in (*tensors, *numbers)}
    if known and known != parameters.keys():
        name = min(known ^ parameters.keys())
        raise CheckpointError(
            f"The checkpoint's optimizer and this run do not train the same parameters ({name!r} is in one only): "
            "keep the setting 'train', or start from its weights with init 'run:PATH'."
        )
    for path, value in {**tensors, **numbers}.items():
        name, key = path.rsplit("/", 1)
        parameter = parameters[name]
        optimizer.state[parameter][key] = value.to(parameter.device) if isinstance(value, torch.Tensor) else value

"""The latents of a rollout on disk: one file for each finished step, whole and under a checksum, or not there."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from data_catalog.base.files import canonical_json, write_bytes
from model.errors import RolloutError
from model.rollout.steps import Step

_log = logging.getLogger(__name__)


def latents_hash(latents: torch.Tensor) -> str:
    """Names latents by their shape and bytes."""
    digest = hashlib.sha256(str(tuple(latents.shape)).encode())
    digest.update(latents.contiguous().numpy().tobytes())
    return digest.hexdigest()


class RolloutStore:
    """Float16 latents by step; float16 as the latents that the networks were trained on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, step: Step) -> Path:
        """Where a step's latents lie: the name holds its key."""
        name = f"call-{step.number:05d}-{step.redo:03d}" if step.call.hints else "given"
        return self.folder / f"{name}-{step.key[:16]}.safetensors"

    def put(self, step: Step, latents_FCHW: torch.Tensor) -> None:
        """Keep the latents of `step.targets`, in that order: durable when this returns. Raises OSError."""
        half = latents_FCHW.half().contiguous()
        # One entry: with more, safetensors would write them in any order.
        header = {"key": step.key, "frames": list(step.targets), "sha256": latents_hash(half)}
        write_bytes(self.path(step), save({"latents": half}, metadata={"step": canonical_json(header).decode()}))

    def has(self, step: Step) -> bool:
        """Whether a step's latents are there, whole; damaged ones are removed, to be made again."""
        path = self.path(step)
        if not path.is_file():
            return False
        try:
            self.get(step)
        except RolloutError as error:
            _log.warning("%s It is made again.", error)
            path.unlink()
            return False
        return True

    def get(self, step: Step) -> torch.Tensor:
        """The latents of `step.targets` (T, C, H, W), float16. Raises RolloutError if they are not as written."""
        path = self.path(step)
        try:
            raw = path.read_bytes()
            length = int.from_bytes(raw[:8], "little")
            header = json.loads(json.loads(raw[8 : 8 + length])["__metadata__"]["step"])
            latents = load(raw)["latents"]
        except (OSError, SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise RolloutError(f"The latents {path} cannot be read ({type(error).__name__}).") from error
        if header != {"key": step.key, "frames": list(step.targets), "sha256": latents_hash(latents)}:
            raise RolloutError(f"The latents {path} have other bytes than were written.")
        return latents

    def frames(self, frames: Sequence[int], final: Mapping[int, Step]) -> torch.Tensor:
        """The latents of these frames, by the step that made each, (F, C, H, W), float32."""
        parts: dict[str, torch.Tensor] = {}
        rows = []
        for frame in frames:
            step = final[frame]
            if step.key not in parts:
                parts[step.key] = self.get(step)
            rows.append(parts[step.key][step.targets.index(frame)])
        return torch.stack(rows).float()

    def prune(self, steps: Iterable[Step]) -> None:
        """Remove the latents of steps that are no longer part of the rollout."""
        wanted = {self.path(step) for step in steps}
        for path in self.folder.glob("*.safetensors"):
            if path not in wanted:
                path.unlink()

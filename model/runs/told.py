"""What the first process of a training knows and the others need: they may be on hosts that do not see its folders.

Whatever is told goes through the process group, tensor by tensor, so that none holds more than one beside its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]

from data_catalog.base.files import sha256_json
from model.errors import RunError
from model.runs.checkpoint import Tensors, TrainingState


def told(accelerator: Accelerator, value: Any) -> Any:
    """The first process's plain value, in every process."""
    if accelerator.num_processes == 1:
        return value
    box = [value]
    torch.distributed.broadcast_object_list(box, src=0, device=accelerator.device)
    return box[0]


def check_same(accelerator: Accelerator, identity: dict[str, Any]) -> None:
    """Raise RunError in a process that sees another data set, or has other code, than the first."""
    first = told(accelerator, {name: sha256_json(part) for name, part in identity.items()})
    for name, part in identity.items():
        if sha256_json(part) != first[name]:
            raise RunError(
                f"Process {accelerator.process_index} has other {name} than the first: install the same longdance on "
                "every host, let no other command change the data set meanwhile, then run the same command again."
            )


@dataclass(frozen=True)
class _Outline:
    """A state without the bytes of its tensors."""

    shapes: dict[str, dict[str, tuple[torch.dtype, torch.Size]]]
    progress: dict[str, Any]
    network: dict[str, Any]


def told_state(accelerator: Accelerator, state: TrainingState | None) -> TrainingState | None:
    """The first process's state, in every process; its tensors are on the CPU."""
    if accelerator.num_processes == 1:
        return state
    outline: _Outline | None = told(accelerator, _outline(state) if state else None)
    if outline is None:
        return None
    tensors: dict[str, Tensors] = {}
    for part, shapes in outline.shapes.items():
        tensors[part] = {}
        for name, (dtype, shape) in shapes.items():
            own = state.tensors[part][name].detach().cpu() if state else torch.empty(shape, dtype=dtype)
            tensors[part][name] = _told_tensor(accelerator, own)
    return state or TrainingState(tensors, outline.progress, outline.network)


def _outline(state: TrainingState) -> _Outline:
    shapes = {
        part: {name: (tensor.dtype, tensor.shape) for name, tensor in tensors.items()}
        for part, tensors in state.tensors.items()
    }
    return _Outline(shapes, state.progress, state.network)


def _told_tensor(accelerator: Accelerator, tensor: torch.Tensor) -> torch.Tensor:
    """As bytes, since not every type of number can be sent."""
    sent = tensor.contiguous()
    if sent.numel() == 0:
        return sent
    there = sent.reshape(-1).view(torch.uint8).to(accelerator.device)
    torch.distributed.broadcast(there, src=0)
    return there.cpu().view(sent.dtype).reshape(sent.shape)

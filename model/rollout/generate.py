"""Generate: runs, a plan and a picture in, a video and what it was made of out. No Prefect here."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_catalog.base.files import exclusive, free_gib, is_disk_full, read_json
from model.data.codec import Codec, load_codec
from model.data.text import ZEROS_WIDTH, embed
from model.errors import RolloutError
from model.plans.plan import Call, make_plan
from model.rollout.config import SamplingConfig
from model.rollout.record import RolloutRecord, check_record, open_record
from model.rollout.rollout import OnRolloutEvent, Rollout, RolloutModels, picture_hash
from model.rollout.stage_networks import NetworkPool, Run, check_settings, open_run_for_serving, runs_by_stage
from model.rollout.steps import parse_stretch
from model.runs.code_identity import code_hash
from model.sampling.guidance import TextPair
from model.training.memory import cap_memory
from model.training.train import resolve_device
from pipeline.clips.fill import Rectangle
from pipeline.picture_size import PictureSize

FPS = Fraction(30)
"""Frames a second where nothing says what the runs were trained on."""
_REFUSED = (
    errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EROFS,
    errno.ENAMETOOLONG,
)  # fmt: skip


@dataclass(frozen=True)
class Request:
    """What is to be generated. `runs` are folders of `longdance train`."""

    runs: tuple[Path, ...]
    plan: str
    frames: int
    sampling: SamplingConfig
    fps: Fraction = FPS
    redo: str | None = None
    overwrite: bool = False

    def calls(self) -> list[Call]:
        """The plan's calls. Raises UnknownNameError, PlanError."""
        return make_plan(self.plan, self.frames)


@dataclass(frozen=True)
class Generated:
    """A finished video and what it was made of."""

    video: Path
    folder: Path
    record: RolloutRecord
    rollout: Rollout


@dataclass(frozen=True)
class Prepared:
    """A request whose runs have been opened and found to cover the plan."""

    request: Request
    serving: dict[str, Run]
    codec: Codec
    device: torch.device

    @property
    def size(self) -> PictureSize:
        """Of the pictures."""
        return self.codec.picture


@dataclass(frozen=True)
class Start:
    """The picture that a video begins with, uint8 (H, W, 3) of the codec's size."""

    picture_HWC: np.ndarray  # noqa: N815
    region: Rectangle | None = None
    """Where it is true, and not filled; None: everywhere."""

    def record(self) -> dict[str, Any]:
        """Names it."""
        return {"picture": picture_hash(self.picture_HWC)} | ({"region": list(self.region)} if self.region else {})


def rollout_folder(out: Path) -> Path:
    """Where a video's latents, segments and numbers are kept: beside it."""
    return out.with_name(f"{out.stem}.rollout")


def prepare(request: Request) -> Prepared:
    """Open the runs and check them against the plan and the settings, before anything long begins.

    Raises RolloutError, ConfigError, RunError, CheckpointError, CodecError, DeviceError, PlanError.
    """
    calls = request.calls()
    if request.redo is not None:
        parse_stretch(request.redo, request.frames)
    serving = runs_by_stage([open_run_for_serving(path) for path in request.runs], request.plan, calls)
    for stage, run in serving.items():
        check_settings(run, stage, request.sampling)
    device = torch.device(resolve_device(request.sampling.device))
    cap_memory(device, request.sampling.vram_gib)
    run = next(iter(serving.values()))
    return Prepared(request, serving, load_codec(run.path / "codec", str(device)), device)


def generate_video(prepared: Prepared, start: Start, out: Path, progress: OnRolloutEvent | None = None) -> Generated:
    """Make the video `out` from the picture, or go on with it: the same call again is how it resumes.

    It goes on until `Generated.record.finish()`, after which the same redo means another one; `at_work` around both
    keeps other processes away. Raises RolloutError: `out` belongs to another rollout, or cannot be written.
    """
    request, folder = prepared.request, rollout_folder(out)
    redo = parse_stretch(request.redo, request.frames) if request.redo else None
    with _disk_explained(out):
        record = open_record(folder, rollout_identity(prepared, start), redo, request.overwrite)
        dtype = _dtype(request.sampling, prepared.device)
        cast = RolloutModels(
            networks=NetworkPool(prepared.serving, prepared.device, dtype),
            codec=prepared.codec,
            text=_text(prepared),
            identity=lambda stage: [prepared.serving[stage].checkpoint.sha256, str(dtype), _prompts(prepared)],
            device=prepared.device,
        )
        rollout = Rollout(
            folder, request.calls(), request.frames, cast, request.sampling, request.fps, record.redos, start.region
        )
        rollout.run(start.picture_HWC, out, progress, replaces_whole=record.finished > 0)
    return Generated(out, folder, record, rollout)


@contextmanager
def at_work(out: Path) -> Iterator[None]:
    """Within the block no other process makes the video `out`, or anything beside it.

    Raises LongdanceError if one does already, RolloutError where the lock cannot be written.
    """
    busy = f"Another process is at work on {out}: wait for it, or stop it first."
    with ExitStack() as stack:
        with _disk_explained(out):  # of the lock alone: what is done in the block has errors of its own
            stack.enter_context(exclusive(rollout_folder(out) / "lock", busy))
        yield


def check_output(prepared: Prepared, start: Start, out: Path, beside: Sequence[Path] = ()) -> None:
    """Raise RolloutError, before anything is done, where `out`, or what is made `beside` it, may not be written."""
    with _disk_explained(out):
        _check_output(prepared, start, out, beside)


def _check_output(prepared: Prepared, start: Start, out: Path, beside: Sequence[Path]) -> None:
    request = prepared.request
    if out.suffix != ".mp4":
        raise RolloutError(f"The video's name {out} does not end in .mp4: name an mp4 (a GIF is made beside it).")
    nearest = next(folder for folder in out.parents if folder.exists())
    if not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
        raise RolloutError(f"{out} cannot be written ({nearest} takes no files): name an --out in a folder that does.")
    known = (rollout_folder(out) / "rollout.json").is_file()
    for path in () if known or request.overwrite else (out, *beside):
        if path.exists():
            raise RolloutError(f"{path} is there and was not made here: name another --out, or add --overwrite.")
    redo = parse_stretch(request.redo, request.frames) if request.redo else None
    check_record(rollout_folder(out), rollout_identity(prepared, start), redo, request.overwrite)


def rollout_identity(prepared: Prepared, start: Start) -> dict[str, Any]:
    """All that decides about the video's bytes, as plain JSON values."""
    request = prepared.request
    return {
        "plan": request.plan,
        "frames": request.frames,
        "fps": str(request.fps),
        "sampling": {**request.sampling.identity(prepared.serving), "device": prepared.device.type},
        "runs": {stage: run.record() for stage, run in prepared.serving.items()},
        "codec": prepared.codec.hash,
        **start.record(),
        "code": code_hash("model.rollout.generate"),
    }


def _prompts(prepared: Prepared) -> list[str]:
    sampling, encode = prepared.request.sampling, next(iter(prepared.serving.values())).encode
    return [sampling.prompt or encode.prompt, sampling.negative_prompt]


def _text(prepared: Prepared) -> TextPair:
    """The embeddings of the prompt and of the negative one; zeros where the runs were trained without text."""
    encode = next(iter(prepared.serving.values())).encode
    if encode.text_source == "zeros":
        zeros = torch.zeros(1, 1, _text_width(prepared.serving), device=prepared.device)
        return TextPair(zeros, zeros)
    prompt, negative = embed(encode.text_source, _prompts(prepared), str(prepared.device)).half().float()
    return TextPair(prompt[None].to(prepared.device), negative[None].to(prepared.device))


def _text_width(serving: Mapping[str, Run]) -> int:
    network = read_json(next(iter(serving.values())).checkpoint.path / "network.json")
    return int(network["unet2d"].get("cross_attention_dim", ZEROS_WIDTH))


def _dtype(sampling: SamplingConfig, device: torch.device) -> torch.dtype:
    chosen = sampling.dtype if sampling.dtype != "auto" else ("bf16" if device.type == "cuda" else "fp32")
    return {"fp32": torch.float32, "bf16": torch.bfloat16}[chosen]


@contextmanager
def _disk_explained(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _REFUSED:
            raise RolloutError(
                f"{error.filename2 or error.filename or out} cannot be written ({error.strerror}): move what is in "
                "the way, or name another --out."
            ) from error
        if not is_disk_full(error):
            raise
        raise RolloutError(
            f"The disk of {out.parent} is full ({free_gib(out.parent):.2f} GiB free): make room and run the same "
            "command again, it goes on at the next window."
        ) from error


def rollout_row(generated: Generated, prepared: Prepared, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The rollout as the catalog's `rollouts` keeps it."""
    request = prepared.request
    return {
        "rollout": generated.record.rollout,
        "path": str(generated.video),
        "plan": request.plan,
        "seed": request.sampling.seed,
        "runs": json.dumps({stage: run.run_id for stage, run in prepared.serving.items()}, sort_keys=True),
        "metrics": json.dumps(metrics, sort_keys=True),
        "config": json.dumps({**generated.record.identity, "redos": generated.record.redos}, sort_keys=True),
        "created": datetime.fromisoformat(generated.record.created).replace(tzinfo=None),
    }

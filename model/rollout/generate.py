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

from data_catalog.base.at_work import generating
from data_catalog.base.disk import disk_errors
from data_catalog.base.paths import RunFolder
from data_catalog.base.rollout_paths import RolloutFolder
from model.data.codec import Codec, load_codec
from model.data.samples import FPS
from model.data.text import ZEROS_WIDTH, embed
from model.devices import resolve_device
from model.errors import RolloutError
from model.plans.plan import Call, make_plan
from model.rollout.config import SamplingConfig
from model.rollout.record import RolloutRecord, check_record, open_record
from model.rollout.rollout import OnRolloutEvent, Rollout, RolloutModels, dance_hash, outline_hash, picture_hash
from model.rollout.stage_networks import NetworkPool, check_settings, runs_by_stage
from model.rollout.steps import parse_stretch
from model.runs.checkpoint import network_config
from model.runs.code_identity import code_hash
from model.runs.run import Run
from model.sampling.guidance import TextPair
from model.sources import NoText
from model.training.memory import cap_memory
from pipeline.clips.fill import Rectangle
from pipeline.picture_size import PictureSize

_REFUSED = (
    errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.EACCES, errno.EPERM,
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
    dance: np.ndarray | None = None
    """(frames, 33, 4) landmarks in its pixels of the person in every frame, from its own on; None: nothing is told."""
    outline_HW: np.ndarray | None = None  # noqa: N815
    """Where its person is, bool; None: not known."""

    def record(self) -> dict[str, Any]:
        """Names it."""
        named: dict[str, Any] = {"picture": picture_hash(self.picture_HWC)}
        if self.region:
            named["region"] = list(self.region)
        if self.dance is not None:
            named["dance"] = dance_hash(self.dance)
        if self.outline_HW is not None:
            named["outline"] = outline_hash(self.outline_HW)
        return named


def prepare(request: Request) -> Prepared:
    """Open the runs and check them against the plan and the settings, before anything long begins.

    Raises RolloutError, ConfigError, RunError, CheckpointError, CodecError, DeviceError, PlanError.
    """
    calls = request.calls()
    if request.redo is not None:
        parse_stretch(request.redo, request.frames)
    serving = runs_by_stage([Run.open(path) for path in request.runs], request.plan, calls)
    for stage, run in serving.items():
        check_settings(run, stage, request.sampling)
    device = torch.device(resolve_device(request.sampling.device))
    cap_memory(device, request.sampling.vram_gib)
    run = next(iter(serving.values()))
    return Prepared(request, serving, load_codec(RunFolder(run.path).codec, str(device)), device)


def check_dance(prepared: Prepared, start: Start) -> None:
    """Raise RolloutError where runs are told poses and there are none, or the other way round."""
    for stage, run in prepared.serving.items():
        if run.config.pose and start.dance is None:
            raise RolloutError(
                f"Run {run.path} makes {stage} calls from a picture and a dance, and no dance was given: name one with "
                "--pose, take one of the data set's with --dance auto, or let one be made with --dance new."
            )
        if start.dance is not None and not run.config.pose:
            raise RolloutError(
                f"A dance was given and run {run.path} was trained without poses: leave out --pose and --dance, or "
                "train a run with pose=true."
            )


def generate_video(prepared: Prepared, start: Start, out: Path, progress: OnRolloutEvent | None = None) -> Generated:
    """Make the video `out` from the picture, or continue with it: the same call again is how it resumes.

    It continues until `Generated.record.finish()`, after which the same redo means another one; `at_work` around both
    keeps other processes away. Raises RolloutError: `out` belongs to another rollout, or cannot be written.
    """
    request, folder = prepared.request, RolloutFolder.beside(out).root
    redo = parse_stretch(request.redo, request.frames) if request.redo else None
    with _writing_explained(out):
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
            folder, request.calls(), request.frames, cast, request.sampling, request.fps, record.redos, start.region,
            start.dance,
            start.outline_HW,
        )  # fmt: skip
        rollout.run(start.picture_HWC, out, progress, replaces_whole=record.finished > 0)
    return Generated(out, folder, record, rollout)


@contextmanager
def at_work(out: Path) -> Iterator[None]:
    """Within the block no other process makes the video `out`, or anything beside it.

    Raises LongdanceError if one does already, RolloutError where the lock cannot be written.
    """
    with ExitStack() as stack:
        with _writing_explained(out):  # of the lock alone: what is done in the block has errors of its own
            stack.enter_context(generating(out).alone())
        yield


def check_output(prepared: Prepared, start: Start, out: Path, beside: Sequence[Path] = ()) -> None:
    """Raise RolloutError, before anything is done, where `out`, or what is made `beside` it, may not be written."""
    with _writing_explained(out):
        _check_output(prepared, start, out, beside)


def _check_output(prepared: Prepared, start: Start, out: Path, beside: Sequence[Path]) -> None:
    request = prepared.request
    if out.suffix != ".mp4":
        raise RolloutError(f"The video's name {out} does not end in .mp4: name an mp4 (a GIF is made beside it).")
    nearest = next(folder for folder in out.parents if folder.exists())
    if not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
        raise RolloutError(f"{out} cannot be written ({nearest} takes no files): name an --out in a folder that does.")
    known = RolloutFolder.beside(out).record.is_file()
    for path in () if known or request.overwrite else (out, *beside):
        if path.exists():
            raise RolloutError(f"{path} is there and was not made here: name another --out, or add --overwrite.")
    redo = parse_stretch(request.redo, request.frames) if request.redo else None
    check_record(RolloutFolder.beside(out).root, rollout_identity(prepared, start), redo, request.overwrite)


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
    if isinstance(encode.text_source, NoText):
        zeros = torch.zeros(1, 1, _text_width(prepared.serving), device=prepared.device)
        return TextPair(zeros, zeros)
    prompt, negative = embed(encode.text_source.name, _prompts(prepared), str(prepared.device)).half().float()
    return TextPair(prompt[None].to(prepared.device), negative[None].to(prepared.device))


def _text_width(serving: Mapping[str, Run]) -> int:
    network = network_config(next(iter(serving.values())).checkpoint)
    return int(network["unet2d"].get("cross_attention_dim", ZEROS_WIDTH))


def _dtype(sampling: SamplingConfig, device: torch.device) -> torch.dtype:
    chosen = sampling.dtype if sampling.dtype != "auto" else ("bf16" if device.type == "cuda" else "fp32")
    return {"fp32": torch.float32, "bf16": torch.bfloat16}[chosen]


@contextmanager
def _writing_explained(out: Path) -> Iterator[None]:
    """Raise RolloutError where `out` cannot be written: it is in the way of itself, or its disk takes no more."""
    try:
        with disk_errors(out.parent, RolloutError, "it resumes at the next window"):
            yield
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        raise RolloutError(
            f"{error.filename2 or error.filename or out} cannot be written ({error.strerror}): move what is in the "
            "way, or name another --out."
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

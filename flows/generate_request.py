"""What `generate` is asked for, and all that it needs, opened and checked before anything long begins."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator

from data_catalog.base.paths import DataFolder
from data_catalog.base.settings import Settings, explain_settings
from flows.starting_picture import Beginning, begin_with
from model.data.samples import frame_rate, rate_of
from model.drift.frechet import load_scripted
from model.errors import RolloutError
from model.rollout.config import sampling_config
from model.rollout.generate import FPS, Prepared, Request, check_output, prepare

PlanName = Literal["origin", "streaming", "tree"]


class GenerateRequest(Settings):
    """A long video from one picture, or from a clip's first frame."""

    runs: tuple[Path, ...] = Field(description="trained runs: one for each stage of the plan, or one of stage `any`")
    out: Path = Field(description="the mp4; latents, numbers and a page about it are kept beside it")
    image: Path | None = Field(None, description="picture, aligned by its dancer's pose as clips are")
    clip: str | None = Field(None, description="a clip of `data` instead of a picture: its first frame")
    data: Path | None = Field(None, description="data set, for `clip`, for real clips to compare with, for a row")
    frames: int = Field(181, description="frames of the video")
    plan: PlanName = Field("origin", description="which windows are made in which order")
    sampling: dict[str, Any] = Field(default_factory=dict, description="sampling settings that differ")
    align: bool = Field(True, description="false takes the picture's middle as it is")
    redo: str | None = Field(None, description="frames to make again, START:STOP, and all that depends on them")
    overwrite: bool = Field(False, description="start over where `out` holds a rollout of something else")
    gif_mb: float = Field(8.0, ge=0, le=2000, description="largest GIF in megabytes; 0 writes none")
    pngs: bool = Field(False, description="write every frame as a PNG, too")
    fvd: Path | None = Field(None, description="TorchScript weights of an I3D network")
    lpips: Path | None = Field(None, description="TorchScript weights of an LPIPS network")
    fps: float | None = Field(None, ge=1, le=120, description="frames a second; else the clip's, most clips', or 30")

    @field_validator("runs", "out", "image", "data", "fvd", "lpips", mode="after")
    @classmethod
    def _absolute(cls, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(path.expanduser().resolve() for path in value)
        return value if value is None else value.expanduser().resolve()

    @property
    def weights(self) -> dict[str, Path]:
        """The measuring networks that were given, by name."""
        named = {"fvd": self.fvd, "lpips": self.lpips}
        return {name: path for name, path in named.items() if path is not None}

    @property
    def beside(self) -> list[Path]:
        """What is made beside the mp4."""
        return [self.out.with_suffix(".html"), *([self.out.with_suffix(".gif")] if self.gif_mb else [])]


def generate_request(**given: Any) -> GenerateRequest:
    """A checked request. Raises RolloutError, in one sentence."""
    try:
        return GenerateRequest.model_validate(given)
    except ValidationError as error:
        raise RolloutError(explain_settings(error, GenerateRequest)) from error


@dataclass(frozen=True)
class OpenedRequest:
    """A request and all that its rollout needs."""

    request: GenerateRequest
    prepared: Prepared
    beginning: Beginning
    data: DataFolder | None


def open_runs(request: GenerateRequest, rate: Fraction = FPS) -> Prepared:
    """The runs opened and checked against the plan and the settings. Raises ModelError's kinds."""
    sampling = sampling_config(request.runs, request.sampling)
    return prepare(Request(request.runs, request.plan, request.frames, sampling, rate, request.redo, request.overwrite))


_opened: dict[str, OpenedRequest] = {}


def open_request(request: GenerateRequest) -> OpenedRequest:
    """Open and check everything, once: what a command opened, the flow that it starts takes over.

    Raises ModelError's kinds and LongdanceError, each with one sentence.
    """
    data = None if request.data is None else DataFolder.built(request.data)
    prepared = open_runs(request, frames_a_second(request, data))
    for name, path in request.weights.items():
        load_scripted(path, name.upper())
    beginning = begin_with(request.image, request.clip, data, prepared, request.align)
    check_output(prepared, beginning.start, request.out, request.beside)
    _opened[request.hash] = opened = OpenedRequest(request, prepared, beginning, data)
    return opened


def opened_request(request: GenerateRequest) -> OpenedRequest:
    """What `open_request` has just opened for this request in this process, else opened now."""
    return _opened.pop(request.hash, None) or open_request(request)


def frames_a_second(request: GenerateRequest, data: DataFolder | None) -> Fraction:
    """What was asked for; else as the clip that the video begins with has it, or most clips of the data set."""
    if request.fps is not None:
        return rate_of(request.fps)
    return (frame_rate(data.root, request.clip) if data else None) or FPS

"""What `generate` is asked for, and all that it needs, opened and checked before anything long begins."""

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, ValidationError, field_validator, model_validator

from data_catalog.base.paths import DataFolder
from data_catalog.base.settings import Settings, explain_settings
from data_catalog.base.store import Store, is_url
from flows.dancing.driving_dance import DancePace, Driving, fitting_dance, one_person, put_on, read_driving
from flows.dancing.new_dance import NewDance, new_dance
from flows.starting_picture import Beginning, begin_with, cropped
from flows.storage.home import folder_to_read, naming
from flows.storage.places import place_of
from model.data.landmarks import clip_landmarks, scaled_rows
from model.data.outlines import clip_outline, outline_at
from model.data.samples import FPS, frame_rate, rate_of
from model.drift.frechet import load_scripted
from model.errors import RolloutError
from model.pose.retarget import checked_dance, paced
from model.rollout.config import sampling_config
from model.rollout.generate import Prepared, Request, check_dance, check_output, prepare
from model.rollout.stage_networks import best_plan
from model.runs.run import Run
from pipeline.clips.song import Song
from pipeline.picture_size import PictureSize

PlanName = Literal["origin", "streaming", "tree", "star"]


class GenerateRequest(Settings):
    """A long video from one picture, or from a clip's first frame."""

    runs: tuple[Path, ...] = Field(description="trained runs: one for each stage of the plan, or one of stage `any`")
    out: Path = Field(description="the mp4; latents, numbers and a page about it are kept beside it")
    image: Path | None = Field(None, description="picture, aligned by its dancer's pose as clips are")
    clip: str | None = Field(None, description="a clip of `data` instead of a picture: its first frame")
    data: Path | str | None = Field(
        None, description="data set, or its address, for `clip`, for real clips to compare with, for a row"
    )
    frames: int = Field(181, description="frames of the video")
    plan: PlanName | None = Field(None, description="which windows are made in which order [the best that runs cover]")
    sampling: dict[str, Any] = Field(default_factory=dict, description="sampling settings that differ")
    pose: str | None = Field(None, description="the dance: a clip of `data`, a video, or a .npy of landmarks")
    dance: Literal["auto", "new"] | None = Field(
        None,
        description="`auto`: a dance of `data` that fits the picture, by seed; `new`: one that `choreographer` makes",
    )
    choreographer: Path | None = Field(None, description="a run of stage `choreographer`, which makes a new dance")
    music: Path | None = Field(None, description="a song: a new dance is danced to it, and the video plays it")
    speed: float = Field(1.0, ge=0.1, le=10, description="of the dance")
    mirrored: bool = Field(False, description="exchange the dance's left and right")
    align: bool = Field(True, description="false takes the picture's middle as it is")
    redo: str | None = Field(None, description="frames to make again, START:STOP, and all that depends on them")
    overwrite: bool = Field(False, description="start over where `out` holds a rollout of something else")
    gif_mb: float = Field(8.0, ge=0, le=2000, description="largest GIF in megabytes; 0 writes none")
    pngs: bool = Field(False, description="write every frame as a PNG, too")
    fvd: Path | None = Field(None, description="TorchScript weights of an I3D network")
    lpips: Path | None = Field(None, description="TorchScript weights of an LPIPS network")
    fps: float | None = Field(None, ge=1, le=120, description="frames a second; else the clip's, most clips', or 30")

    @model_validator(mode="after")
    def _one_dance(self) -> Self:
        if self.pose is not None and (self.dance is not None or self.music is not None):
            raise ValueError("both a dance (--pose) and a new one (--dance, --music) are given: give one")
        if self.music is not None and self.dance == "auto":
            raise ValueError("a dance of the data set (--dance auto) keeps no time with --music: give --dance new")
        if self.is_new != (self.choreographer is not None):
            raise ValueError("a new dance (--dance new, --music) and its --choreographer RUN go together: give both")
        return self

    @property
    def is_new(self) -> bool:
        """Whether the dance is to be made."""
        return self.dance == "new" or self.music is not None

    @field_validator("runs", "out", "image", "data", "fvd", "lpips", "choreographer", "music", mode="after")
    @classmethod
    def _absolute(cls, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(path.expanduser().resolve() for path in value)
        return value if value is None or is_url(value) else Path(value).expanduser().resolve()

    @property
    def folder(self) -> Path | None:
        """The data set's folder; None without one, or in object storage."""
        return self.data if isinstance(self.data, Path) else None

    @property
    def own_dance(self) -> bool:
        """Whether the clip that the video begins with goes on dancing as it does: nothing is put on anybody."""
        return self.clip is not None and self.clip == self.pose and self.speed == 1 and not self.mirrored

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
    """As it was given, but `data` is the folder in which a data set in object storage is read."""
    prepared: Prepared
    beginning: Beginning
    data: DataFolder | None
    song: Song | None = None
    """What a new dance is danced to."""
    place: Path | Store | None = None
    """Where the data set lies."""


def open_runs(request: GenerateRequest, rate: Fraction = FPS) -> Prepared:
    """The runs opened and checked against the plan and the settings. Raises ModelError's kinds."""
    plan = request.plan or best_plan([Run.open(path) for path in request.runs], request.frames)
    sampling = sampling_config(request.runs, request.sampling, plan)
    return prepare(Request(request.runs, plan, request.frames, sampling, rate, request.redo, request.overwrite))


_opened: dict[str, OpenedRequest] = {}


def open_request(request: GenerateRequest) -> OpenedRequest:
    """Open and check everything, once: what a command opened, the flow that it starts takes over.

    Raises ModelError's kinds and LongdanceError, each with one sentence.
    """
    asked, place = request.hash, None if request.data is None else place_of(request.data)
    data = None if place is None else folder_to_read(place)
    request = request if data is None else request.model_copy(update={"data": data.root})
    with naming(data, place):
        _opened[asked] = opened = _open(request, data, place)
    return opened


def _open(request: GenerateRequest, data: DataFolder | None, place: Path | Store | None) -> OpenedRequest:
    """The same, once the data set can be read."""
    folder = request.folder
    driving = None if request.pose is None else read_driving(request.pose, folder)
    prepared = open_runs(request, frames_a_second(request, data, driving))
    for name, path in request.weights.items():
        load_scripted(path, name.upper())
    beginning = begin_with(request.image, request.clip, data, prepared, request.align)
    song = None
    if request.is_new:
        beginning, song = newly_dancing(beginning, request, prepared)
    elif driving is not None or request.dance is not None:
        beginning = dancing(beginning, request, driving, prepared)
    check_dance(prepared, beginning.start)
    check_output(prepared, beginning.start, request.out, request.beside)
    return OpenedRequest(request, prepared, beginning, data, song, place)


def opened_request(request: GenerateRequest) -> OpenedRequest:
    """What `open_request` has just opened for this request in this process, else opened now."""
    return _opened.pop(request.hash, None) or open_request(request)


def dancing(beginning: Beginning, request: GenerateRequest, driving: Driving | None, prepared: Prepared) -> Beginning:
    """The beginning with the dance that was asked for, on its person; a clip's own needs to be put on nobody."""
    size, pace = prepared.size, DancePace(request.frames, request.speed, request.mirrored)
    folder = request.folder
    if request.own_dance and request.clip is not None and folder is not None:
        own = checked_dance(clip_landmarks(folder, request.clip, size), request.clip)
        outline = clip_outline(folder, request.clip, size, len(own))
        return with_dance(beginning, paced(own, request.frames), outline)
    start, outline = start_pose(beginning, request, prepared)
    if driving is not None:
        danced = paced(driving.landmarks, pace.frames, pace.speed, pace.mirrored)
        put = put_on(start, driving.landmarks, pace, (size.height, size.width))
        return replace(with_dance(beginning, put, outline), driving=danced)
    if folder is None:
        raise RolloutError("--dance auto takes a dance of a data set: name it with --data.")
    seed = prepared.request.sampling.seed
    return with_dance(beginning, fitting_dance(start, folder, seed, pace, (size.height, size.width)), outline)


def newly_dancing(beginning: Beginning, request: GenerateRequest, prepared: Prepared) -> tuple[Beginning, Song | None]:
    """The beginning with a dance that is made for its person, and the song that it is danced to."""
    assert request.choreographer is not None
    seed = prepared.request.sampling.seed
    wanted = NewDance(request.choreographer, request.frames, request.music, settings={"seed": seed})
    start, outline = start_pose(beginning, request, prepared)
    danced = new_dance(wanted, start, prepared.size, prepared.request.fps)
    return with_dance(beginning, danced.dance.landmarks, outline), danced.song


LOOKED_AT = 512
"""Pixels: the shorter side of the picture in which the pose is looked for, at least."""


def start_pose(
    beginning: Beginning, request: GenerateRequest, prepared: Prepared
) -> tuple[np.ndarray, np.ndarray | None]:
    """(33, 4) landmarks of the picture's person, in its pixels, and her outline: a clip's as they are stored, else as
    they are found."""
    size = prepared.size
    folder = request.folder
    if request.clip is not None and folder is not None:
        dance = checked_dance(clip_landmarks(folder, request.clip, size), request.clip)
        return dance[0], clip_outline(folder, request.clip, size, len(dance))
    assert request.image is not None
    larger = max(1, -(-LOOKED_AT // min(size)))  # a detector sees little in pictures as small as networks make
    looked_at = PictureSize(larger * size.width, larger * size.height)
    data = None if folder is None else DataFolder(folder)
    picture, _ = cropped(request.image, data, prepared, request.align, looked_at)
    person = one_person(picture, beginning.start.picture_HWC)
    return scaled_rows(person.landmarks, 1 / larger), outline_at(person.outline_HW, size)


def with_dance(beginning: Beginning, dance: np.ndarray, outline: np.ndarray | None) -> Beginning:
    """The same with these landmarks for every frame, and where her person is in the first."""
    return replace(beginning, start=replace(beginning.start, dance=dance, outline_HW=outline))


def frames_a_second(request: GenerateRequest, data: DataFolder | None, driving: Driving | None = None) -> Fraction:
    """What was asked for; else the dance's, that of the clip that the video begins with, or most clips'."""
    if request.fps is not None:
        return rate_of(request.fps)
    if driving is not None and driving.fps is not None:
        return driving.fps
    return (frame_rate(data.root, request.clip) if data else None) or FPS

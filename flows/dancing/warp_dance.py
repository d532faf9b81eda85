"""A picture and a dance to a video by the warp alone: all that `longdance warp` opens and checks."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from data_catalog.base.disk import disk_errors
from data_catalog.base.paths import DataFolder
from flows.dancing.driving_dance import DancePace, Driving, one_person, put_on, read_driving
from model.data.samples import FPS, rate_of
from model.drift.report import real_clip
from model.errors import PoseError, RolloutError
from model.pose.warp_video import write_warped
from pipeline.analysis.pose_model import pose_model_path
from pipeline.clips.input_picture import aligned_picture, read_picture
from pipeline.config import CropConfig
from pipeline.picture_size import PictureSize


@dataclass(frozen=True)
class WarpRequest:
    """A picture of one person and a dance for her."""

    pose: str
    """A clip of `data`, a video, or a file that ends in .npy: (frames, 33, 4) landmarks."""
    out: Path
    size: PictureSize
    image: Path | None = None
    clip: str | None = None
    """A clip of `data` instead of a picture: its first frame."""
    data: Path | None = None
    frames: int = 181
    speed: float = 1.0
    mirrored: bool = False
    fps: float | None = None


def warp_dance(request: WarpRequest, progress: Callable[[int], None] = lambda frames: None) -> Path:
    """Write the video. Raises RolloutError, PoseError, DataError, LongdanceError, each with one sentence."""
    if request.out.suffix != ".mp4":
        raise RolloutError(f"The video's name {request.out} does not end in .mp4: name an mp4.")
    if not request.out.parent.is_dir():
        raise RolloutError(f"The folder {request.out.parent} of {request.out} is not there: make it first.")
    if request.out.exists():
        raise RolloutError(f"{request.out} is there already: name another --out, or move it away.")
    if any(side % 2 for side in request.size):
        raise PoseError(f"--size is {request.size}: both sides have to be even, as in 512x512.")
    picture, driving = _picture(request), read_driving(request.pose, request.data)
    person, pace = one_person(picture), DancePace(request.frames, request.speed, request.mirrored)
    moved = put_on(person.landmarks, driving.landmarks, pace, (picture.shape[0], picture.shape[1]))
    with disk_errors(request.out.parent, RolloutError, "make room, then run the same command again"):
        rate = _rate(request, driving)
        write_warped(request.out, picture, person.landmarks, moved, rate, person.outline_HW, progress)
    return request.out


def _picture(request: WarpRequest) -> np.ndarray:
    if (request.image is None) == (request.clip is None):
        raise RolloutError("Give either a picture (--image P.png) or a clip of a data set (--clip ID --data DATA).")
    if request.image is not None:
        return aligned_picture(
            read_picture(request.image), str(request.image), pose_model_path(), CropConfig(), request.size
        )[0]
    assert request.clip is not None
    return real_clip(_data(request, request.clip), request.clip, request.size).frames_FHWC[0]


def _data(request: WarpRequest, clip: str) -> Path:
    if request.data is None:
        raise RolloutError(f"Clip {clip!r} belongs to a data set: name it with --data.")
    return DataFolder.built(request.data).root


def _rate(request: WarpRequest, driving: Driving) -> Fraction:
    return rate_of(request.fps) if request.fps is not None else driving.fps or FPS

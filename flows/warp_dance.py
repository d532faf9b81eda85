"""A picture and a dance to a video by the warp alone: all that `longdance warp` opens and checks."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from data_catalog.base.disk import disk_errors
from data_catalog.base.paths import DataFolder
from model.data.landmarks import read_landmarks
from model.data.samples import FPS, frame_rate, rate_of
from model.drift.report import real_clip
from model.errors import PoseError, RolloutError
from model.pose.outline import outline_of
from model.pose.retarget import check_inside, checked_dance, paced, retarget
from model.pose.warp_video import write_warped
from pipeline.analysis.pose import pose_finder
from pipeline.analysis.pose_model import pose_model_path
from pipeline.clips.input_picture import aligned_picture, read_picture
from pipeline.config import AnalysisConfig, CropConfig
from pipeline.picture_size import PictureSize


@dataclass(frozen=True)
class WarpRequest:
    """A picture of one person and a dance for her."""

    pose: str
    """A clip of `data`, or a file that ends in .npy: (frames, 33, 4) landmarks."""
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
    picture = _picture(request)
    dance = paced(_dance(request), request.frames, request.speed, request.mirrored)
    start = one_person(picture)
    moved = retarget(dance, start)
    check_inside(moved, (picture.shape[0], picture.shape[1]))
    outline = outline_of(picture, start)
    with disk_errors(request.out.parent, RolloutError, "make room, then run the same command again"):
        write_warped(request.out, picture, start, moved, _rate(request), outline, progress)
    return request.out


def one_person(picture_HWC: np.ndarray) -> np.ndarray:
    """(33, 4) landmarks of the one person in a picture. Raises PoseError if there is nobody, or somebody else."""
    analysis = AnalysisConfig()
    with pose_finder(pose_model_path(), 2, analysis.min_pose_confidence) as finder:
        people = finder.find(np.ascontiguousarray(picture_HWC))
    if len(people) != 1:
        found = "nobody" if not len(people) else f"{len(people)} people"
        raise PoseError(f"The picture shows {found}: give one that shows one whole person.")
    return np.asarray(people[0], np.float64)


def _picture(request: WarpRequest) -> np.ndarray:
    if (request.image is None) == (request.clip is None):
        raise RolloutError("Give either a picture (--image P.png) or a clip of a data set (--clip ID --data DATA).")
    if request.image is not None:
        return aligned_picture(
            read_picture(request.image), str(request.image), pose_model_path(), CropConfig(), request.size
        )[0]
    assert request.clip is not None
    return real_clip(_data(request, request.clip), request.clip, request.size).frames_FHWC[0]


def _dance(request: WarpRequest) -> np.ndarray:
    if not request.pose.endswith(".npy"):
        return checked_dance(read_landmarks(_data(request, request.pose), request.pose), request.pose)
    try:
        with Path(request.pose).open("rb") as file:
            return checked_dance(np.load(file, allow_pickle=False), request.pose)
    except PoseError:
        raise
    except (OSError, ValueError) as error:
        raise PoseError(
            f"The dance {request.pose} cannot be read ({error}): give a .npy of (frames, 33, 4) landmarks, or a clip."
        ) from error


def _data(request: WarpRequest, clip: str) -> Path:
    if request.data is None:
        raise RolloutError(f"Clip {clip!r} belongs to a data set: name it with --data.")
    return DataFolder.built(request.data).root


def _rate(request: WarpRequest) -> Fraction:
    if request.fps is not None:
        return rate_of(request.fps)
    clip = None if request.pose.endswith(".npy") else request.pose
    return (frame_rate(request.data, clip) if request.data else None) or FPS

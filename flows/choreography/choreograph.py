"""A picture, and a song if there is one, to a dance: all that `longdance choreograph` opens, checks and writes."""

from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from data_catalog.base.disk import disk_errors
from data_catalog.base.files import atomic, write_json
from data_catalog.base.paths import DataFolder
from flows.choreography.dance_page import write_dance_page
from flows.dancing.driving_dance import one_person
from flows.dancing.new_dance import Danced, NewDance, new_dance, pulse
from model.choreography.measures import alignment, body_of, steadiness
from model.data.landmarks import clip_landmarks
from model.data.samples import FPS, frame_rate, rate_of
from model.errors import PoseError, RolloutError
from model.pose.retarget import checked_dance
from pipeline.analysis.pose import JOINTS
from pipeline.analysis.pose_model import pose_model_path
from pipeline.clips.input_picture import aligned_picture, read_picture
from pipeline.config import CropConfig
from pipeline.picture_size import PictureSize


@dataclass(frozen=True)
class ChoreographRequest:
    """A dance that is asked for: who dances, and what."""

    wanted: NewDance
    out: Path
    size: PictureSize
    image: Path | None = None
    clip: str | None = None
    """A clip of the data set instead of a picture: its first frame's pose."""
    pose_start: Path | None = None
    """A .npy of (33, 4) landmarks instead, in pixels of a picture of `size`."""
    fps: float | None = None


def choreograph(request: ChoreographRequest) -> tuple[Danced, dict[str, Any]]:
    """Write the dance, and beside it its numbers (.json) and a page (.html). Raises LongdanceError's kinds."""
    out = request.out
    if out.suffix != ".npy":
        raise RolloutError(f"The dance's name {out} does not end in .npy: name an npy.")
    if not out.parent.is_dir():
        raise RolloutError(f"The folder {out.parent} of {out} is not there: make it first.")
    start = start_of(request)
    fps = _rate(request)
    danced = new_dance(request.wanted, start, request.size, fps)
    numbers = numbers_of(danced)
    with disk_errors(out.parent, RolloutError, "make room, then run the same command again"):
        with atomic(out) as temp, temp.open("wb") as file:
            np.save(file, danced.dance.landmarks.astype(np.float32))
        write_json(out.with_suffix(".json"), {**numbers, "beats": pulse(danced).round(4).tolist(), **danced.record})
        write_dance_page(out.with_suffix(".html"), danced, pulse(danced), numbers)
    return danced, numbers


def numbers_of(danced: Danced) -> dict[str, Any]:
    """What a dance is worth by itself, as plain JSON values."""
    dance = danced.dance
    found = {name: round(value, 4) for name, value in asdict(steadiness(dance, body_of(dance))).items()}
    met = alignment(dance)
    return {
        "frames": len(dance.landmarks),
        "fps": float(dance.fps),
        **found,
        "beat_alignment": None if met is None else round(met, 4),
    }


def start_of(request: ChoreographRequest) -> np.ndarray:
    """(33, 4) landmarks that the dance begins with. Raises RolloutError, PoseError, DataError."""
    given = [request.image, request.clip, request.pose_start]
    if sum(one is not None for one in given) != 1:
        raise RolloutError("Give one start: a picture (--image), a clip (--clip, --data), or --pose-start FILE.npy.")
    if request.image is not None:
        picture = read_picture(request.image)
        aligned = aligned_picture(picture, str(request.image), pose_model_path(), CropConfig(), request.size)[0]
        return one_person(aligned).landmarks
    if request.clip is not None:
        if request.wanted.data is None:
            raise RolloutError(f"Clip {request.clip!r} belongs to a data set: name it with --data.")
        root = DataFolder.built(request.wanted.data).root
        return checked_dance(clip_landmarks(root, request.clip, request.size), request.clip)[0]
    assert request.pose_start is not None
    return _from_file(request.pose_start)


def _from_file(path: Path) -> np.ndarray:
    try:
        with path.open("rb") as file:
            pose = np.load(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise PoseError(f"The pose {path} cannot be read ({error}): give a .npy of ({JOINTS}, 4) landmarks.") from error
    return checked_dance(pose[None] if pose.ndim == 2 else pose, str(path))[0]


def _rate(request: ChoreographRequest) -> Fraction:
    """What was asked for; else the clip's, or 30."""
    if request.fps is not None:
        return rate_of(request.fps)
    if request.clip is None or request.wanted.data is None:
        return FPS
    return frame_rate(DataFolder.built(request.wanted.data).root, request.clip) or FPS

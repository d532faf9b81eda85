"""The dance that a picture is to dance: from a clip of a data set, a video or a file, put on the picture's person."""

from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import numpy as np

from data_catalog.base.paths import DataFolder
from model.data.landmarks import read_landmarks
from model.data.samples import frame_rate, read_samples
from model.errors import DataError, PoseError, RolloutError
from model.pose.retarget import check_inside, checked_dance, paced, retarget
from pipeline.analysis.pose import pose_finder
from pipeline.analysis.pose_model import pose_model_path
from pipeline.config import AnalysisConfig

MOST_TRIED = 50
"""Dances of a data set that are tried on a picture before it counts as one that none fits."""


@dataclass(frozen=True)
class DancePace:
    """How a dance is danced."""

    frames: int
    speed: float = 1.0
    mirrored: bool = False


@dataclass(frozen=True)
class Driving:
    """Landmarks before they are put on anybody, and what is known of their time."""

    landmarks: np.ndarray
    fps: Fraction | None


def is_clip(pose: str) -> bool:
    """Whether a dance is named as a clip of a data set, and not as a file."""
    return not pose.endswith(".npy") and not Path(pose).is_file()


def read_driving(pose: str, data: Path | None) -> Driving:
    """A dance by its name. Raises PoseError, DataError, RolloutError, LongdanceError, each with one sentence."""
    if pose.endswith(".npy"):
        return Driving(_from_file(Path(pose)), None)
    if Path(pose).is_file():
        from pipeline.clips.video_dance import dance_in_video  # a second of import that no other dance needs

        landmarks, fps = dance_in_video(Path(pose).resolve(), pose_model_path())
        return Driving(checked_dance(landmarks, pose), fps)
    if data is None:
        raise RolloutError(
            f"The dance {pose!r} is no file, and a clip belongs to a data set: name it with --data, or give a video or "
            "a .npy of landmarks."
        )
    root = DataFolder.built(data).root
    return Driving(checked_dance(read_landmarks(root, pose), pose), frame_rate(root, pose))


def _from_file(path: Path) -> np.ndarray:
    try:
        with path.open("rb") as file:
            return checked_dance(np.load(file, allow_pickle=False), str(path))
    except PoseError:
        raise
    except (OSError, ValueError) as error:
        raise PoseError(
            f"The dance {path} cannot be read ({error}): give a .npy of (frames, 33, 4) landmarks, a video or a clip."
        ) from error


@dataclass(frozen=True)
class Person:
    """Somebody in a picture: (33, 4) landmarks in its pixels, and which of them are hers, (H, W) bool."""

    landmarks: np.ndarray
    outline_HW: np.ndarray  # noqa: N815


def one_person(picture_HWC: np.ndarray, *again: np.ndarray) -> Person:
    """The one person in a picture. Raises PoseError if there is nobody, or somebody else.

    again: the same picture at other sizes: a detector that overlooks the second person in one may see both in another.
    """
    with pose_finder(pose_model_path(), 2, AnalysisConfig().min_pose_confidence, masks=True) as finder:
        looks = [finder.find_with_masks(np.ascontiguousarray(picture)) for picture in (picture_HWC, *again)]
    most, (found, masks) = max(len(people) for people, _ in looks), looks[0]
    if most > 1 or not len(found):
        raise PoseError(
            f"The picture shows {f'{most} people' if most > 1 else 'nobody'}: give one that shows one whole person."
        )
    return Person(found[0].astype(np.float64), masks[0])


def put_on(start: np.ndarray, dance: np.ndarray, pace: DancePace, shape: tuple[int, int]) -> np.ndarray:
    """(frames, 33, 4) landmarks of the person with `start` in a picture of that height and width, dancing.

    Raises PoseError where a joint leaves the picture.
    """
    moved = retarget(paced(dance, pace.frames, pace.speed, pace.mirrored), start)
    check_inside(moved, shape)
    return moved


def fitting_dance(start: np.ndarray, data: Path, seed: int, pace: DancePace, shape: tuple[int, int]) -> np.ndarray:
    """The same with one of the data set's dances that stays in the picture, chosen by a seed. Raises PoseError."""
    clips = sorted({s.clip_id for s in read_samples(data) if s.ok}, key=lambda clip: _drawn(seed, clip))
    for clip in clips[:MOST_TRIED]:
        try:
            return put_on(start, checked_dance(read_landmarks(data, clip), clip), pace, shape)
        except (PoseError, DataError):
            continue
    raise PoseError(
        f"None of {len(clips[:MOST_TRIED])} dances of {data} stays within the picture: take one with more room around "
        "the person, or name a dance with --pose."
    )


def _drawn(seed: int, clip: str) -> bytes:
    return sha256(f"{seed}/{clip}".encode()).digest()

"""A body as bones that hang on each other: landmarks to numbers that no size, place or build is left in, and back.

Every bone is told by its vector over its length. That length is the person's own, seen in the picture: so a bone
that is put back is never longer than hers, whatever is said of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.errors import PoseError
from model.pose.body_parts import HIPS, SHOULDERS, standing_height
from model.pose.retarget import ANKLES, LONGEST
from pipeline.analysis.pose import JOINTS, MAIN, MIRROR

PELVIS, NECK = JOINTS, JOINTS + 1
"""Joints between the hips and between the shoulders, behind mediapipe's."""
# (joint, what it hangs on), from the pelvis outwards.
BONES: tuple[tuple[int, int], ...] = (
    (NECK, PELVIS), (23, PELVIS), (24, PELVIS), (11, NECK), (12, NECK), *((joint, NECK) for joint in range(11)),
    (13, 11), (15, 13), (17, 15), (19, 15), (21, 15), (14, 12), (16, 14), (18, 16), (20, 16), (22, 16),
    (25, 23), (27, 25), (29, 27), (31, 27), (26, 24), (28, 26), (30, 28), (32, 28),
)  # fmt: skip
_JOINT, _PARENT = (np.array(side) for side in zip(*BONES, strict=True))
_MIRRORED = [*MIRROR, PELVIS, NECK]
_TWIN = np.array([_JOINT.tolist().index(_MIRRORED[joint]) for joint in _JOINT])
"""Which bone is a bone's on the other side."""
_PAIRS = ((1, 2), (3, 4))
FLOOR = 90
"""Percentile of the lower ankle's height in the picture that is the floor."""
SIZE = 2 + 3 * len(BONES) + JOINTS
"""Numbers of a pose: the pelvis's place, x, y and depth of every bone, and how well each joint is seen."""
_SHORTEST, _LONGEST = 0.85, 1.3
"""A bone's length against what is usual at that height, where one picture alone tells it."""


@dataclass(frozen=True)
class DancerBody:
    """A person in a picture, in its pixels."""

    height: float
    """Standing."""
    bones: np.ndarray
    """(34,) lengths of BONES, as long as they are ever seen."""
    centre: float
    """x of what counts as the middle of her place."""
    floor: float
    """y of the lower ankle where she stands."""


def body_of_dance(landmarks: np.ndarray, width: float) -> DancerBody:
    """Of (frames, 33, 4) landmarks without gaps, in a picture of that width."""
    lengths = np.percentile(_lengths(landmarks), LONGEST, axis=0)
    height = float(np.median([standing_height(frame) for frame in landmarks]))
    floor = float(np.percentile(landmarks[:, ANKLES, 1].max(1), FLOOR))
    return DancerBody(height, np.maximum(lengths, lengths[_TWIN]), width / 2, floor)


def body_of_pose(landmarks: np.ndarray, width: float, usual: np.ndarray) -> DancerBody:
    """Of one pose (33, 4), in a picture of that width; joints that it does not show are guessed.

    Args:
        usual: (34,) lengths of BONES in standing heights, for bones that point at the camera.

    Raises:
        PoseError: a main joint is not there.
    """
    if landmarks.shape != (JOINTS, 4):
        raise PoseError(f"The pose has shape {landmarks.shape}: expected ({JOINTS}, 4), mediapipe's landmarks.")
    if not np.isfinite(landmarks[MAIN]).all():
        raise PoseError("The picture's pose lacks a main joint: choose a picture that shows the whole person.")
    height = standing_height(landmarks)
    seen = np.nan_to_num(_lengths(landmarks[None])[0])
    both = np.maximum(seen, seen[_TWIN])
    bones = np.maximum(np.clip(both, _SHORTEST * usual * height, _LONGEST * usual * height), both)
    return DancerBody(height, bones, width / 2, float(landmarks[list(ANKLES), 1].max()))


def to_numbers(landmarks: np.ndarray, body: DancerBody) -> np.ndarray:
    """(frames, SIZE) of (frames, 33, 4) landmarks of that body."""
    whole = _whole(landmarks)
    vectors = (whole[:, _JOINT, :3] - whole[:, _PARENT, :3]) / body.bones[:, None]
    place = (whole[:, PELVIS, :2] - (body.centre, body.floor)) / body.height
    return np.concatenate([place, vectors.reshape(len(landmarks), -1), landmarks[..., 3]], 1)


def to_landmarks(numbers: np.ndarray, body: DancerBody) -> np.ndarray:
    """(frames, 33, 4) of (frames, SIZE), on that body: no bone is longer in the picture than its own."""
    frames = len(numbers)
    vectors = numbers[:, 2 : 2 + 3 * len(BONES)].reshape(frames, len(BONES), 3).copy()
    for left, right in _PAIRS:  # hips lie about the pelvis, shoulders about the neck
        vectors[:, left] = (vectors[:, left] - vectors[:, right]) / 2
        vectors[:, right] = -vectors[:, left]
    seen = np.linalg.norm(vectors[..., :2], axis=-1, keepdims=True)
    vectors = vectors / np.maximum(seen, 1) * body.bones[:, None]
    whole = np.zeros((frames, JOINTS + 2, 3))
    whole[:, PELVIS, :2] = numbers[:, :2] * body.height + (body.centre, body.floor)
    for bone, (joint, parent) in enumerate(BONES):
        whole[:, joint] = whole[:, parent] + vectors[:, bone]
    visibility = np.clip(numbers[:, -JOINTS:, None], 0, 1)
    return np.concatenate([whole[:, :JOINTS], visibility], -1)


def joint_speed(landmarks: np.ndarray, fps: float, body: DancerBody) -> np.ndarray:
    """(frames - 1,) mean speed of the main joints, standing heights a second."""
    steps = np.linalg.norm(np.diff(landmarks[:, MAIN, :2], axis=0), axis=-1)
    return np.asarray(steps.mean(1) * fps / body.height)


def mirrored(numbers: np.ndarray) -> np.ndarray:
    """The same poses with left and right exchanged."""
    frames = len(numbers)
    vectors = numbers[:, 2 : 2 + 3 * len(BONES)].reshape(frames, len(BONES), 3)[:, _TWIN] * (-1, 1, 1)
    place = numbers[:, :2] * (-1, 1)
    return np.concatenate([place, vectors.reshape(frames, -1), numbers[:, -JOINTS:][:, MIRROR]], 1)


def weights_of(usual: np.ndarray) -> np.ndarray:
    """(SIZE,) what an error of 1 in each number weighs, in standing heights: depth little, visibility next to nothing.

    Args:
        usual: (34,) lengths of BONES in standing heights.
    """
    vectors = usual[:, None] * (1.0, 1.0, 0.3)
    return np.concatenate([[1.0, 1.0], vectors.ravel(), np.full(JOINTS, 0.02)])


def _whole(landmarks: np.ndarray) -> np.ndarray:
    """With pelvis and neck."""
    middle = [landmarks[:, pair].mean(1, keepdims=True) for pair in (HIPS, SHOULDERS)]
    return np.concatenate([landmarks, *middle], 1)


def _lengths(landmarks: np.ndarray) -> np.ndarray:
    """(frames, 34) of BONES, as seen."""
    whole = _whole(landmarks)
    return np.asarray(np.linalg.norm(whole[:, _JOINT, :2] - whole[:, _PARENT, :2], axis=-1))

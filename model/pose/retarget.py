"""Another person's dance on this person's body: her bones, her place, her floor; it begins as she stands.

Landmarks are (frames, 33, 4) or (33, 4) in pixels, x to the right, y down, z away from the camera, visibility.
"""

from __future__ import annotations

import numpy as np

from model.errors import PoseError
from model.pose.body_parts import HIPS, SHOULDERS, standing_height
from pipeline.analysis.pose import JOINTS, LEFT_ANKLE, MAIN, MIRROR, NOSE, RIGHT_ANKLE

EASE_FRAMES = 12
"""Frames in which she goes over from the picture's pose into the dance."""
BUILD = (0.85, 1.3)
"""Two people's bones, once both are equally tall, differ by no more: what says more points at the camera."""
LONGEST = 95
"""Percentile of a bone's lengths over a dance that counts as seen from the side."""
MAX_OUTSIDE = 0.02
"""How far a main joint may lie outside of the picture, as a share of its height."""
ANKLES = (LEFT_ANKLE, RIGHT_ANKLE)
# Each joint hangs on others: ordered from the pelvis outwards.
_CHAIN: tuple[tuple[int, int], ...] = (
    (13, 11), (15, 13), (17, 15), (19, 15), (21, 15), (14, 12), (16, 14), (18, 16), (20, 16), (22, 16),
    (25, 23), (27, 25), (29, 27), (31, 27), (26, 24), (28, 26), (30, 28), (32, 28),
)  # fmt: skip
_FACE = tuple(range(11))


def checked_dance(landmarks: np.ndarray, name: str) -> np.ndarray:
    """A driving dance (frames, 33, 2 to 4), float64, with depth 0 and visibility 1 where it has none, gaps filled.

    Raises PoseError: it has another shape, or no frame in which all main joints are known.
    """
    if landmarks.ndim != 3 or landmarks.shape[1] != JOINTS or not 2 <= landmarks.shape[2] <= 4:
        raise PoseError(
            f"The dance {name} holds an array of shape {landmarks.shape}: expected (frames, {JOINTS}, 4), mediapipe's "
            "landmarks as the npy members of samples hold them."
        )
    frames, _, given = landmarks.shape
    depth, visibility = np.zeros((frames, JOINTS, 1)), np.ones((frames, JOINTS, 1))
    whole = np.concatenate([landmarks, *[depth, visibility][given - 2 :]], -1)
    known = np.isfinite(whole[:, MAIN]).all((1, 2))
    if not known.any():
        raise PoseError(f"The dance {name} has no frame in which a whole dancer is known: choose another one.")
    return _filled(whole.astype(float))


def _filled(landmarks: np.ndarray) -> np.ndarray:
    """Each joint's missing frames between those that are known; a joint that is never known stays NaN."""
    filled, times = landmarks.copy(), np.arange(len(landmarks))
    for joint in range(JOINTS):
        known = np.isfinite(landmarks[:, joint]).all(-1)
        if known.any():
            for axis in range(4):
                filled[:, joint, axis] = np.interp(times, times[known], landmarks[known, joint, axis])
    return filled


def paced(dance: np.ndarray, frames: int, speed: float = 1.0, mirrored: bool = False) -> np.ndarray:
    """A dance of `frames` frames: `speed` times as fast, to and fro where it is too short; left and right exchanged."""
    last = len(dance) - 1
    at = np.arange(frames) * speed
    if last:
        at = last - np.abs(at % (2 * last) - last)
    low = np.minimum(np.floor(at * (last > 0)).astype(int), max(last - 1, 0))
    share = (at - low if last else np.zeros(frames))[:, None, None]
    moved = dance[low] * (1 - share) + dance[np.minimum(low + 1, last)] * share
    if mirrored:
        moved = moved[:, MIRROR].copy()
        moved[..., 0] *= -1  # the place does not matter: `retarget` takes the picture's
    return np.asarray(moved)


def retarget(dance: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The dance on the body of `start`, in the picture's pixels; its frame 0 is `start` itself.

    Every bone keeps the dance's direction; its longest in the dance becomes as long as it is in `start`. Her pelvis
    goes where the dancer's does, in body heights, and her lower ankle keeps to the floor that the picture shows.
    Raises PoseError where nobody is in `start`.
    """
    if not np.isfinite(start[MAIN]).all():
        raise PoseError("The picture's pose lacks a main joint: choose a picture that shows the whole person.")
    tall = np.nanmedian([standing_height(frame) for frame in dance])
    scale = float(standing_height(start) / tall)
    moved = np.full_like(dance, np.nan)
    moved[..., 3] = dance[..., 3]
    pelvis, first = dance[:, HIPS, :3].mean(1), start[list(HIPS), :3].mean(0)
    root = first + (pelvis - pelvis[0]) * scale
    root[:, 2] = first[2]
    neck = dance[:, SHOULDERS, :3].mean(1)
    top = root + (neck - pelvis) * _build(dance, start, SHOULDERS, HIPS, scale)
    for group, centre, here in ((HIPS, pelvis, root), (SHOULDERS, neck, top)):
        width = _build(dance, start, group[:1], group[1:], scale)
        moved[:, group, :3] = here[:, None] + (dance[:, group, :3] - centre[:, None]) * width
    head = _build(dance, start, (NOSE,), SHOULDERS, scale)
    moved[:, _FACE, :3] = top[:, None] + (dance[:, _FACE, :3] - neck[:, None]) * head
    for joint, parent in _CHAIN:
        bone = dance[:, joint, :3] - dance[:, parent, :3]
        moved[:, joint, :3] = moved[:, parent, :3] + bone * _build(dance, start, (joint,), (parent,), scale)
    _stand(moved, dance, start, scale)
    return _eased(moved, start)


def check_inside(landmarks: np.ndarray, shape: tuple[int, int]) -> None:
    """Raise PoseError where a main joint leaves a picture of that height and width."""
    height, width = shape
    points = landmarks[:, MAIN, :2]
    slack = MAX_OUTSIDE * height
    outside = ((points < -slack) | (points > np.array([width, height]) + slack)).any((1, 2))
    if outside.any():
        frame, count = int(np.flatnonzero(outside)[0]), int(outside.sum())
        raise PoseError(
            f"The dance leaves the picture at frame {frame} ({count} of {len(landmarks)} frames): take a picture with "
            "more room around the person, or another dance."
        )


def _build(dance: np.ndarray, start: np.ndarray, joints: tuple[int, ...], on: tuple[int, ...], scale: float) -> float:
    """How many times as long a bone is to be as in the dance."""
    theirs = float(np.nanpercentile(_seen_length(dance, joints, on), LONGEST)) * scale
    both = [joints, tuple(MIRROR[joint] for joint in joints)], [on, tuple(MIRROR[joint] for joint in on)]
    own = max(float(_seen_length(start[None], *bone)[0]) for bone in zip(*both))
    if not (np.isfinite(own) and np.isfinite(theirs) and own > 0 and theirs > 0):
        return scale
    return scale * float(np.clip(own / theirs, *BUILD))


def _seen_length(landmarks: np.ndarray, joints: tuple[int, ...], on: tuple[int, ...]) -> np.ndarray:
    """(frames,) lengths of a bone in the picture: depths of a detector are too noisy to measure anybody by."""
    bone = landmarks[:, joints, :2].mean(1) - landmarks[:, on, :2].mean(1)
    return np.asarray(np.linalg.norm(bone, axis=-1))


def _stand(moved: np.ndarray, dance: np.ndarray, start: np.ndarray, scale: float) -> None:
    """Shift every frame up or down, in place, so that the lower ankle is as far above the floor as in the dance."""
    lowest = dance[:, ANKLES, 1].max(1)
    floor = float(np.percentile(lowest, 90))
    wanted = start[list(ANKLES), 1].max() + (lowest - floor) * scale
    moved[..., 1] += (wanted - moved[:, ANKLES, 1].max(1))[:, None]


def _eased(moved: np.ndarray, start: np.ndarray) -> np.ndarray:
    """From the picture's pose into the dance, smoothly; what either does not know, the other has."""
    share = np.clip(np.arange(len(moved)) / EASE_FRAMES, 0, 1)
    share = (share * share * (3 - 2 * share))[:, None, None]
    begun = np.where(np.isfinite(start), start, moved[0])
    eased = begun * (1 - share) + np.where(np.isfinite(moved), moved, begun) * share
    eased[0] = start
    return np.asarray(eased)

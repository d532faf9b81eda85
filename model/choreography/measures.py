"""What a dance is worth: how it moves, how it stands, whether it keeps time, whether it is somebody else's.

All of it is 2-D, in standing heights and seconds, of (frames, 33, 4) landmarks, so that detected and made dances are
measured alike. A `StoredDance` is a dance with its time and its picture; a body says how tall and where the floor is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.choreography.contacts import FEET, standing
from model.choreography.dances import StoredDance
from model.choreography.rig import BONES, DancerBody, body_of_dance, joint_speed, to_numbers
from model.drift.frechet import frechet_distance
from pipeline.analysis.pose import MAIN
from pipeline.clips.beats import beat_alignment, kinematic_beats

WINDOW_S = 3.0
"""Seconds of a window that features are of."""
RATE = 15.0
"""Poses a second that features look at: as many for every dance, and no more than detectors tell apart."""
FROZEN_S, FROZEN = 1.0, 0.1
"""A dance has frozen where it moves for so long less than that share of its mean."""


@dataclass(frozen=True)
class Steadiness:
    """How a dance holds together."""

    speed: float
    """Mean speed of the main joints, standing heights a second."""
    least: float
    """Its slowest second, as a share of that."""
    outside: float
    """Share of frames in which a main joint is outside of the picture."""
    limbs: float
    """By how much the longest bone of any frame is longer than its body's, as a share of it."""
    skate: float
    """Mean speed of feet that stand, sideways, in standing heights a second."""
    pfc: float
    """Physical foot contact."""


def steadiness(dance: StoredDance, body: DancerBody) -> Steadiness:
    """Of one dance."""
    landmarks, fps = dance.landmarks, float(dance.fps)
    speed = joint_speed(landmarks, fps, body)
    second = max(1, round(FROZEN_S * fps))
    slowest = np.convolve(speed, np.ones(second) / second, "valid").min() if len(speed) >= second else speed.mean()
    points = landmarks[:, MAIN, :2]
    outside = ((points < 0) | (points > np.array(dance.size))).any((1, 2)).mean()
    vectors = to_numbers(landmarks, body)[:, 2 : 2 + 3 * len(BONES)].reshape(len(landmarks), len(BONES), 3)
    longest = float(np.linalg.norm(vectors[..., :2], axis=-1).max())
    share = float(slowest / speed.mean()) if speed.mean() > 0 else 0.0
    return Steadiness(
        float(speed.mean()), share, float(outside), longest - 1, foot_skate(landmarks, fps, body),
        physical_foot_contact(landmarks, fps, body),
    )  # fmt: skip


def foot_skate(landmarks: np.ndarray, fps: float, body: DancerBody) -> float:
    """Mean sideways speed of feet while they stand (`contacts.standing`), standing heights a second; 0 if none does."""
    stands = standing(landmarks, fps, body)
    speeds = []
    for side, (foot, _) in enumerate(FEET):
        sideways = np.abs(np.diff(landmarks[:, list(foot), 0].mean(1))) * fps / body.height
        speeds.append(sideways[stands[1:, side] & stands[:-1, side]])
    found = np.concatenate(speeds)
    return float(found.mean()) if len(found) else 0.0


def physical_foot_contact(landmarks: np.ndarray, fps: float, body: DancerBody) -> float:
    """EDGE's physical foot contact score in the picture's plane, times 1,000; the smaller, the better.

    Tseng et al. 2023, "EDGE: Editable Dance Generation From Music", section 4.2: the mean over frames of
    |a| |v_left| |v_right| / max |a|, a the acceleration of the centre of mass (here the pelvis; its upward part counts,
    downward is gravity's), v the velocities of the feet: who speeds up has a foot on the ground to push from.
    """
    pelvis = landmarks[:, (23, 24), :2].mean(1) / body.height
    push = np.diff(pelvis, n=2, axis=0) * fps**2
    push[:, 1] = np.minimum(push[:, 1], 0)  # y is down: less than 0 is upwards
    force = np.linalg.norm(push, axis=-1)
    if not len(force) or force.max() == 0:
        return 0.0
    feet = [np.linalg.norm(np.diff(landmarks[:, foot[::2], :2].mean(1), axis=0), axis=-1) for foot, _ in FEET]
    left, right = (speed[:-1] * fps / body.height for speed in feet)
    return float(1000 * (force * left * right).mean() / force.max())


def kinetic_features(dance: StoredDance, body: DancerBody) -> np.ndarray:
    """(windows, 26): root mean square speed of each main joint, sideways and up and down, standing heights a second.

    After the kinetic features of Onuma et al. 2008 ("FMDistance"), in 2-D and without their squares, which let the
    fastest frame decide.
    """
    return np.stack(
        [np.sqrt(np.square(np.diff(part, axis=0) * RATE).mean(0)).ravel() for part in parts_of(dance, body)]
    )


def geometric_features(dance: StoredDance, body: DancerBody) -> np.ndarray:
    """(windows, 52): mean and spread of where the main joints are from the pelvis, standing heights.

    In the place of Mueller et al. 2005's relations ("Efficient content-based retrieval of motion capture data"), which
    want 3-D.
    """
    found = []
    for part in parts_of(dance, body):
        limbs = part - part[:, HIP_ROWS].mean(1, keepdims=True)
        found.append(np.concatenate([limbs.mean(0).ravel(), limbs.std(0).ravel()]))
    return np.stack(found)


HIP_ROWS = [MAIN.index(joint) for joint in (23, 24)]


def parts_of(dance: StoredDance, body: DancerBody) -> list[np.ndarray]:
    """Windows (poses, 13, 2) of the main joints at RATE, one after the other; at least one."""
    times = np.arange(len(dance.landmarks)) / float(dance.fps)
    count = max(2, int(times[-1] * RATE) + 1)
    points = dance.landmarks[:, MAIN, :2].reshape(len(times), -1) / body.height
    even = np.stack([np.interp(np.arange(count) / RATE, times, column) for column in points.T], 1)
    size = min(count, round(WINDOW_S * RATE))
    return [even[start : start + size].reshape(size, -1, 2) for start in range(0, count - size + 1, size)]


def feature_distance(made: np.ndarray, real: np.ndarray) -> float:
    """Frechet distance of two sets of features (N, D), each feature in units of its real spread."""
    scale = real.std(0) + 1e-6
    return frechet_distance(made / scale, real / scale)


def diversity(features: np.ndarray, scale: np.ndarray) -> float:
    """Mean distance of two windows' features (N, D), each feature in units of `scale` (D,)."""
    scaled = features / scale
    apart = np.linalg.norm(scaled[:, None] - scaled[None], axis=-1)
    return float(apart[np.triu_indices(len(scaled), 1)].mean())


def alignment(dance: StoredDance, shift: float = 0.0) -> float | None:
    """Beat alignment (`pipeline.clips.beats`), the music moved by a share of a beat; None without music."""
    if dance.beats is None or len(dance.beats) < 2:
        return None
    step = float(np.median(np.diff(dance.beats)))
    around = np.concatenate([[dance.beats[0] - step], dance.beats, [dance.beats[-1] + step]]) + shift * step
    rests = kinematic_beats(dance.landmarks, np.ones(len(dance.landmarks), bool), dance.fps)
    return beat_alignment(rests, around)


def nearest(made: np.ndarray, real: np.ndarray) -> np.ndarray:
    """(N,) distance of each row of features (N, D) to the nearest of (M, D)."""
    return np.asarray(np.linalg.norm(made[:, None] - real[None], axis=-1).min(1))


def body_of(dance: StoredDance) -> DancerBody:
    """A dance's own body."""
    return body_of_dance(dance.landmarks, dance.size[0])

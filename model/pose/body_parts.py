"""A body in a picture as fourteen parts: capsules along its bones, wide at both ends as bodies are.

Widths are shares of the standing height, a little wider than bare limbs (Winter, "Biomechanics and Motor Control of
Human Movement", table 4.1 gives the bones), because a dancer wears clothes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.analysis.pose import (
    JOINTS,
    LEFT_ANKLE,
    LEFT_ELBOW,
    LEFT_HIP,
    LEFT_KNEE,
    LEFT_SHOULDER,
    LEFT_WRIST,
    MIRROR,
    NOSE,
    RIGHT_HIP,
    RIGHT_SHOULDER,
)

LEFT_EAR, RIGHT_EAR = 7, 8
LEFT_INDEX, LEFT_PINKY, LEFT_TOES = 19, 17, 31
HEAD = 0.075
SIDE_ON = 0.055
"""Half the width of a trunk that is seen from the side."""


@dataclass(frozen=True)
class Part:
    """Where a part begins and ends: the mean of some joints each; and half its width there, in standing heights."""

    name: str
    start: tuple[int, ...]
    end: tuple[int, ...]
    width: tuple[float, float]
    beyond: float = 0.0
    """How far it reaches beyond its end, in standing heights: fingers, toes, the top of the head."""


def _limbs(side: str) -> list[Part]:
    def joint(left: int) -> int:
        return left if side == "left" else MIRROR[left]

    shoulder, elbow, wrist = joint(LEFT_SHOULDER), joint(LEFT_ELBOW), joint(LEFT_WRIST)
    hip, knee, ankle, toes = joint(LEFT_HIP), joint(LEFT_KNEE), joint(LEFT_ANKLE), joint(LEFT_TOES)
    fingers = (joint(LEFT_INDEX), joint(LEFT_PINKY))
    return [
        Part(f"{side} upper arm", (shoulder,), (elbow,), (0.038, 0.034)),
        Part(f"{side} forearm", (elbow,), (wrist,), (0.034, 0.027)),
        Part(f"{side} hand", (wrist,), fingers, (0.027, 0.027), beyond=0.03),
        Part(f"{side} thigh", (hip,), (knee,), (0.062, 0.047)),
        Part(f"{side} shin", (knee,), (ankle,), (0.047, 0.036)),
        Part(f"{side} foot", (ankle,), (toes,), (0.036, 0.032), beyond=0.015),
    ]


SHOULDERS, HIPS = (LEFT_SHOULDER, RIGHT_SHOULDER), (LEFT_HIP, RIGHT_HIP)
PARTS = (
    Part("trunk", SHOULDERS, HIPS, (0.0, 0.0)),
    Part("head", SHOULDERS, (LEFT_EAR, RIGHT_EAR, NOSE), (0.045, HEAD), beyond=0.05),
    *_limbs("left"),
    *_limbs("right"),
)

# Bones and their lengths in standing heights: what is seen is never longer, so the longest ratio is nearest.
_RULERS = (
    (SHOULDERS, HIPS, 0.288),
    ((LEFT_HIP,), (LEFT_KNEE,), 0.245),
    ((RIGHT_HIP,), (MIRROR[LEFT_KNEE],), 0.245),
    ((LEFT_KNEE,), (LEFT_ANKLE,), 0.246),
    ((MIRROR[LEFT_KNEE],), (MIRROR[LEFT_ANKLE],), 0.246),
)


@dataclass(frozen=True)
class Capsules:
    """The parts of one pose in pixels, one row each; NaN where a part's joints are not known."""

    start_P2: np.ndarray  # noqa: N815
    end_P2: np.ndarray  # noqa: N815
    width_P2: np.ndarray  # noqa: N815
    """Half widths at both ends. The trunk's are negative where she turns her back: right and left change places."""
    beyond_P: np.ndarray  # noqa: N815
    depth_P: np.ndarray  # noqa: N815
    """Mean depth; the smaller, the nearer to the camera."""
    height: float
    """Standing height; NaN where no bone is known."""


def standing_height(landmarks: np.ndarray) -> float:
    """Of (33, 4) landmarks, in their pixels, from the bone that is foreshortened least; NaN where none is known."""
    lengths = [np.linalg.norm(_mean(landmarks, a)[:2] - _mean(landmarks, b)[:2]) / share for a, b, share in _RULERS]
    known = [length for length in lengths if np.isfinite(length) and length > 0]
    return float(max(known)) if known else np.nan


def capsules(landmarks: np.ndarray, min_visibility: float = 0.0) -> Capsules:
    """The parts of (33, 4) landmarks.

    Args:
        min_visibility: joints that are less visible than that count as unknown.

    Raises:
        ValueError: the landmarks have another shape.
    """
    if landmarks.shape != (JOINTS, 4):
        raise ValueError(f"Landmarks are {landmarks.shape}: expected ({JOINTS}, 4).")
    trusted = landmarks.astype(float)
    trusted[~np.isfinite(trusted).all(1) | (trusted[:, 3] < min_visibility)] = np.nan
    tall = standing_height(trusted)
    start = np.stack([_mean(trusted, part.start) for part in PARTS])
    end = np.stack([_mean(trusted, part.end) for part in PARTS])
    width = np.array([part.width for part in PARTS]) * tall
    width[0] = _trunk_width(trusted, tall)
    missing = ~(np.isfinite(start).all(1) & np.isfinite(end).all(1) & np.isfinite(width).all(1))
    for values in (start, end, width):
        values[missing] = np.nan
    beyond = np.array([part.beyond for part in PARTS]) * tall
    return Capsules(start[:, :2], end[:, :2], width, beyond, (start[:, 2] + end[:, 2]) / 2, tall)


def _mean(landmarks: np.ndarray, joints: tuple[int, ...]) -> np.ndarray:
    return np.asarray(landmarks[list(joints)].mean(0))


def _trunk_width(landmarks: np.ndarray, height: float) -> np.ndarray:
    """Signed half widths across the spine at shoulders and hips: half of what lies between the joints, and flesh."""
    spine = _mean(landmarks, HIPS)[:2] - _mean(landmarks, SHOULDERS)[:2]
    across = np.array([spine[1], -spine[0]]) / max(float(np.linalg.norm(spine)), 1e-9)
    widths = []
    for (left, right), flesh in ((SHOULDERS, 0.025), (HIPS, 0.045)):
        half = float((landmarks[left, :2] - landmarks[right, :2]) @ across) / 2
        widths.append(np.copysign(max(abs(half) + flesh * height, SIDE_ON * height), half))
    # A trunk that is seen from the side faces as its shoulders do: opposite signs would pinch it.
    return np.abs(widths) * np.sign(widths[0] if abs(widths[0]) >= abs(widths[1]) else widths[1])

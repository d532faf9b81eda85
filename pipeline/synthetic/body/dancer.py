"""A dancer's body: proportions, and forward kinematics from pose angles to points in space.

Lengths are in standing heights. Axes: x to the picture's right, y up, z towards the viewer. A dancer
of heading 0 faces the viewer, so the person's own left lies at +x. Arrays run over frames first (T).
"""

from dataclasses import dataclass

import numpy as np

from pipeline.synthetic.body.brush import Array

SIDES = {"left": 1.0, "right": -1.0}

# Segment lengths in standing heights, after Winter, "Biomechanics and Motor Control of Human Movement",
# table 4.1, with the hip and shoulder joints where a pose detector puts them.
ANKLE_HEIGHT, SHIN, THIGH = 0.045, 0.238, 0.237
SPINE_LOW, SPINE_HIGH, NECK = 0.10, 0.195, 0.112
UPPER_ARM, FOREARM, PALM, FINGER = 0.165, 0.142, 0.042, 0.040


@dataclass(frozen=True)
class Body:
    """Proportions that differ from dancer to dancer, as factors or standing heights."""

    shoulder: float  # half the distance between the shoulder joints
    hip: float  # half the distance between the hip joints
    waist: float  # half the waist's width
    pelvis: float  # half the pelvis's width
    chest: float  # half the chest's width
    bulk: float  # thickness of the limbs, 1 on average
    head: float  # size of the head, 1 for a height of 1/7.5


@dataclass(frozen=True)
class Pose:
    """Angles (radians) and positions (standing heights) of a body over T frames."""

    pelvis: Array  # (T, 3) middle of the hip joints; y is what the dancer would like, the legs may lower it
    pelvis_angles: Array  # (T, 3) heading, pitch, roll
    chest_angles: Array  # (T, 3) twist, lean forward, side bend, relative to the pelvis
    head_angles: Array  # (T, 3) turn, nod, tilt, relative to the chest
    arms: dict[str, Array]  # side -> (T, 5) raise, azimuth, twist, elbow, wrist
    feet: dict[str, Array]  # side -> (T, 3) the ankle's place above the floor, y 0 when it stands
    foot_angles: dict[str, Array]  # side -> (T, 2) heading, pitch (toes down is positive)


@dataclass(frozen=True)
class Skeleton:
    """Points of the posed body, each (T, 3), and the frames of its rigid parts, each (T, 3, 3)."""

    points: dict[str, Array]
    frames: dict[str, Array]


def random_body(rng: np.random.Generator) -> Body:
    """A person's proportions: `build` runs from narrow shoulders and wide hips to the contrary."""
    build, bulk = rng.uniform(-1, 1), rng.uniform(0.9, 1.14)
    return Body(
        shoulder=0.104 + 0.008 * build + rng.normal(0, 0.002),
        hip=0.054 - 0.003 * build + rng.normal(0, 0.001),
        waist=(0.066 + 0.007 * build) * bulk,
        pelvis=(0.090 - 0.006 * build) * (0.6 + 0.4 * bulk),
        chest=(0.086 + 0.007 * build) * (0.6 + 0.4 * bulk),
        bulk=bulk,
        head=rng.uniform(0.98, 1.10),
    )


def turn(axis: str, angle: Array) -> Array:
    """Rotation matrices about a coordinate axis, right-handed: (T,) radians -> (T, 3, 3)."""
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.broadcast_to(np.eye(3), (*angle.shape, 3, 3)).copy()
    matrix[..., i, i] = matrix[..., j, j] = np.cos(angle)
    matrix[..., j, i] = np.sin(angle)
    matrix[..., i, j] = -np.sin(angle)
    return matrix


def along(frame: Array, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Array:
    """The vector (x, y, z) of a moving frame in space: (T, 3, 3) -> (T, 3)."""
    return frame @ np.array([x, y, z])


def pose_body(body: Body, pose: Pose) -> Skeleton:
    """Points and frames of a body in a pose; the pelvis sinks where a leg would not reach its foot."""
    heading, pitch, roll = pose.pelvis_angles.T
    pelvis = turn("y", heading) @ turn("x", pitch) @ turn("z", roll)
    twist, lean, bend = pose.chest_angles.T
    half = turn("y", twist / 2) @ turn("x", lean / 2) @ turn("z", bend / 2)
    chest = pelvis @ half @ half
    yaw, nod, tilt = pose.head_angles.T
    head = chest @ turn("y", yaw) @ turn("x", nod) @ turn("z", tilt)
    root = lower_to_reach(body, pose, pelvis)
    waist = root + along(pelvis @ half, y=SPINE_LOW)
    neck = waist + along(chest, y=SPINE_HIGH)
    points = {"pelvis": root, "waist": waist, "neck": neck}
    points["head"] = neck + along(chest, y=0.035) + along(head, y=NECK - 0.035, z=0.012)
    frames = {"pelvis": pelvis, "chest": chest, "head": head}
    for side, sign in SIDES.items():
        points |= {f"{side}_{name}": point for name, point in leg(body, pose, side, root, pelvis).items()}
        shoulder = neck + along(chest, x=sign * body.shoulder, y=-0.004)
        lift = np.maximum(0.0, pose.arms[side][:, 0] - 1.5)[:, None] * 0.02
        shoulder = shoulder + lift * chest[:, :, 1]  # the shoulder blade follows a raised arm
        placed, hand = arm(pose.arms[side], shoulder, chest, sign)
        points |= {f"{side}_{name}": point for name, point in placed.items()}
        points[f"{side}_shoulder_mark"] = shoulder - along(chest, x=sign * 0.004, y=0.010)
        frames[f"{side}_hand"] = hand
    return Skeleton(points, frames)


def lower_to_reach(body: Body, pose: Pose, pelvis: Array) -> Array:
    """The pelvis's place (T, 3), lowered smoothly to where both legs reach their feet."""
    limits = [pose.pelvis[:, 1]]
    for side, sign in SIDES.items():
        hip = pose.pelvis + along(pelvis, x=sign * body.hip)
        away = np.hypot(hip[:, 0] - pose.feet[side][:, 0], hip[:, 2] - pose.feet[side][:, 2])
        rise = np.sqrt(np.maximum((0.992 * (THIGH + SHIN)) ** 2 - away**2, 0.15**2))
        limits.append(pose.feet[side][:, 1] + ANKLE_HEIGHT + rise - (hip - pose.pelvis)[:, 1])
    sharpness = 150.0
    lowest = -np.log(np.sum(np.exp(-sharpness * np.array(limits)), axis=0)) / sharpness
    return np.stack([pose.pelvis[:, 0], lowest, pose.pelvis[:, 2]], axis=1)


def leg(body: Body, pose: Pose, side: str, root: Array, pelvis: Array) -> dict[str, Array]:
    """Hip, knee (two-bone inverse kinematics), ankle, heel and toe of one leg, each (T, 3)."""
    sign = SIDES[side]
    hip = root + along(pelvis, x=sign * body.hip)
    heading, pitch = pose.foot_angles[side].T
    foot = turn("y", heading) @ turn("x", pitch)
    ankle = pose.feet[side] + np.array([0.0, ANKLE_HEIGHT, 0.0])
    # Toes down: the foot turns about its ball, so the ankle rises.
    ankle = ankle + np.maximum(0.0, np.sin(pitch))[:, None] * np.array([0.0, 0.075, 0.0])
    reach = ankle - hip
    distance = np.linalg.norm(reach, axis=1, keepdims=True)
    straight = np.clip(distance, 0.12, 0.999 * (THIGH + SHIN))
    axis = reach / distance
    ankle = hip + axis * straight
    pole = foot[:, :, 2] * np.array([1.0, 0.0, 1.0]) + sign * 0.18 * pelvis[:, :, 0]
    pole = pole - np.sum(pole * axis, axis=1, keepdims=True) * axis
    pole /= np.maximum(np.linalg.norm(pole, axis=1, keepdims=True), 1e-6)
    first = (THIGH**2 - SHIN**2 + straight**2) / (2 * straight)
    knee = hip + axis * first + pole * np.sqrt(np.maximum(THIGH**2 - first**2, 0.0))
    heel = ankle + along(foot, y=-0.7 * ANKLE_HEIGHT, z=-0.028)
    ball = ankle + along(foot, y=-0.7 * ANKLE_HEIGHT, z=0.070)
    toe = ankle + along(foot, y=-0.75 * ANKLE_HEIGHT, z=0.105)
    toe[:, 1] = np.maximum(toe[:, 1], 0.010)
    ball[:, 1] = np.maximum(ball[:, 1], 0.013)
    # A pose detector marks hips lower, knees and ankles higher than where a drawn limb bends.
    hip_mark = hip + 0.005 * (knee - hip) / THIGH
    knee_mark = knee + 0.015 * (hip - knee) / THIGH
    ankle_mark = ankle + 0.018 * (knee - ankle) / SHIN
    # The spot of the floor under the foot, for its shadow.
    ground = (heel + toe) / 2 * np.array([1.0, 0.0, 1.0])
    marks = {"ground": ground, "hip_mark": hip_mark, "knee_mark": knee_mark, "ankle_mark": ankle_mark}
    return {"hip": hip, "knee": knee, "ankle": ankle, "heel": heel, "ball": ball, "toe": toe} | marks


def arm(angles: Array, shoulder: Array, chest: Array, sign: float) -> tuple[dict[str, Array], Array]:
    """Joints of one arm, each (T, 3), and the hand's frame (T, 3, 3).

    Worked for the left arm and mirrored: raise 0 hangs, pi/2 is level; azimuth 0 is sideways, pi/2
    forward; with twist 0 the elbow bends forward, pi/2 up, -pi/2 down and in.
    """
    lift, azimuth, twist, elbow, wrist = angles.T
    upper = turn("y", -azimuth) @ turn("z", lift) @ turn("y", twist)
    lower = upper @ turn("x", -elbow)
    hand = lower @ turn("x", -wrist)
    mirror = np.diag([sign, 1.0, 1.0])

    def reach(frame: Array, x: float, y: float, z: float = 0.0) -> Array:
        return np.asarray((chest @ mirror @ along(frame, x, y, z)[:, :, None])[:, :, 0])

    points = {"shoulder": shoulder, "elbow": shoulder + reach(upper, 0, -UPPER_ARM)}
    points["wrist"] = points["elbow"] + reach(lower, 0, -FOREARM)
    # Hanging, thumbs point forward, palms face the thigh: fingers spread along the frame's z.
    for finger, place in {"index": 0.017, "middle": 0.006, "ring": -0.006, "pinky": -0.016}.items():
        points[finger] = points["wrist"] + reach(hand, 0.0, -PALM - (0.004 if abs(place) < 0.01 else 0), place)
        length = FINGER * (0.8 if finger == "pinky" else 1.0)
        points[f"{finger}_tip"] = points[finger] + reach(hand, -0.008, -length, place * 0.7)
    points["thumb"] = points["wrist"] + reach(hand, -0.004, -0.026, 0.024)
    points["thumb_tip"] = points["thumb"] + reach(hand, -0.004, -0.022, 0.012)
    return points, chest @ mirror @ hand

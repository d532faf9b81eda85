"""Performs a dance: its channels, and where its ground leads, become a pose for every frame.

Feet step on the beat and stand still between steps, so the body travels over planted feet.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.synthetic.body.dancer import ANKLE_HEIGHT, SHIN, SIDES, THIGH, Array, Pose
from pipeline.synthetic.dances import DEGREE, Dance, smoothstep

STEP_SHARE = 0.62  # of a beat that a foot is in the air
TICK = 0.01  # seconds between the instants at which a dance is worked out


@dataclass(frozen=True)
class Flow:
    """The course of a dance over a fine clock of N ticks; every array is (N,)."""

    dance: Dance
    clock: Array  # seconds
    beats: Array
    steps: Array  # one a beat, more for who walks fast
    ground: Array  # where the path leads, in standing heights
    speed: Array  # along the path
    walking: Array  # 0 for who dances, 1 for who walks

    def at(self, name: str) -> Array:
        """A channel of the dance."""
        return self.dance.channel(name, self.beats)

    @property
    def calm(self) -> Array:
        """How much of the dance is left while walking."""
        return 1 - 0.8 * self.walking


def flow_of(dance: Dance, times: Array, path: Callable[[Array], Array]) -> Flow:
    """The course of a dance, some seconds longer than `times` on either side."""
    clock = np.arange(times[0] - 4.0, times[-1] + 4.0, TICK)
    ground = path(clock)
    speed = np.gradient(ground, clock)
    beats = dance.beats_per_second * clock + dance.beat_offset
    pace = dance.beats_per_second * np.maximum(1.0, 1.7 * np.abs(speed))
    steps = beats[0] + np.concatenate([[0.0], np.cumsum(pace[:-1] * TICK)])
    return Flow(dance, clock, beats, steps, ground, speed, np.clip(np.abs(speed) / 0.5, 0, 1))


def perform(dance: Dance, times: Array, path: Callable[[Array], Array]) -> Pose:
    """The pose at `times` (T,) seconds of a dancer whose ground follows `path`: seconds -> x in heights.

    A dancer who walks along the path turns towards where it leads and steps as fast as it needs.
    """
    flow = flow_of(dance, times, path)
    floor = floor_channels(flow)
    hop = flow.at("hop") * flow.calm * airborne(flow.beats)
    still = np.zeros_like(hop)
    feet, foot_angles = {}, {}
    for side in SIDES:
        place, angles = place_feet(flow, floor, side)
        feet[side] = place + np.stack([still, hop, still], axis=1)
        foot_angles[side] = angles + np.stack([still, np.minimum(hop * 12, 0.7)], axis=1)

    def read(values: Array) -> Array:
        return np.stack([np.interp(times, flow.clock, column) for column in values.T], axis=1)

    pelvis, angles, chest, head = trunk_curves(flow, floor, hop)
    return Pose(
        pelvis=read(pelvis),
        pelvis_angles=read(angles),
        chest_angles=read(chest),
        head_angles=read(head),
        arms={side: read(curve) for side, curve in arm_curves(flow).items()},
        feet={side: read(curve) for side, curve in feet.items()},
        foot_angles={side: read(curve) for side, curve in foot_angles.items()},
    )


def floor_channels(flow: Flow) -> dict[str, Array]:
    """Where the body is over the floor, and how it steps there, (N,) each."""
    calm = flow.calm
    return {
        "x": flow.ground + flow.at("travel") * calm,
        "z": flow.at("depth") * calm,
        "heading": flow.at("heading") * calm + np.clip(flow.speed / 0.6, -1, 1) * 62 * DEGREE,
        "stance": flow.at("stance") * (1 - 0.45 * flow.walking),
        "lift": flow.at("lift") * calm + 0.04 * flow.walking,
        "kick": flow.at("kick") * calm,
    }


def trunk_curves(flow: Flow, floor: dict[str, Array], hop: Array) -> tuple[Array, Array, Array, Array]:
    """The pelvis's place, and the angles of pelvis, chest and head, (N, 3) each."""
    calm, heading, at = flow.calm, floor["heading"], flow.at
    support = np.cos(np.pi * (flow.steps - STEP_SHARE / 2))  # +1 while the left foot is in the air
    sway = support * at("sway") * calm
    bounce = at("bounce") * calm * (0.5 + 0.5 * np.cos(2 * np.pi * flow.beats))
    height = standing_pelvis(at("crouch") + bounce) + hop
    pelvis = [floor["x"] - sway * np.cos(heading), height, floor["z"] + sway * np.sin(heading)]
    pitch = np.full_like(heading, 0.03)
    angles = [heading + at("twist") * calm, pitch, support * at("roll") * calm * 0.7]
    chest = [at("chest") * calm, at("lean") * calm, at("bend") * calm]
    head = [at("head_turn") - 0.35 * heading - 0.5 * at("chest") * calm, at("head_nod"), at("head_tilt")]
    return np.stack(pelvis, 1), np.stack(angles, 1), np.stack(chest, 1), np.stack(head, 1)


def arm_curves(flow: Flow) -> dict[str, Array]:
    """Arm angles (N, 5) of each side: the dance's, or a stroll's for who walks."""
    strolling = stroll_arms(flow.steps)
    arms = {}
    for side in SIDES:
        own = np.stack([flow.at(f"{side}_arm_{part}") for part in range(5)], axis=1)
        arms[side] = own + (strolling[side] - own) * flow.walking[:, None] * 0.85
    return arms


def standing_pelvis(sink: Array) -> Array:
    """Height of the pelvis over the floor, `sink` below straight legs."""
    return ANKLE_HEIGHT + THIGH + SHIN - 0.006 - sink


def airborne(beats: Array) -> Array:
    """Height of a hop on every beat, 0 on the ground and 1 at the top of its parabola."""
    u = np.clip((beats % 1.0 - 0.3) / 0.62, 0.0, 1.0)
    return 4 * u * (1 - u)


def stroll_arms(steps: Array) -> dict[str, Array]:
    """Arm angles (N, 5) of a walk: each arm swings forward with the other side's leg."""
    curves = {}
    for side, sign in SIDES.items():
        swing = sign * np.sin(np.pi * (steps - 0.3))
        still = np.ones_like(steps)
        curves[side] = np.stack(
            [
                (8 + 16 * np.abs(swing)) * DEGREE,
                (90 * swing) * DEGREE,
                0 * still,
                (20 + 12 * swing) * DEGREE,
                0 * still,
            ],
            axis=1,
        )
    return curves


def place_feet(flow: Flow, floor: dict[str, Array], side: str) -> tuple[Array, Array]:
    """A foot's place (N, 3) and (heading, pitch) (N, 2): it swings at the start of every second step
    to where the body will be in the middle of its stand, and stays there."""
    sign = SIDES[side]
    clock, steps = flow.clock, flow.steps
    own = (steps - (0.0 if side == "left" else 1.0)) / 2
    count = np.floor(own).astype(int)
    landings = np.arange(count[0] - 1, count[-1] + 1)
    middle = np.interp((landings * 2 + (0.0 if side == "left" else 1.0)) + 1.3, steps, clock)

    def landing(name: str) -> Array:
        return np.interp(middle, clock, floor[name])

    heading = landing("heading")
    wide = sign * landing("stance")
    spots = np.stack([landing("x") + wide * np.cos(heading), landing("z") - wide * np.sin(heading), heading], axis=1)
    index = count - landings[0]
    swing = np.clip((own - count) * 2 / STEP_SHARE, 0.0, 1.0)
    blend = smoothstep(swing)[:, None]
    now = spots[index - 1] + (spots[index] - spots[index - 1]) * blend
    length = np.linalg.norm((spots[index] - spots[index - 1])[:, :2], axis=1)
    arc = np.sin(np.pi * swing)
    rise = arc * floor["lift"] * np.clip(length / 0.06 + floor["lift"] / 0.03, 0, 1)
    kick = arc**2 * floor["kick"]
    place = np.stack(
        [now[:, 0] + kick * np.sin(now[:, 2]), rise + 0.5 * kick, now[:, 1] + kick * np.cos(now[:, 2])],
        axis=1,
    )
    pitch = np.sin(2 * np.pi * swing) * np.clip(length / 0.3, 0, 1) * 0.45 + rise * 2.0
    return place, np.stack([now[:, 2] + sign * 14 * DEGREE, pitch], axis=1)

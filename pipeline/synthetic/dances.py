"""Dances: beat-driven choreography, a chain of moves that gives every channel of the body a curve.

A dance is a chain of moves of eight beats. A move gives every channel (a joint angle, the stance, ...)
a base and a few sinusoids of the beat; neighbouring moves blend.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.synthetic.body.dancer import SIDES, Array

DEGREE = np.pi / 180
BEATS_PER_MOVE = 8
Wave = tuple[float, float, float, float]  # base, amplitude, period in beats, phase in periods

# Arms in degrees: raise, azimuth, twist, elbow, wrist as (base, amplitude, period, phase).
ARMS: dict[str, tuple[Wave, ...]] = {
    "groove": ((22, 9, 2, 0), (35, 18, 2, 0.1), (-15, 12, 4, 0), (78, 24, 2, 0.05), (10, 12, 2, 0.2)),
    "wave": ((84, 22, 4, 0), (8, 12, 4, 0.3), (15, 40, 4, 0.2), (30, 26, 4, 0.3), (5, 38, 4, 0.45)),
    "overhead": ((146, 16, 2, 0), (18, 10, 4, 0), (70, 22, 4, 0.2), (38, 20, 2, 0.1), (0, 25, 2, 0.2)),
    "punch": ((66, 18, 2, 0), (62, 20, 2, 0.1), (30, 20, 2, 0), (72, 50, 2, 0.5), (0, 8, 2, 0)),
    "hips": ((44, 4, 2, 0), (-4, 5, 4, 0), (-80, 4, 4, 0), (92, 6, 2, 0), (-25, 4, 2, 0)),
    "circle": ((82, 42, 4, 0), (42, 42, 4, 0.25), (20, 25, 4, 0), (34, 16, 4, 0.1), (0, 25, 4, 0.3)),
    "wings": ((56, 34, 2, 0), (6, 8, 4, 0), (10, 20, 2, 0.2), (28, 18, 2, 0.2), (0, 32, 2, 0.35)),
    "clap": ((62, 8, 2, 0), (52, 16, 1, 0), (4, 8, 2, 0), (72, 18, 1, 0.5), (0, 6, 2, 0)),
    "roll": ((48, 12, 1, 0), (62, 12, 1, 0.25), (-4, 10, 2, 0), (100, 14, 1, 0.3), (0, 8, 1, 0)),
    "swing": ((20, 10, 4, 0), (60, 80, 2, 0), (-10, 10, 2, 0), (38, 16, 2, 0.1), (5, 10, 2, 0)),
}
# Legs and trunk: half stance, travel sideways, lift of the feet, bounce, knee bend, sway (heights);
# heading, pelvis twist, pelvis roll, lean, side bend, chest twist (degrees, amplitudes); hop (heights).
STEPS: dict[str, dict[str, float]] = {
    "step_touch": {
    "stance": 0.085,
    "travel": 0.13,
    "lift": 0.035,
    "bounce": 0.018,
    "sway": 0.025,
    "bend": 7,
    "roll": 5,
    },
    "two_step": {
    "stance": 0.080,
    "travel": 0.19,
    "lift": 0.04,
    "bounce": 0.016,
    "sway": 0.02,
    "heading": 16,
    "twist": 8,
    },
    "bounce": {
    "stance": 0.115,
    "lift": 0.0,
    "bounce": 0.035,
    "crouch": 0.01,
    "sway": 0.012,
    "lean": 5,
    "chest": 8,
    },
    "march": {"stance": 0.065, "lift": 0.13, "bounce": 0.01, "sway": 0.02, "chest": 10, "roll": 3},
    "twist": {
    "stance": 0.10,
    "lift": 0.012,
    "bounce": 0.022,
    "crouch": 0.012,
    "twist": 22,
    "chest": -26,
    "sway": 0.03,
    },
    "hop": {"stance": 0.09, "lift": 0.0, "bounce": 0.02, "crouch": 0.01, "hop": 0.045, "bend": 5,
        "chest": 6},
    "lunge": {
    "stance": 0.17,
    "lift": 0.02,
    "bounce": 0.02,
    "crouch": 0.022,
    "sway": 0.065,
    "bend": 9,
    "roll": 6,
    "travel": 0.05,
    },
    "turn": {
    "stance": 0.08,
    "lift": 0.04,
    "bounce": 0.015,
    "sway": 0.02,
    "heading": 46,
    "chest": 12,
    "travel": 0.05,
    },
    "hips": {
    "stance": 0.105,
    "lift": 0.0,
    "bounce": 0.012,
    "crouch": 0.008,
    "sway": 0.05,
    "roll": 11,
    "bend": -8,
    "twist": 8,
    },
    "kick": {
    "stance": 0.07,
    "lift": 0.07,
    "kick": 0.16,
    "bounce": 0.014,
    "sway": 0.015,
    "lean": -3,
    "travel": 0.06,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Move:
    """One move: waves per channel, in radians and standing heights."""

    channels: dict[str, tuple[Wave, ...]]


@dataclass(frozen=True)
class Dance:
    """A chain of moves at a tempo; `beat_offset` is the beat at time 0."""

    beats_per_second: float
    beat_offset: float
    moves: tuple[Move, ...]

    def channel(self, name: str, beats: Array) -> Array:
        """A channel's value at any beats, neighbouring moves blended over a beat and a half."""
        last = len(self.moves) - 1
        total, weights = np.zeros_like(beats), np.zeros_like(beats)
        for k, move in enumerate(self.moves):
            start, end = k * BEATS_PER_MOVE, (k + 1) * BEATS_PER_MOVE
            weight = np.ones_like(beats)
            if k > 0:
                weight = weight * smoothstep((beats - start) / 1.5 + 0.5)
            if k < last:
                weight = weight * (1 - smoothstep((beats - end) / 1.5 + 0.5))
            value = np.zeros_like(beats)
            for base, amplitude, period, phase in move.channels.get(name, ()):
                value += base + amplitude * np.sin(2 * np.pi * (beats / period + phase))
            total += weight * value
            weights += weight
        return np.asarray(total / weights)


def smoothstep(x: Array) -> Array:
    """Rises from 0 to 1 for x from 0 to 1, with level ends."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3 - 2 * x)


def random_dance(rng: np.random.Generator, seconds: float, roam: float = 1.0) -> Dance:
    """A dance of its own style, long enough for `seconds`; `roam` scales its travel over the floor."""
    beats_per_second = rng.uniform(92, 128) / 60
    count = int(np.ceil(seconds * beats_per_second / BEATS_PER_MOVE)) + 1
    energy, favourite = rng.uniform(0.75, 1.15), rng.permutation(list(ARMS))[:5]
    steps = rng.permutation(list(STEPS))[:5]
    moves = []
    for k in range(count):
        arms = arm_channels(rng, str(favourite[k % 5]), energy)
        moves.append(Move(arms | body_channels(rng, STEPS[str(steps[k % 5])], energy, roam)))
    return Dance(beats_per_second, rng.uniform(0.5, 6.0), tuple(moves))


def arm_channels(rng: np.random.Generator, name: str, energy: float) -> dict[str, tuple[Wave, ...]]:
    """Both arms' channels for an arm figure: in step, in turns, or one arm resting at the side."""
    mode = rng.choice(["together", "in_turns", "in_turns", "one"])
    if name in ("clap", "roll", "hips"):
        mode = "together" if name != "roll" else "in_turns"
    resting = rng.choice(list(SIDES)) if mode == "one" else None
    jitter = rng.uniform(-1, 1, (5,))
    channels: dict[str, tuple[Wave, ...]] = {}
    for side in SIDES:
        waves = ARMS["groove" if side == resting else name]
        shift = 0.5 if mode == "in_turns" and side == "right" else 0.0
        for part, (wave, off) in enumerate(zip(waves, jitter)):
            base, amplitude, period, phase = wave
            channels[f"{side}_arm_{part}"] = (
                ((base + 4 * off) * DEGREE, amplitude * energy * DEGREE, period, phase + shift),
            )
    return channels


def body_channels(
    rng: np.random.Generator, step: dict[str, float], energy: float, roam: float
) -> dict[str, tuple[Wave, ...]]:
    """The trunk's and legs' channels for a step."""

    def size(name: str, low: float = 0.8, high: float = 1.2) -> float:
        return step.get(name, 0.0) * rng.uniform(low, high)

    side = rng.choice([-1.0, 1.0])
    nod, turn_head = rng.uniform(3, 8) * DEGREE, rng.uniform(4, 14) * DEGREE
    travel = size("travel") * roam
    return {
        "stance": ((size("stance"), 0, 4, 0),),
        "lift": ((size("lift") + 0.004, 0, 4, 0),),
        "kick": ((size("kick"), 0, 4, 0),),
        "hop": ((size("hop"), 0, 4, 0),),
        "bounce": ((size("bounce") * energy, 0, 4, 0),),
        "crouch": ((size("crouch") + 0.006, 0, 4, 0),),
        "sway": ((size("sway"), 0, 4, 0),),
        "travel": ((0, travel * side, float(rng.choice([4, 8])), 0),),
        "depth": ((0, 0.25 * travel, 8, rng.uniform(0, 1)),),
        "heading": (
            (rng.normal(0, 7) * DEGREE, size("heading") * side * DEGREE, 8, 0),
            (0, 4 * DEGREE, 4, rng.uniform(0, 1)),
        ),
        "twist": ((0, size("twist") * energy * DEGREE, 2, 0.25),),
        "roll": ((0, (size("roll") + 1.5) * energy * DEGREE, 2, 0.25),),
        "lean": ((4 * DEGREE, (size("lean") + 1.5) * energy * DEGREE, rng.choice([1, 2]), 0.1),),
        "bend": ((0, (size("bend") + 2) * energy * DEGREE, float(rng.choice([2, 4])), 0.3),),
        "chest": ((0, (size("chest") + 3) * energy * DEGREE, 2, 0.32),),
        "head_turn": ((0, turn_head, 4, rng.uniform(0, 1)), (0, 3 * DEGREE, 2, 0)),
        "head_nod": ((2 * DEGREE, nod * energy, 1, 0.3),),
        "head_tilt": ((0, rng.uniform(3, 8) * DEGREE, 4, 0.35),),
    }

"""A dancer as the camera sees it: points, axes of rigid parts and moods, frame by frame."""

from dataclasses import dataclass

import numpy as np

from pipeline.synthetic.body.brush import Array, Brush
from pipeline.synthetic.body.dancer import Body, Skeleton, along, turn
from pipeline.synthetic.body.face import landmarks
from pipeline.synthetic.body.outfit import Outfit

TILT = np.deg2rad(7.0)  # the camera looks down a little, so that a floor shows
RING = np.linspace(0, 2 * np.pi, 22, endpoint=False)
# An ellipse around a part: its centre as seen, the part whose axes it has, half width, half depth.
Level = tuple[Array, str, float, float]


@dataclass(frozen=True)
class Figure:
    """A dancer ready to be drawn: T frames of points as seen, in standing heights."""

    body: Body
    outfit: Outfit
    seen: dict[str, Array]  # point -> (T, 3): right, down, towards the viewer
    frames: dict[str, Array]  # rigid part -> (T, 3, 3), its axes as seen
    blink: Array  # (T,) 1 where the eyes are shut
    smile: Array  # (T,) 0 to 1
    flow: Array  # (T, 2) how far loose hair trails behind the head


def project(points: Array) -> Array:
    """Orthographic view of points (..., 3): right, down and towards the viewer, in the same unit."""
    x, y, z = np.moveaxis(points, -1, 0)
    return np.stack([x, -y * np.cos(TILT) + z * np.sin(TILT), z * np.cos(TILT) + y * np.sin(TILT)], axis=-1)


def figure(
    body: Body, outfit: Outfit, skeleton: Skeleton, roll: Array, rate: float, rng: np.random.Generator
) -> Figure:
    """A skeleton with a face and moods, at `rate` frames/s, seen by a camera rolled by (T,) radians."""
    points = dict(skeleton.points)
    head = skeleton.frames["head"]
    for name, place in landmarks().items():
        points[name] = points["head"] + along(head, *(place * body.head))
    spin = turn("z", roll)
    seen = {name: (spin @ project(place)[:, :, None])[:, :, 0] for name, place in points.items()}
    frames = {k: spin @ np.swapaxes(project(np.swapaxes(v, 1, 2)), 1, 2) for k, v in skeleton.frames.items()}
    seconds = np.arange(len(head)) / rate
    since_blink = (seconds + rng.uniform(0, 3)) % rng.uniform(2.4, 4.0)
    blink = np.clip(1.6 - np.abs(since_blink - 0.1) / 0.06, 0.0, 1.0)
    smile = 0.5 + 0.5 * np.sin(seconds * rng.uniform(0.3, 0.7) + rng.uniform(0, 6))
    return Figure(body, outfit, seen, frames, blink, smile, trail(seen["head"][:, :2], rate))


def trail(place: Array, rate: float) -> Array:
    """How far something loosely tied to a moving place (T, 2) lags behind it: a damped spring."""
    lag, speed, out = np.zeros(2), np.zeros(2), np.zeros_like(place)
    for t in range(1, len(place)):
        for _ in range(4):  # steps small enough for the spring at 15 frames/s
            speed += (-130.0 * lag - 11.0 * speed) / (4 * rate)
            lag += speed / (4 * rate)
            lag -= (place[t] - place[t - 1]) / 4
        out[t] = np.clip(lag, -0.08, 0.08)
    return out


@dataclass
class Sight:
    """One frame of one figure, placed on a picture, with the brush that paints it."""

    fig: Figure
    t: int
    scale: float  # picture pixels per standing height
    origin: Array  # (2,) picture pixel of the floor's origin
    brush: Brush

    def at(self, name: str) -> Array:
        """A point's pixel (2,)."""
        return np.asarray(self.fig.seen[name][self.t, :2] * self.scale + self.origin)

    def between(self, first: str, second: str, share: float) -> Array:
        """The pixel (2,) at a share of the way between two points."""
        return np.asarray(self.at(first) * (1 - share) + self.at(second) * share)

    def depth(self, name: str) -> float:
        """How near a point is, in standing heights."""
        return float(self.fig.seen[name][self.t, 2])

    def axes(self, part: str) -> Array:
        """A rigid part's axes as seen, in columns: (3, 3)."""
        return np.asarray(self.fig.frames[part][self.t])

    def rings(self, levels: list[Level]) -> Array:
        """Outlines (n, points, 2) in pixels of ellipses around parts."""
        outlines = []
        for centre, part, a, b in levels:
            axes = self.axes(part)
            ring = centre + a * np.cos(RING)[:, None] * axes[:, 0] + b * np.sin(RING)[:, None] * axes[:, 2]
            outlines.append(ring[:, :2] * self.scale + self.origin)
        return np.array(outlines)

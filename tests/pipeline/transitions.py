"""Drawn pictures with the cuts that editors make and the flashes that stages make, and where they lie."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.synthetic.body.brush import Picture
from pipeline.synthetic.footage import Direction, Shot, shoot

FLASHES = ("white", "black", "colour", "bright", "decay", "spot", "strobe", "dark_strobe", "flicker", "lamp")
RATE = 30.0


@dataclass(frozen=True)
class Stage:
    """A dancer before a wall, of which any moment can be drawn. Equal keys give an equal dancer, wall, place."""

    seed: int
    size: tuple[int, int]
    dancer: int = 0
    wall: int = 0
    place: int = 0
    tempo: float = 1.0
    standing: float = 0.36

    def shot(self, moments: int) -> Shot:
        """A shot of so many frames."""
        return shoot(
            Direction(
                seed=self.seed, width=self.size[0], height=self.size[1], stride=1,
                times=np.arange(moments) / RATE * self.tempo, standing=self.standing * self.size[1],
                camera=None, act=None, dancer_key=self.dancer, scenery_key=self.wall, framing_key=self.place,
            )
        )  # fmt: skip


def drawn(stage: Stage, frames: int) -> Iterator[Picture]:
    """One shot."""
    shot = stage.shot(frames)
    for t in range(frames):
        yield shot.draw(t)


def cut(first: Stage, second: Stage, at: int, frames: int, start: int) -> Iterator[Picture]:
    """The first stage's moments until frame `at`, then the second's from `start`."""
    one, two = first.shot(at), second.shot(start + frames - at)
    for t in range(frames):
        yield one.draw(t) if t < at else two.draw(start + t - at)


def flashed(pictures: Iterator[Picture], light: "Light") -> Iterator[Picture]:
    """Pictures under a lamp."""
    for t, picture in enumerate(pictures):
        yield light(picture, t)


class Light:
    """What a lamp does to the pictures of a shot."""

    def __init__(self, kind: str, at: int, long: int, size: tuple[int, int], rng: np.random.Generator) -> None:
        self.kind, self.at, self.long = kind, at, long
        self.colour = rng.permutation([255, rng.uniform(0, 120), rng.uniform(0, 60)]).astype(np.float32)
        self.gain = float(rng.uniform(1.6, 2.6))
        self.times = int(rng.integers(3, 9))
        y, x = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
        cx, cy = rng.uniform(0.2, 0.8, 2) * size
        self.halo = np.exp(-(((x - cx) / size[0]) ** 2 + ((y - cy) / size[1]) ** 2) / 0.04)[:, :, None]
        self.flicker = rng.uniform(0.7, 1.3, 40)

    def __call__(self, picture: Picture, moment: int) -> Picture:
        """The lit picture."""
        past = moment - self.at
        if past < 0:
            return picture
        return np.clip(self._lit(picture.astype(np.float32), past) + 0.5, 0, 255).astype(np.uint8)

    def _lit(self, picture: np.ndarray, past: int) -> np.ndarray:
        within = past < self.long
        flashes = past < 2 * self.long * self.times and past // self.long % 2 == 0
        if self.kind == "white":
            return np.full_like(picture, 255) if within else picture
        if self.kind == "black":
            return np.zeros_like(picture) if within else picture
        if self.kind == "colour":
            return 0.25 * picture + 0.75 * self.colour if within else picture
        if self.kind == "bright":
            return picture * self.gain + 30 if within else picture
        if self.kind == "decay":
            return picture + 255 * np.float32(0.6**past) if past < 4 * self.long + 4 else picture
        if self.kind == "spot":
            return picture + 255 * self.halo if within else picture
        if self.kind == "strobe":
            return picture * np.float32(self.gain) + 60 if flashes else picture
        if self.kind == "dark_strobe":
            return picture * np.float32(0.12) if flashes else picture
        if self.kind == "flicker":
            return picture * np.float32(self.flicker[past]) if past < len(self.flicker) else picture
        return picture * (0.35 + 0.65 * self.colour / 255)  # a lamp of another colour, and it stays

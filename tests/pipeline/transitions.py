"""Drawn pictures with the cuts that editors make and the flashes that stages make, and where they lie."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pipeline.synthetic.body.brush import Picture
from pipeline.synthetic.footage import Direction, Shot, shoot

FLASHES = ("white", "black", "colour", "bright", "decay", "spot", "strobe", "dark_strobe", "flicker", "lamp")
WIPES = ("left", "right", "up", "down", "diagonal", "iris", "doors")
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


def blended(kind: str, first: Stage, second: Stage, at: int, over: int, frames: int, start: int) -> Iterator[Picture]:
    """The first stage's moments until frame `at`, `over` frames that are a bit of both, the second's from `start`."""
    one, two = first.shot(at + over), second.shot(start + frames - at)
    for t in range(frames):
        part = (t - at + 1) / (over + 1)
        if part <= 0:
            yield one.draw(t)
        elif part >= 1:
            yield two.draw(start + t - at)
        else:
            a, b = one.draw(t).astype(np.float32), two.draw(start + t - at).astype(np.float32)
            share = part if kind == "dissolve" else _swept(kind, a.shape[0], a.shape[1], part)
            yield np.clip(a + share * (b - a) + 0.5, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Edit:
    """A film of two shots: of what kind, the second with what unlike the first, and where it is a bit of both."""

    kind: str  # "cut", "dissolve" or a wipe's way
    other: str  # "wall": wall, dancer, place; "dancer"; "place"; "none": the same dancer at another moment
    first: Stage
    second: Stage
    at: int
    over: int
    frames: int

    def pictures(self) -> Iterator[Picture]:
        """All pictures, in order."""
        start = self.at + self.over + 45 if self.other in ("none", "place") else 0
        if self.kind == "cut":
            return cut(self.first, self.second, self.at, self.frames, start)
        return blended(self.kind, self.first, self.second, self.at, self.over, self.frames, start)


def edits(seed: int, count: int) -> list[Edit]:
    """Jump cuts, dissolves and wipes in turn, before the same wall and another, of 6 to 40 frames."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        size = ((270, 480), (480, 270), (360, 360))[int(rng.integers(3))]
        tall = size[1] * float(rng.uniform(0.34, 0.5)) * (1.0 if size[1] > size[0] else 1.3) / size[1]
        first = Stage(seed + number, size, tempo=float(rng.uniform(0.9, 1.6)), standing=tall)
        family = ("cut", "dissolve", "wipe")[number % 3]
        other = (("none", "place", "none", "dancer") if family == "cut" else ("wall", "none", "dancer", "wall"))[
            number // 3 % 4
        ]
        unlike = {"wall": {"wall": 1, "dancer": 1, "place": 1}, "none": {}}.get(other, {other: 1})
        kind = str(rng.choice(WIPES)) if family == "wipe" else family
        over = 0 if family == "cut" else int(rng.integers(6, 41))
        at = int(rng.integers(66, 90))
        made.append(Edit(kind, other, first, replace(first, **unlike), at, over, at + over + 75))
    return made


def _swept(kind: str, height: int, width: int, part: float) -> np.ndarray:
    """(height, width, 1) float32, 1 where a wipe has passed; its edge is a fortieth of its way wide."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x / width, y / height
    way = {
        "left": 1 - x, "right": x, "up": 1 - y, "down": y, "diagonal": (x + y) / 2,
        "iris": np.hypot(x - 0.5, y - 0.5) * 2**0.5, "doors": np.abs(x - 0.5) * 2,
    }[kind]  # fmt: skip
    return np.clip((part * 1.025 - way) * 40, 0, 1)[..., None]


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

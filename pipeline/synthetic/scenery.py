"""Textured rooms and stages behind a dancer: walls, floors, windows, posters, all with detail to track."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.synthetic.body.brush import Picture

Canvas = NDArray[np.float32]  # (height, width, 3), 0 to 255
Ink = NDArray[np.float64]  # (3,) blue, green, red


def cloud(rng: np.random.Generator, height: int, width: int, cell: float) -> NDArray[np.float32]:
    """Smooth noise (height, width) of about unit variance whose blobs are `cell` pixels wide."""
    coarse = rng.normal(0, 1, (int(height / cell) + 3, int(width / cell) + 3)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def draw_scenery(rng: np.random.Generator, height: int, width: int, skirting: float, unit: float) -> Picture:
    """A backdrop (height, width, 3) of a room or a stage.

    `skirting`: the row where wall meets floor; `unit`: pixels of a dancer's standing height. The same
    generator gives the same room at any size.
    """
    walls, floors, things = rng.spawn(3)
    row = int(np.clip(skirting, 1, height - 1))
    canvas = np.zeros((height, width, 3), np.float32)
    _wall(walls, canvas[:row], unit)
    _floor(floors, canvas[row:], unit)
    painted = np.clip(canvas, 0, 255).astype(np.uint8)  # cv2 smooths edges on 8 bits only
    plank = max(2, int(0.035 * unit))
    cv2.rectangle(painted, (0, row - plank), (width, row), tuple(_ink(rng, 110, 215, 12)), -1)
    cv2.line(painted, (0, row), (width, row), (40, 40, 40), max(1, int(0.006 * unit)))
    _furnish(things, painted, row, unit)
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    lamp = 1.06 - 0.22 * ((x - rng.uniform(-0.5, 0.5)) ** 2 + 0.6 * (y + 0.4) ** 2)
    grain = rng.normal(0, 2.5, (height, width, 1)).astype(np.float32)
    return np.clip(painted * lamp[:, :, None] + grain, 0, 255).astype(np.uint8)


def _ink(rng: np.random.Generator, low: float, high: float, colourful: float = 25) -> Ink:
    return np.clip(rng.uniform(low, high) + rng.normal(0, colourful, 3), 8, 247)


def _mottle(rng: np.random.Generator, area: Canvas, ink: Ink, strength: float, unit: float) -> None:
    height, width = area.shape[:2]
    clouds = rng.spawn(1)[0]
    noise = sum(
        cloud(clouds, height, width, max(2.0, unit * size)) * weight
        for size, weight in ((0.5, 1.0), (0.12, 0.8), (0.03, 0.7), (0.012, 0.5))
    )
    area[:] = ink.astype(np.float32) + np.asarray(noise)[:, :, None] * strength


def _wall(rng: np.random.Generator, wall: Canvas, unit: float) -> None:
    height, width = wall.shape[:2]
    ink = _ink(rng, 110, 205, 14)
    _mottle(rng, wall, ink, rng.uniform(3, 8), unit)
    kind = rng.choice(["bricks", "panels", "stripes", "dots", "plain", "curtain"])
    dark = tuple(float(v) for v in ink * rng.uniform(0.7, 0.85))
    thin = max(1, int(0.006 * unit))
    if kind == "bricks":
        step, long_ = max(6, int(0.075 * unit)), max(12, int(0.2 * unit))
        for k, y in enumerate(range(0, height, step)):
            for x in range(-(k % 2) * long_ // 2, width, long_):
                wall[y : y + step, max(0, x) : max(0, x + long_)] += np.float32(rng.normal(0, 9))
                cv2.line(wall, (x, y), (x, y + step), dark, thin)
            cv2.line(wall, (0, y), (width, y), dark, thin)
    elif kind in ("panels", "stripes"):
        step = max(8, int(rng.uniform(0.12, 0.5) * unit))
        for k, x in enumerate(range(0, width, step)):
            if kind == "stripes" and k % 2:
                wall[:, x : x + step] *= 0.88
            cv2.line(wall, (x, 0), (x, height), dark, thin)
    elif kind == "dots":
        step = max(8, int(rng.uniform(0.12, 0.25) * unit))
        for k, y in enumerate(range(step // 2, height, step)):
            for x in range((k % 2) * step // 2, width, step):
                cv2.circle(wall, (x, y), max(1, step // 9), dark, -1, cv2.LINE_AA)
    elif kind == "curtain":
        folds = np.sin(np.arange(width) / (0.03 * unit) + 1.5 * np.sin(np.arange(width) / (0.11 * unit)))
        wall *= (1 + 0.16 * folds)[None, :, None].astype(np.float32)


def _floor(rng: np.random.Generator, floor: Canvas, unit: float) -> None:
    height, width = floor.shape[:2]
    ink = _ink(rng, 70, 165, 11)
    _mottle(rng, floor, ink, rng.uniform(5, 10), unit)
    dark = tuple(float(v) for v in ink * 0.72)
    thin = max(1, int(0.006 * unit))
    vanish = np.array([width / 2, -1.6 * unit])
    step = rng.uniform(0.10, 0.4) * unit
    tiles = rng.random() < 0.5
    for x in np.arange(-2 * width, 3 * width, step):
        end = vanish + (np.array([x, 0.0]) - vanish) * (1.6 * unit + height) / (1.6 * unit)
        cv2.line(floor, (int(x), 0), (int(end[0]), height), dark, thin, cv2.LINE_AA)
    y, gap = 0.0, 0.02 * unit
    while y < height and tiles:
        cv2.line(floor, (0, int(y)), (width, int(y)), dark, thin)
        y, gap = y + gap, gap * 1.35


def _furnish(rng: np.random.Generator, canvas: Picture, row: int, unit: float) -> None:
    """Posters, windows, shelves and boxes, spread along the wall."""
    width = canvas.shape[1]
    x = rng.uniform(-0.2, 0.1) * unit
    while x < width:
        wide = rng.uniform(0.22, 0.5) * unit
        kind = rng.choice(["poster", "poster", "window", "shelf", "box", "plant", "gap"])
        {
            "poster": _poster,
            "window": _window,
            "shelf": _shelf,
            "box": _box,
            "plant": _plant,
            "gap": lambda *_: None,
        }[str(kind)](rng.spawn(1)[0], canvas, int(x), int(wide), row, unit)
        x += wide + rng.uniform(0.03, 0.2) * unit


def _framed(
    rng: np.random.Generator, canvas: Picture, x: int, wide: int, row: int, unit: float
) -> tuple[int, int, int, int]:
    """A framed rectangle on the wall: left, top, right, bottom of its inside."""
    tall = int(wide * rng.uniform(0.9, 1.6))
    top = int(row - rng.uniform(0.5, 0.75) * unit - tall)
    rim = max(1, int(0.014 * unit))
    ink = tuple(rng.uniform(20, 235, 3))
    cv2.rectangle(canvas, (x - rim, top - rim), (x + wide + rim, top + tall + rim), ink, -1)
    return x, top, x + wide, top + tall


def _poster(rng: np.random.Generator, canvas: Picture, x: int, wide: int, row: int, unit: float) -> None:
    left, top, right, bottom = _framed(rng, canvas, x, wide, row, unit)
    cv2.rectangle(canvas, (left, top), (right, bottom), tuple(_ink(rng, 60, 220, 50)), -1)
    for _ in range(rng.integers(5, 10)):
        ink = tuple(_ink(rng, 30, 230, 60))
        centre = (int(rng.uniform(left, right)), int(rng.uniform(top, bottom)))
        size = max(2, int(rng.uniform(0.08, 0.22) * wide))
        low = (max(left, centre[0] - size), max(top, centre[1] - size))
        high = (min(right, centre[0] + size), min(bottom, centre[1] + size // 2))
        if rng.random() < 0.5:
            cv2.rectangle(canvas, low, high, ink, -1)
        else:
            inside = min(size, centre[0] - left, right - centre[0], centre[1] - top, bottom - centre[1])
            cv2.circle(canvas, centre, max(1, inside), ink, -1, cv2.LINE_AA)


def _window(rng: np.random.Generator, canvas: Picture, x: int, wide: int, row: int, unit: float) -> None:
    left, top, right, bottom = _framed(rng, canvas, x, wide, row, unit)
    for y in range(max(0, top), max(0, bottom)):
        share = (y - top) / max(1, bottom - top)
        canvas[y, max(0, left) : max(0, right)] = (225 - 30 * share, 200 - 10 * share, 160 + 40 * share)
    skyline = max(4, wide // 7)
    for k in range(left, right, skyline):
        roof = int(bottom - rng.uniform(0.1, 0.55) * (bottom - top))
        cv2.rectangle(canvas, (k, roof), (min(right, k + skyline), bottom), tuple(_ink(rng, 70, 140, 12)), -1)
    frame, thick = tuple(rng.uniform(170, 240, 3)), max(1, int(0.02 * unit))
    cv2.line(canvas, ((left + right) // 2, top), ((left + right) // 2, bottom), frame, thick)
    cv2.line(canvas, (left, (top + bottom) // 2), (right, (top + bottom) // 2), frame, thick)


def _shelf(rng: np.random.Generator, canvas: Picture, x: int, wide: int, row: int, unit: float) -> None:
    board = tuple(_ink(rng, 60, 120, 15))
    for level in rng.uniform(0.35, 1.0, 2):
        y = int(row - level * unit)
        book = x
        while book < x + wide:
            thick, tall = max(2, int(rng.uniform(0.012, 0.035) * unit)), int(rng.uniform(0.07, 0.13) * unit)
            cv2.rectangle(canvas, (book, y - tall), (book + thick, y), tuple(_ink(rng, 40, 200, 55)), -1)
            book += thick + 1
        cv2.rectangle(canvas, (x, y), (x + wide, y + max(2, int(0.018 * unit))), board, -1)


def _box(rng: np.random.Generator, canvas: Picture, x: int, wide: int, row: int, unit: float) -> None:
    """A loudspeaker that stands against the wall."""
    top = int(row - rng.uniform(0.35, 0.6) * unit)
    cv2.rectangle(canvas, (x, top), (x + wide, row), tuple(_ink(rng, 30, 90, 10)), -1)
    cv2.rectangle(canvas, (x, top), (x + wide, row), (25, 25, 25), max(1, int(0.01 * unit)))
    for share in (0.3, 0.68):
        centre = (x + wide // 2, int(top + share * (row - top)))
        radius = max(2, int(0.13 * min(wide, row - top) / share**0.5))
        cv2.circle(canvas, centre, radius, (25, 25, 28), -1, cv2.LINE_AA)
        cv2.circle(canvas, centre, max(1, radius // 3), (120, 120, 125), -1, cv2.LINE_AA)


def _plant(rng: np.random.Generator, canvas: Picture, x: int, wide: int, row: int, unit: float) -> None:
    foot = np.array([x + wide / 2, row - 0.12 * unit])
    for angle in np.linspace(-1.1, 1.1, 11) + rng.normal(0, 0.1, 11):
        length = rng.uniform(0.2, 0.4) * unit
        tip = foot + length * np.array([np.sin(angle), -np.cos(angle)])
        side = 0.05 * unit * np.array([np.cos(angle), np.sin(angle)])
        leaf = np.array([foot, (foot + tip) / 2 + side, tip, (foot + tip) / 2 - side]).astype(np.int32)
        green = rng.uniform(60, 150)
        cv2.fillPoly(canvas, [leaf], (green * 0.5, green, green * 0.6), cv2.LINE_AA)
    pot = np.array([[-0.08, 0], [0.08, 0], [0.06, 0.14], [-0.06, 0.14]]) * unit + foot
    cv2.fillPoly(canvas, [pot.astype(np.int32)], tuple(_ink(rng, 60, 180, 40)), cv2.LINE_AA)

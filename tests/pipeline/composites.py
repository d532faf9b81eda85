"""Drawn videos to which bars or overlays are added, with their truth: what editing programmes do to a dance."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.video.ffmpeg import ffmpeg_exe

Frames = np.ndarray  # (n, height, width, 3) uint8 blue, green, red
Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels, the last two excluded

WORDS = (
    "watch until the end", "part 3", "follow for more", "dance tutorial", "like and subscribe", "5 6 7 8", "FYP",
    "slow it down", "new choreo", "tag a friend", "step by step", "so proud of this one", "class of 2026", "no way",
)  # fmt: skip
HANDLES = ("@some_dancer", "@studio.nine", "@mia_moves", "danceclub", "StepUp TV", "@kay.choreo")


@dataclass(frozen=True)
class Overlay:
    """Something burnt in: where, and in which frames [start, end)."""

    kind: str
    box: Box
    start: int
    end: int


@dataclass
class Composite:
    """Frames with what was done to them."""

    frames: Frames
    picture: Box
    overlays: list[Overlay] = field(default_factory=list)


def read_frames(path: Path) -> Frames:
    """All frames of a video, as stored."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)])


def write_frames(path: Path, frames: Frames, fps: str, crf: int = 23) -> Path:
    """H.264 of limited range, tagged BT.709."""
    height, width = frames.shape[1:3]
    command = [
        ffmpeg_exe(), "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{width}x{height}", "-r", fps,
        "-i", "pipe:0", "-vf", "scale=out_range=tv:out_color_matrix=bt709,format=yuv420p", "-c:v", "libx264",
        "-preset", "veryfast", "-crf", str(crf), "-threads", "1", "-colorspace", "bt709", "-color_range", "tv",
        "-y", str(path),
    ]  # fmt: skip
    subprocess.run(command, input=frames.tobytes(), check=True)
    return path


def whole(frames: Frames) -> Box:
    """The box of the whole picture."""
    return 0, 0, frames.shape[2], frames.shape[1]


# ---- bars


def framed(frames: Frames, place: str, fill: str, rng: np.random.Generator) -> Composite:
    """The picture on a larger canvas: `place` is sides, above or both; `fill` is black, white, colour or blurred."""
    height, width = frames.shape[1:3]
    grow = rng.uniform(1.12, 2.6), rng.uniform(1.12, 2.0)
    across = grow[0] if place == "sides" else rng.uniform(1.1, 1.6) if place == "both" else 1.0
    down = grow[1] if place == "above" else rng.uniform(1.1, 1.6) if place == "both" else 1.0
    size = [round(width * across / 2) * 2, round(height * down / 2) * 2]
    centred = rng.random() < 0.8 or fill == "colour"
    corner = [
        int((outer - inner) * (0.5 if centred else rng.uniform(0.2, 0.8)))
        for outer, inner in zip(size, (width, height), strict=True)
    ]
    box = (corner[0], corner[1], corner[0] + width, corner[1] + height)
    painted = _fill(fill, rng, (size[1], size[0]))
    canvases = np.stack([painted(frame) for frame in frames])
    canvases[:, box[1] : box[3], box[0] : box[2]] = frames
    return Composite(_at_most(canvases, 1280), _scaled(box, min(1.0, 1280 / max(size))))


def _at_most(frames: Frames, longest: int) -> Frames:
    height, width = frames.shape[1:3]
    scale = longest / max(height, width)
    if scale >= 1:
        return frames
    size = round(width * scale / 2) * 2, round(height * scale / 2) * 2
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])


def _scaled(box: Box, scale: float) -> Box:
    """The whole pixels within a scaled box."""
    x0, y0, x1, y1 = (side * scale for side in box)
    return int(np.ceil(x0 - 1e-6)), int(np.ceil(y0 - 1e-6)), int(x1 + 1e-6), int(y1 + 1e-6)


def _fill(kind: str, rng: np.random.Generator, shape: tuple[int, int]) -> Callable[[np.ndarray], np.ndarray]:
    """What fills the canvas of a frame."""
    height, width = shape
    if kind != "blurred":
        ink = {
            "black": np.full(3, rng.integers(0, 8)),
            "white": np.full(3, 255 - rng.integers(0, 10)),
            "colour": rng.integers(30, 226, 3),
        }[kind]
        return lambda _: np.full((height, width, 3), ink, np.uint8)
    sigma, dim = rng.uniform(0.012, 0.05) * max(shape), rng.choice([1.0, 1.0, rng.uniform(0.4, 0.9)])
    zoom, boxy = rng.uniform(1.0, 1.25), rng.random() < 0.3

    def blurred(frame: np.ndarray) -> np.ndarray:
        scale = zoom * max(width / frame.shape[1], height / frame.shape[0])
        small = 4  # blurred at a quarter, as fast editors do: nothing sharp is left anyway
        size = (
            max(width // small + 1, round(frame.shape[1] * scale / small)),
            max(height // small + 1, round(frame.shape[0] * scale / small)),
        )
        copy = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        x, y = (size[0] - width // small) // 2, (size[1] - height // small) // 2
        copy = copy[y : y + height // small + 1, x : x + width // small + 1]
        if boxy:
            side = round(sigma * 2 / small) | 1
            copy = cv2.blur(cv2.blur(copy, (side, side)), (side, side))
        else:
            copy = cv2.GaussianBlur(copy, (0, 0), sigma / small)
        return cv2.convertScaleAbs(cv2.resize(copy, (width, height), interpolation=cv2.INTER_CUBIC), alpha=dim)

    return blurred


# ---- overlays


@dataclass(frozen=True)
class Sticker:
    """An RGBA picture: colour (h, w, 3) and opacity (h, w, 1) in 0 to 1."""

    colour: np.ndarray
    opacity: np.ndarray

    def on(self, frames: Frames, x: int, y: int, start: int, end: int, kind: str) -> Overlay:
        """Burn it into frames [start, end) with its top left at (x, y)."""
        height, width = self.opacity.shape[:2]
        x, y = int(np.clip(x, 0, frames.shape[2] - width)), int(np.clip(y, 0, frames.shape[1] - height))
        part = frames[start:end, y : y + height, x : x + width]
        part[:] = (part * (1 - self.opacity) + self.colour * self.opacity + 0.5).astype(np.uint8)
        return Overlay(kind, (x, y, x + width, y + height), start, end)


def words(text: str, size: int, rng: np.random.Generator, opacity: float = 1.0, style: int | None = None) -> Sticker:
    """Text of a size in pixels: plain with a shadow, outlined, or on a box."""
    style = int(rng.integers(3)) if style is None else style
    bright = [(255, 255, 255), (255, 255, 255), (0, 230, 255), (80, 80, 255), (120, 255, 120)][rng.integers(5)]
    ink, paper = (bright, (20, 20, 20)) if rng.random() < 0.8 else ((20, 20, 20), (250, 250, 250))
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(text, stroke_width=size // 12)
    pad = size // 4
    width, height = int(right - left) + 2 * pad, int(bottom - top) + 2 * pad
    drawn = Image.new("RGBA", (width, height), (*paper, 255 if style == 2 else 0))
    pen, at = ImageDraw.Draw(drawn), (pad - left, pad - top)
    if style == 1:
        pen.text(at, text, font=font, fill=(*ink, 255), stroke_width=max(1, size // 12), stroke_fill=(*paper, 255))
    else:
        if style == 0:
            shadow = max(1, size // 16)
            pen.text((at[0] + shadow, at[1] + shadow), text, font=font, fill=(*paper, 140))
        pen.text(at, text, font=font, fill=(*ink, 255))
    pixels = np.asarray(drawn, np.float32)
    return Sticker(pixels[..., :3], pixels[..., 3:] / 255 * opacity)


def emblem(size: int, rng: np.random.Generator, opacity: float = 1.0) -> Sticker:
    """A graphic without a letter: a disc or a rounded square with a shape in it."""
    big = 4 * size
    colour, alpha = np.zeros((big, big, 3), np.uint8), np.zeros((big, big), np.uint8)
    outer, inner = (tuple(int(v) for v in rng.integers(0, 256, 3)) for _ in range(2))
    cv2.circle(alpha, (big // 2, big // 2), big // 2 - 4, 255, -1)
    if rng.random() < 0.5:
        cv2.rectangle(alpha, (big // 12, big // 12), (big - big // 12, big - big // 12), 255, -1)
    colour[:] = outer
    count = int(rng.integers(3, 7))
    turns = np.arange(2 * count) * np.pi / count + rng.uniform(0, 2)
    radius = np.where(np.arange(2 * count) % 2, 0.18, 0.38)[:, None] * big
    star = big / 2 + radius * np.stack([np.cos(turns), np.sin(turns)], 1)
    cv2.fillPoly(colour, [star.round().astype(np.int32)], inner)
    small = cv2.resize(colour, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
    cover = cv2.resize(alpha, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
    return Sticker(small, cover[..., None] / 255 * opacity)


def _text_size(frames: Frames, rng: np.random.Generator) -> int:
    return round(rng.uniform(0.022, 0.05) * max(frames.shape[1:3]))


def captions(frames: Frames, rng: np.random.Generator, fps: float) -> list[Overlay]:
    """One to three lines that stay, or one line that changes every second or two."""
    size, style = _text_size(frames, rng), int(rng.integers(3))
    count, height = frames.shape[:2]
    y = int(rng.choice([0.06, 0.68, 0.8]) * height)
    burnt = []
    if rng.random() < 0.4:
        start = 0
        while start < count:
            end = min(count, start + round(rng.uniform(0.8, 2.2) * fps))
            line = words(str(rng.choice(WORDS)), size, rng, style=style)
            burnt.append(_centred(line, frames, y, start, end))
            start = end
        return burnt
    for number in range(int(rng.integers(1, 4))):
        line = words(str(rng.choice(WORDS)), size, rng, style=style)
        burnt.append(_centred(line, frames, y + int(1.6 * number * size), 0, count))
    return burnt


def _centred(line: Sticker, frames: Frames, y: int, start: int, end: int) -> Overlay:
    room = frames.shape[2]
    line = line if line.opacity.shape[1] <= room else Sticker(line.colour[:, :room], line.opacity[:, :room])
    return line.on(frames, (room - line.opacity.shape[1]) // 2, y, start, end, "caption")


def logo(frames: Frames, rng: np.random.Generator, fps: float) -> list[Overlay]:
    """A handle, an emblem or both in a corner, often a little transparent; some jump to another corner midway."""
    count, height, width = frames.shape[:3]
    opacity = float(rng.choice([1.0, 0.85, 0.65]))
    parts = [("handle", words(str(rng.choice(HANDLES)), round(0.7 * _text_size(frames, rng) + 4), rng, opacity))]
    if rng.random() < 0.6:
        side = round(rng.uniform(0.04, 0.09) * max(height, width))
        parts = [("emblem", emblem(side, rng, opacity))] + (parts if rng.random() < 0.6 else [])
    jump = int(rng.uniform(0.35, 0.65) * count) if rng.random() < 0.3 else count
    corners = rng.permutation(4)
    burnt = []
    for number, (start, end) in enumerate(((0, jump), (jump, count))):
        right, low = divmod(int(corners[number]), 2)
        y = int(0.84 * height) if low else int(0.04 * height)
        for kind, part in parts if start < end else []:
            x = width - part.opacity.shape[1] - int(0.04 * width) if right else int(0.04 * width)
            burnt.append(part.on(frames, x, y, start, end, kind))
            y += part.opacity.shape[0]
    return burnt


def timer(frames: Frames, rng: np.random.Generator, fps: float) -> list[Overlay]:
    """A clock that counts up, by tenths or by seconds."""
    size, count = _text_size(frames, rng), len(frames)
    tenths, style, seed = bool(rng.random() < 0.5), int(rng.integers(3)), int(rng.integers(1 << 30))
    x, y = rng.uniform(0.05, 0.6) * frames.shape[2], rng.choice([0.05, 0.85]) * frames.shape[1]
    burnt, start = [], 0
    while start < count:
        step = 0.1 if tenths else 1.0
        end = min(count, int((int(start / fps / step + 1e-6) + 1) * step * fps - 1e-6) + 1)
        seconds = start / fps
        text = f"{int(seconds) // 60:02}:{int(seconds) % 60:02}" + (f".{int(seconds * 10) % 10}" if tenths else "")
        sticker = words(text, size, np.random.default_rng(seed), style=style)
        burnt.append(sticker.on(frames, int(x), int(y), start, max(end, start + 1), "timer"))
        start = max(end, start + 1)
    return burnt


OVERLAYS = {"captions": captions, "logo": logo, "timer": timer}


def overlaid(frames: Frames, kind: str, rng: np.random.Generator, fps: float) -> Composite:
    """A copy of the frames with captions, a logo or a timer."""
    copy = frames.copy()
    return Composite(copy, whole(copy), OVERLAYS[kind](copy, rng, fps))

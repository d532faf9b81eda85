"""Camera paths of drawn videos: still, drifting, panning, zooming or shaken, as one affine per frame."""

import numpy as np

from pipeline.synthetic.body.brush import Array

KINDS = ("pan", "zoom", "shake", "handheld", "away")


def camera_path(
    kind: str | None, frames: int, stride: int, unit: float, size: tuple[int, int], rng: np.random.Generator
) -> Array:
    """Affines (T, 2, 3) from world to picture pixels.

    `kind`: "pan", "zoom", "shake", "handheld" (a calmer shake, with a slow pan and zoom), "away" (a pan that does not
    come back) or None for a camera that stands or drifts. `stride`: source frames
    per clip frame (2 at 50 and 60 frames/s); `unit`: picture pixels to one of the 512 pixels of an aligned
    clip; speeds are per clip frame at that scale. `size`: width and height of the picture.
    """
    shift, log_zoom, roll = np.zeros((frames, 2)), np.zeros(frames), np.zeros(frames)
    step = unit / stride
    if kind == "pan":
        shift = _pan(frames, rng.uniform(4.5, 9.0) * step, 0.15 * size[0], rng)
    elif kind == "zoom":
        rate = rng.uniform(0.006, 0.012) / stride
        log_zoom = 0.2 * _zigzag(frames, rate / 0.2, rng.uniform(0, 4))
    elif kind == "shake":
        shift, roll = _shake(frames, rng.uniform(3.5, 8.0) * unit, stride, rng)
    elif kind == "handheld":
        shift, roll = _shake(frames, rng.uniform(1.0, 4.0) * unit, stride, rng)
        shift = shift + _drift(frames, rng.uniform(0.1, 0.6) * step, rng)
        log_zoom = rng.uniform(0.0, 0.05) * _zigzag(frames, rng.uniform(0.005, 0.02) / stride, rng.uniform(0, 4))
    elif kind == "away":
        angle = rng.choice([0, np.pi]) + rng.uniform(-0.25, 0.25)
        speed = rng.uniform(2.5, 6.0) * step
        shift = speed * np.arange(-frames / 2, frames / 2)[:, None] * np.array([np.cos(angle), np.sin(angle)])
    elif rng.random() < 0.5:
        shift = _drift(frames, rng.uniform(0.03, 0.2) * step, rng)
    centre = np.array(size) / 2
    zoom = np.exp(log_zoom)
    linear = np.empty((frames, 2, 2))
    linear[:, 0, 0] = linear[:, 1, 1] = zoom * np.cos(roll)
    linear[:, 0, 1], linear[:, 1, 0] = -zoom * np.sin(roll), zoom * np.sin(roll)
    offset = centre - linear @ centre - shift
    return np.concatenate([linear, offset[:, :, None]], axis=2)


def _zigzag(frames: int, speed: float, start: float) -> Array:
    """Runs from -1 to 1 and back at `speed` a frame, its turns rounded: (T,)."""
    phase = (start + speed * np.arange(frames)) * np.pi / 2
    return np.asarray(np.arcsin(0.985 * np.sin(phase)) / np.arcsin(0.985))


def _pan(frames: int, speed: float, reach: float, rng: np.random.Generator) -> Array:
    """Sweeps over `reach` pixels to either side at `speed` pixels a frame, tilted a little: (T, 2)."""
    slope = rng.uniform(-0.25, 0.25)
    sweep = reach * _zigzag(frames, speed / reach, rng.uniform(0, 4))
    return np.stack([sweep, slope * sweep], axis=1)


def _shake(frames: int, rms: float, stride: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """A hand's jitter: shifts (T, 2) whose change per clip frame has `rms` pixels, and rolls (T,)."""
    count = frames // stride + 4
    noise = rng.normal(0, 1, (count + 2, 3))
    noise = (noise[:-2] + 2 * noise[1:-1] + noise[2:]) / 4
    shift = noise[:, :2] * rms / np.sqrt(np.mean(np.sum(np.diff(noise[:, :2], axis=0) ** 2, axis=1)))
    at = np.arange(frames) / stride
    knots = np.arange(count)
    path = np.stack([np.interp(at, knots, shift[:, k]) for k in range(2)], axis=1)
    return path, np.interp(at, knots, noise[:, 2] * np.deg2rad(0.45))


def _drift(frames: int, speed: float, rng: np.random.Generator) -> Array:
    """A slow wander of at most `speed` pixels a frame: (T, 2)."""
    period = rng.uniform(150, 400)
    phase = 2 * np.pi * (np.arange(frames) / period + rng.uniform(0, 1))
    angle = rng.uniform(0, 2 * np.pi)
    reach = speed * period / (2 * np.pi)
    return np.asarray(reach * np.sin(phase)[:, None] * np.array([np.cos(angle), np.sin(angle)]))

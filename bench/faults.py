"""Faults planted into a clip, each with a dose from 0 (none) to 1: what drift metrics have to tell apart."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

Fault = Callable[[np.ndarray, float], np.ndarray]
"""uint8 RGB frames (F, H, W, 3) and a dose to the faulty frames."""


def growing(frames: int) -> np.ndarray:
    """0 at the first frame, 1 at the last."""
    return np.linspace(0, 1, frames)


def to_uint8(frames: np.ndarray) -> np.ndarray:
    """Rounded and clipped."""
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)


def colour_drift(clip: np.ndarray, dose: float) -> np.ndarray:
    """Red rises and blue falls, by 60 levels at the end of a full dose."""
    shift = 60 * dose * growing(len(clip))[:, None, None, None] * np.array([1.0, 0.0, -1.0])
    return to_uint8(clip + shift)


def growing_blur(clip: np.ndarray, dose: float) -> np.ndarray:
    """A Gaussian blur that grows, to 1/40 of the picture's side at the end of a full dose."""
    sigmas = clip.shape[1] / 40 * dose * growing(len(clip))
    return np.stack([cv2.GaussianBlur(f, (0, 0), s) if s > 0.05 else f for f, s in zip(clip, sigmas)])


def frozen_tail(clip: np.ndarray, dose: float) -> np.ndarray:
    """The last share of the frames shows the frame before it."""
    stop = max(1, round(len(clip) * (1 - dose)))
    return clip[np.minimum(np.arange(len(clip)), stop - 1)]


def vanishing_dancer(clip: np.ndarray, dose: float) -> np.ndarray:
    """The last share of the frames shows a plain wall of the picture's mean colour around a blurred rest."""
    faulty = clip.copy()
    stop = round(len(clip) * (1 - dose))
    wall = cv2.GaussianBlur(np.median(clip, axis=0).astype(np.uint8), (0, 0), clip.shape[1] / 8)
    faulty[stop:] = wall
    return faulty


def flicker(clip: np.ndarray, dose: float) -> np.ndarray:
    """Brightness jumps up and down from frame to frame, by 20 levels at a full dose."""
    sign = np.where(np.arange(len(clip)) % 2, 1, -1)[:, None, None, None]
    return to_uint8(clip + 20 * dose * sign)


FAULTS: dict[str, tuple[Fault, str, int]] = {
    "colour drift": (colour_drift, "colour", 1),
    "growing blur": (growing_blur, "sharpness", -1),
    "frozen tail": (frozen_tail, "picture_motion", -1),
    "vanishing dancer": (vanishing_dancer, "found", -1),
    "flicker": (flicker, "flicker", 1),
}
"""The fault, the metric that has to show it, and in which direction that one moves."""

"""Drift, measured: what changes over a video, frame by frame, in numbers that need no network but mediapipe's.

A video that froze has no drift: so motion is always among the numbers. Nothing here knows how a video was made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import cv2
import numpy as np

from model.data.samples import FPS
from model.drift.motion import tile_colours, tile_travel
from pipeline.analysis.pose import BODY_PER_HEIGHT, MAIN, body_length
from pipeline.analysis.pose_metrics import (
    dancer_mask,
    joint_distance,
    joint_motion,
    joints_right,
    proportion_change,
)
from pipeline.clips.fill import Rectangle, fill_outside

TILES = 8
PARTS = 10
MAX_PSNR = 100.0
MIN_BACKGROUND = 0.05
"""Share of the picture below which there is no background to compare."""

METRICS: dict[str, str] = {
    "colour": "distance of the colour histograms to frame 0's, in 8-bit levels (Wasserstein-1, mean of R, G, B)",
    "contrast": "standard deviation of the brightness, in 8-bit levels",
    "sharpness": "mean absolute Laplacian of the brightness, in 8-bit levels",
    "background": "mean absolute difference to frame 0 outside of the dancer, in 8-bit levels",
    "found": "whether mediapipe finds a dancer",
    "visibility": "mean visibility of the main joints, where a dancer is found",
    "proportions": "mean absolute log ratio of bone proportions to the first dancer's",
    "picture_motion": "how far the colours of 64 tiles travel, without grain and flicker, in 8-bit levels a second",
    "joint_motion": "speed of the main joints without the detector's jitter, in body lengths a second",
    "flicker": "brightness that jumps to and fro: a quarter of the second difference in time, median over 64 tiles",
}
TRUTH_METRICS: dict[str, str] = {
    "psnr": "PSNR against what really followed, dB",
    "ssim": "structural similarity with what really followed (Wang et al. 2004)",
    "pose_error": "mean distance of the main joints to the real ones, pixels at 512",
}
DANCE_METRICS: dict[str, str] = {
    "joint_error": "mean distance of the main joints to those of the dance that was given, pixels at 512",
    "pck": "share of the main joints within a tenth of the dancer's height of them; 0 where nobody is found",
    "dance_motion": "speed of the main joints in the dance itself, in body lengths a second",
}
FORMER_METRICS: dict[str, str] = {
    "motion": "until 0.1, grain counted: mean absolute difference to the frame before, in 8-bit levels",
    "pose_motion": "until 0.1, jitter counted: mean speed of the main joints, pixels a frame at 512",
}
"""Of rollouts that 0.1 measured. They stay as they were stored: what they were made from is no longer there."""


class Finder(Protocol):
    """Finds the dancer: pipeline.pose_metrics.DancerFinder."""

    def find(self, picture_HWC: np.ndarray) -> np.ndarray:
        """(33, 4) landmarks, NaN where nobody is."""


@dataclass
class Measured:
    """A video's numbers. `curves` holds one value per frame and metric, NaN where it cannot be measured."""

    curves: dict[str, list[float]]
    landmarks: np.ndarray
    """(frames, 33, 4), NaN where nobody was found."""

    @property
    def frames(self) -> int:
        """How many frames were measured."""
        return len(self.landmarks)


@dataclass
class Measurer:
    """Takes a video's frames one by one; remembers the first, the last, and numbers."""

    finder: Finder
    region: Rectangle | None = None
    """The part of the frames that is measured, in their pixels; None: all. What lies outside changes no number."""
    fps: float = float(FPS)
    """Frames a second: motion is stated per second."""
    curves: dict[str, list[float]] = field(default_factory=dict)
    _height: int = 0
    _tall: float = 0.0
    _landmarks: list[np.ndarray] = field(default_factory=list)
    _dance: list[np.ndarray] = field(default_factory=list)
    _first: np.ndarray | None = None
    _first_dancer: np.ndarray | None = None
    _tiles: list[np.ndarray] = field(default_factory=list)
    _colours: list[np.ndarray] = field(default_factory=list)

    def add(self, frame_HWC: np.ndarray, truth_HWC: np.ndarray | None = None, pose: np.ndarray | None = None) -> None:
        """Measure the next frame, uint8 RGB (H, W, 3), and how far it is from the truth where that is known.

        pose: (33, 4) landmarks in its pixels that the dancer was to take.
        """
        self._height = frame_HWC.shape[0]
        landmarks = self._found(frame_HWC)
        frame_HWC = cut_out(frame_HWC, self.region)
        if self._first is None:
            self._first = frame_HWC
        self._note(picture_numbers(frame_HWC, self._first))
        self._note(self._dancer_numbers(frame_HWC, landmarks))
        self._note({"flicker": self._flicker(frame_HWC)})
        if truth_HWC is not None:
            real = self._found(truth_HWC)
            truth_HWC = cut_out(truth_HWC, self.region)
            self._note(truth_numbers(frame_HWC, truth_HWC, landmarks, real, self._height))
        if pose is not None:
            self._note(self._dance_numbers(landmarks, pose))
            self._dance.append(pose)
        self._landmarks.append(landmarks)
        self._colours.append(tile_colours(frame_HWC))

    def result(self) -> Measured:
        """The numbers of all frames so far."""
        landmarks = np.stack(self._landmarks)
        motion = {
            "picture_motion": (self.fps * tile_travel(self._colours)).tolist(),
            "joint_motion": joint_motion(landmarks, self.fps).tolist(),
        }
        if self._dance:
            motion["dance_motion"] = joint_motion(np.stack(self._dance), self.fps).tolist()
        return Measured({**self.curves, **motion}, landmarks)

    def _found(self, frame_HWC: np.ndarray) -> np.ndarray:
        """The dancer's landmarks in pixels of the region. She is looked for in the whole frame, whose outside is the
        region's own edge: a detector does worse on a picture without room around her."""
        if self.region is None:
            return self.finder.find(frame_HWC)
        left, top = self.region[:2]
        return self.finder.find(fill_outside(frame_HWC, self.region)) - (left, top, 0, 0)

    def _note(self, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self.curves.setdefault(name, []).append(float(value))

    def _dancer_numbers(self, frame: np.ndarray, landmarks: np.ndarray) -> dict[str, float]:
        assert self._first is not None
        found = not np.isnan(landmarks).any()
        if found and self._first_dancer is None:
            self._first_dancer = landmarks
        shape = (frame.shape[0], frame.shape[1])
        there = [self._first_dancer] if self._first_dancer is not None else []
        elsewhere = ~np.logical_or.reduce([dancer_mask(x, shape) for x in (landmarks, *there)])
        change = np.abs(frame.astype(float) - self._first).mean(-1)
        return {
            "background": change[elsewhere].mean() if elsewhere.mean() >= MIN_BACKGROUND else math.nan,
            "found": float(found),
            "visibility": landmarks[MAIN, 3].mean() if found else math.nan,
            "proportions": proportion_change(landmarks, there[0]) if found else math.nan,
        }

    def _dance_numbers(self, landmarks: np.ndarray, pose: np.ndarray) -> dict[str, float]:
        left, top = (0, 0) if self.region is None else self.region[:2]
        wanted = pose - (left, top, 0, 0)
        self._tall = self._tall or float(body_length(pose)) / BODY_PER_HEIGHT
        error = joint_distance(landmarks, wanted, self._height)
        return {"joint_error": error, "pck": joints_right(landmarks, wanted, self._tall)}

    def _flicker(self, frame: np.ndarray) -> float:
        tiles = cv2.resize(luma(frame), (TILES, TILES), interpolation=cv2.INTER_AREA)
        self._tiles = [*self._tiles[-2:], tiles]
        if len(self._tiles) < 3:
            return math.nan
        before, middle, after = self._tiles
        return float(np.median(np.abs(before - 2 * middle + after))) / 4


def cut_out(frame_HWC: np.ndarray, region: Rectangle | None) -> np.ndarray:
    """The part of a frame that is measured."""
    if region is None:
        return frame_HWC
    x0, y0, x1, y1 = region
    return np.ascontiguousarray(frame_HWC[y0:y1, x0:x1])


def luma(frame_HWC: np.ndarray) -> np.ndarray:
    """Brightness of uint8 RGB, float32 (H, W), in 8-bit levels (ITU-R BT.601, as OpenCV)."""
    return np.asarray(cv2.cvtColor(frame_HWC, cv2.COLOR_RGB2GRAY), np.float32)


def picture_numbers(frame_HWC: np.ndarray, first_HWC: np.ndarray) -> dict[str, float]:
    """What one frame shows, by itself or against frame 0."""
    grey = luma(frame_HWC)
    return {
        "colour": histogram_distance(frame_HWC, first_HWC),
        "contrast": float(grey.std()),
        "sharpness": float(np.abs(cv2.Laplacian(grey, cv2.CV_32F)).mean()),
    }


def histogram_distance(one_HWC: np.ndarray, other_HWC: np.ndarray) -> float:
    """Wasserstein-1 distance of two pictures' histograms, mean over the colours: the area between the cumulated."""
    total = 0.0
    for colour in range(3):
        shares = [
            np.bincount(x[..., colour].ravel(), minlength=256).cumsum() / x[..., colour].size
            for x in (one_HWC, other_HWC)
        ]
        total += float(np.abs(shares[0] - shares[1]).sum())
    return total / 3


def truth_numbers(
    frame: np.ndarray, truth: np.ndarray, landmarks: np.ndarray, real: np.ndarray, height: int
) -> dict[str, float]:
    """How far a frame is from the real one; `height` is that of the whole frame."""
    error = float(np.square(frame.astype(float) - truth).mean())
    return {
        "psnr": min(MAX_PSNR, 10 * math.log10(255**2 / error)) if error else MAX_PSNR,
        "ssim": ssim(luma(frame), luma(truth)),
        "pose_error": joint_distance(landmarks, real, height),
    }


def ssim(one_HW: np.ndarray, other_HW: np.ndarray) -> float:
    """Structural similarity of two brightness pictures in 8-bit levels; Wang et al. 2004, eq. 13, 11x11 Gaussian."""

    def blur(x: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.GaussianBlur(x, (11, 11), 1.5))

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    x, y = one_HW.astype(np.float64), other_HW.astype(np.float64)
    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    score = ((2 * mx * my + c1) * (2 * cov + c2)) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return float(score.mean())


def measure(
    frames: Iterable[np.ndarray], finder: Finder, truth: Iterable[np.ndarray] = (), region: Rectangle | None = None,
    fps: float = float(FPS),
) -> Measured:  # fmt: skip
    """All numbers of a video; `truth` may be shorter, and its numbers are then, too."""
    measurer, real = Measurer(finder, region, fps), iter(truth)
    for frame in frames:
        measurer.add(frame, next(real, None))
    return measurer.result()


def tenths(values: Sequence[float]) -> list[float | None]:
    """The mean of each tenth of a curve, NaN left out; None where nothing is left."""
    parts = np.array_split(np.asarray(values, float), PARTS)
    return [float(np.nanmean(part)) if np.isfinite(part).any() else None for part in parts]


def slope(values: Sequence[float]) -> float | None:
    """Change over 100 frames by least squares, NaN left out; None with fewer than two values."""
    curve = np.asarray(values, float)
    known = np.isfinite(curve)
    if known.sum() < 2:
        return None
    return 100 * float(np.polyfit(np.flatnonzero(known), curve[known], 1)[0])


def band(values: Sequence[float]) -> tuple[float, float] | None:
    """The middle 95 % of a curve's values; None if it has none."""
    curve = np.asarray(values, float)
    curve = curve[np.isfinite(curve)]
    return (float(np.quantile(curve, 0.025)), float(np.quantile(curve, 0.975))) if len(curve) else None


def mean(values: Sequence[float]) -> float | None:
    """The mean of a curve, NaN left out; None if nothing is left."""
    curve = np.asarray(values, float)
    return float(np.nanmean(curve)) if np.isfinite(curve).any() else None


def summary(measured: Measured) -> dict[str, dict[str, Any]]:
    """For each metric its mean, tenths, slope over 100 frames and 95 % band, as JSON values."""
    return {
        name: {"mean": mean(curve), "tenths": tenths(curve), "slope": slope(curve), "band": band(curve)}
        for name, curve in measured.curves.items()
    }


def by_depth(measured: Measured, depths: Mapping[int, int]) -> dict[str, dict[str, float | None]]:
    """The mean of each number against the truth, for all frames of each depth but frame 0's."""
    table = {}
    for name in (*TRUTH_METRICS, *(name for name in DANCE_METRICS if name in measured.curves)):
        curve = measured.curves.get(name, [])
        groups: dict[int, list[float]] = {}
        for frame, value in enumerate(curve):
            if frame:
                groups.setdefault(depths[frame], []).append(value)
        table[name] = {str(depth): mean(values) for depth, values in sorted(groups.items())}
    return table

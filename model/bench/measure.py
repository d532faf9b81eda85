"""One video's numbers: those of `generate`'s page, FramePack's drift, dynamic degree; beside a real one, how far."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from model.bench.videos import BenchVideo, stored_report
from model.drift.frechet import lpips
from model.drift.metrics import Finder, Measured, mean, measure
from pipeline.clips.beats import beat_alignment, kinematic_beats

ENDS = 0.15
"""Share of the frames at either end that FramePack compares (Zhang and Agrawala 2025, "start-end contrast")."""
DRIFTS = (
    "colour",
    "contrast",
    "sharpness",
    "background",
    "visibility",
    "proportions",
    "picture_motion",
    "joint_motion",
)
FLOW_AT, FLOW_THRESHOLD, FLOW_TOP = 8, 6.0, 0.05
"""VBench's dynamic degree (Huang et al. 2024): frames a second, pixels at 256 a side, and the share of the fastest."""


@dataclass
class BenchFigures:
    """What was measured of one video."""

    name: str
    frames: int
    fps: Fraction
    values: dict[str, float] = field(default_factory=dict)
    """By the names of the table; what could not be measured is not there."""
    landmarks: np.ndarray = field(default_factory=lambda: np.empty((0, 33, 4)))
    ours: bool = False
    """Whether its figures are those that `generate` measured."""


def measure_video(
    video: BenchVideo, finder: Finder, real: BenchVideo | None, weights: Mapping[str, Path]
) -> BenchFigures:
    """All numbers of a video; `real` is what it should have been, frame by frame. Raises MetricsError."""
    size = next(iter(video.frames())).shape[:2]
    truth = () if real is None else fitted(real.frames(), size)
    measured = measure(video.frames(), finder, truth, fps=float(video.fps))
    curves: dict[str, Sequence[float]] = dict(measured.curves)
    if real is not None and "lpips" in weights:
        curves["lpips"] = lpips(video.frames(), fitted(real.frames(), size), weights["lpips"])
    means = {name: mean(curve) for name, curve in curves.items()}
    report = stored_report(video)
    if report is not None:
        curves |= _stored_curves(report)
        means |= {name: one["mean"] for name, one in dict(report["metrics"]).items()}  # type: ignore[call-overload]
    values = means | {f"drift_{name}": framepack_drift(curves[name]) for name in DRIFTS}
    values |= {**dynamics(video.frames(), float(video.fps)), **beat_numbers(video, measured)}
    known = {name: float(value) for name, value in values.items() if value is not None and math.isfinite(value)}
    return BenchFigures(video.name, measured.frames, video.fps, known, measured.landmarks, report is not None)


def _stored_curves(report: Mapping[str, Any]) -> dict[str, list[float]]:
    return {name: [math.nan if value is None else value for value in curve] for name, curve in report["curves"].items()}


def fitted(frames: Iterable[np.ndarray], size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Frames brought to (height, width)."""
    for frame in frames:
        yield frame if frame.shape[:2] == size else cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA)


def framepack_drift(curve: Sequence[float]) -> float | None:
    """|mean of the first 15 % of the frames - mean of the last 15 %|, NaN left out; None where an end has no number."""
    count = max(1, round(ENDS * len(curve)))
    first, last = mean(curve[:count]), mean(curve[-count:])
    return None if first is None or last is None else abs(first - last)


def dynamics(frames: Iterable[np.ndarray], fps: float) -> dict[str, float]:
    """`flow`: how far the fastest 5 % of pixels move, at 8 frames a second, in pixels at 256 a side, mean over pairs.

    `dynamic_degree`: 1 where enough pairs (4 for 16 frames, in proportion) move by more than 6 such pixels, else 0:
    VBench's rule. VBench takes RAFT's flow; this is DIS (Kroeger et al. 2016), so the two compare by rank, not by
    number. Nothing for a single frame.
    """
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    step = max(1, round(fps / FLOW_AT))
    before: np.ndarray | None = None
    speeds, shown = [], 0
    for number, frame in enumerate(frames):
        if number % step:
            continue
        shown += 1
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        if before is not None:
            length = np.linalg.norm(flow.calc(before, grey, None), axis=-1).ravel()
            top = max(1, int(FLOW_TOP * length.size))
            speeds.append(float(np.partition(length, -top)[-top:].mean()) * 256 / min(grey.shape))
        before = grey
    if not speeds:
        return {}
    moved = sum(speed > FLOW_THRESHOLD for speed in speeds)
    return {"flow": float(np.mean(speeds)), "dynamic_degree": float(moved >= max(1, round(4 * shown / 16)))}


def beat_numbers(video: BenchVideo, measured: Measured) -> dict[str, float | None]:
    """How well the dance meets the beats of the video's own sound (Li et al. 2021); nothing for a silent video."""
    beats = video.beats()
    if beats is None:
        return {}
    known = np.isfinite(measured.landmarks[..., 0]).all(1)
    return {"beat_alignment": beat_alignment(kinematic_beats(measured.landmarks, known, video.fps), beats)}

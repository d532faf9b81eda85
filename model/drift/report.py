"""A rollout's report: its drift beside that of real clips, and beside what really followed where that is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from data_catalog.base.files import write_json
from model.data.codec import Codec
from model.data.latents import read_regions
from model.data.samples import FPS, Sample, frame_rate, holdout_sources, read_samples
from model.drift.frechet import fvd, joint_motion_distance, lpips
from model.drift.metrics import DANCE_METRICS, METRICS, Finder, Measured, Measurer, by_depth, cut_out, summary
from model.errors import DataError
from pipeline.clips.fill import Rectangle, common
from pipeline.picture_size import PictureSize

CURVE_POINTS = 200
"""A curve in the catalog has at most so many points, each the mean of its frames."""


@dataclass(frozen=True)
class RealClip:
    """A clip of a data set, as the reference or as the truth: uint8 RGB frames of the codec's size."""

    clip_id: str
    frames_FHWC: np.ndarray  # noqa: N815
    regions: np.ndarray | None = None
    """(n, 4) where they show the source's picture, per frame or once; None: everywhere."""
    fps: Fraction = FPS

    @property
    def region(self) -> Rectangle | None:
        """Where every frame shows the source's picture."""
        return None if self.regions is None else common(self.regions)


@dataclass(frozen=True)
class GivenDance:
    """(frames, 33, 4) landmarks that a rollout's dancer was to take, in its frames' pixels."""

    landmarks: np.ndarray
    of_clip: str | None = None
    """The clip that the dance is from, and that stands beside the rollout; None where there is none."""
    danced: np.ndarray | None = None
    """(frames, 33, 4) landmarks as that clip dances it, in pixels of its frames."""


@dataclass
class Drift:
    """All that was measured of one rollout."""

    generated: Measured
    real: list[tuple[str, Measured]] = field(default_factory=list)
    depths: Mapping[int, int] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    def report(self) -> dict[str, Any]:
        """As JSON values: `metrics` and, from real clips, `reference`, per metric mean, tenths, slope and band."""
        result: dict[str, Any] = {
            "frames": self.generated.frames,
            "metrics": summary(self.generated),
            "by_depth": by_depth(self.generated, self.depths) if "psnr" in self.generated.curves else None,
            "curves": {name: _finite(curve) for name, curve in self.generated.curves.items()},
            **self.extra,
        }
        if self.real:
            joined = _joined([measured for _, measured in self.real])
            distance = joint_motion_distance([self.generated.landmarks], [m.landmarks for _, m in self.real])
            result["reference"] = {"clips": [clip for clip, _ in self.real], "metrics": summary(joined)}
            result["reference"]["frames"] = self.real[0][1].frames
            result["reference"]["curves"] = {name: _finite(curve) for name, curve in self.real[0][1].curves.items()}
            result["joint_motion_distance"] = distance.row() if distance else None
        return result


def _joined(clips: Sequence[Measured]) -> Measured:
    """The mean of several clips' curves, frame by frame, as far as the shortest goes."""
    length = min(clip.frames for clip in clips)
    curves = {}
    for name in (*METRICS, *(name for name in DANCE_METRICS if all(name in clip.curves for clip in clips))):
        rows = np.array([clip.curves[name][:length] for clip in clips])
        known = np.isfinite(rows)
        total = np.where(known, rows, 0).sum(0)
        curves[name] = [float(t / n) if n else math.nan for t, n in zip(total, known.sum(0))]
    return Measured(curves, clips[0].landmarks[:length])


def _finite(curve: Sequence[float]) -> list[float | None]:
    return [round(value, 5) if math.isfinite(value) else None for value in curve]


def catalog_metrics(report: Mapping[str, Any]) -> dict[str, Any]:
    """A report as the catalog keeps it: its curves have at most CURVE_POINTS points each."""
    kept = dict(report)
    kept["curves"] = {name: _pooled(curve) for name, curve in report["curves"].items()}
    if "reference" in report:
        curves = {name: _pooled(curve) for name, curve in report["reference"]["curves"].items()}
        kept["reference"] = {**report["reference"], "curves": curves}
    return kept


def _pooled(curve: Sequence[float | None]) -> list[float | None]:
    if len(curve) <= CURVE_POINTS:
        return list(curve)
    parts = np.array_split(np.array([math.nan if v is None else v for v in curve]), CURVE_POINTS)
    return [round(float(np.nanmean(part)), 5) if np.isfinite(part).any() else None for part in parts]


LEAST_REGION = 8
"""Pixels: drift is not measured on less than that a side."""


def real_clip(data: Path, clip_id: str, size: PictureSize) -> RealClip:
    """A clip of the data set as it is (v0). Raises DataError if there is none of that name, or nothing to measure."""
    samples = [sample for sample in read_samples(data) if sample.clip_id == clip_id]
    if not samples:
        raise DataError(
            f"The data set {data} has no stored clip {clip_id!r}: list them with "
            f'`longdance sql "SELECT DISTINCT clip_id FROM samples" --data {data}`.'
        )
    clip = _clip(data, samples[0], size)
    if not is_measurable(clip.region):
        raise DataError(
            f"Of clip {clip_id} no part shows the source's picture in every frame, so that nothing could be compared: "
            "choose another clip."
        )
    return clip


def _clip(data: Path, sample: Sample, size: PictureSize) -> RealClip:
    rate = frame_rate(data, sample.clip_id)
    return RealClip(sample.clip_id, *read_regions(data, sample, size), FPS if rate is None else rate)


def is_measurable(region: Rectangle | None) -> bool:
    """Whether a region is large enough to be measured."""
    return region is None or min(region[2] - region[0], region[3] - region[1]) >= LEAST_REGION


def reference_clips(data: Path, count: int, size: PictureSize, holdout: float) -> Iterator[RealClip]:
    """Up to `count` good clips, of held-out sources where there are any, each from a source of its own if possible.

    One of which no part shows the source's picture in every frame is passed over.
    """
    good = [sample for sample in read_samples(data) if sample.ok]
    held = holdout_sources([sample.source_id for sample in good], holdout)
    chosen: dict[str, Sample] = {}
    for sample in sorted(good, key=lambda s: (s.source_id not in held, s.key)):
        chosen.setdefault(sample.source_id, sample)
    clips = (_clip(data, sample, size) for sample in chosen.values())
    yield from islice((clip for clip in clips if is_measurable(clip.region)), count)


def measure_drift(
    frames: Callable[[], Iterable[np.ndarray]],
    finder: Finder,
    depths: Mapping[int, int],
    truth: RealClip | None,
    references: Iterable[RealClip],
    weights: Mapping[str, Path] | None = None,
    progress: Callable[[int], None] = lambda done: None,
    codec: Codec | None = None,
    region: Rectangle | None = None,
    fps: Fraction = FPS,
    dance: GivenDance | None = None,
) -> Drift:
    """Measure a rollout frame by frame, then real clips; `frames` gives the rollout's frames again at each call.

    codec: real clips are measured as it shows them, so that what it loses is not taken for drift.
    weights: TorchScript files for `fvd` and `lpips`. Raises MetricsError.
    region: the part of the rollout that is measured; what a clip fills beside its source's picture never is.
    fps: the rollout's frames a second.
    dance: what the rollout was to dance.
    """
    if truth is not None and truth.regions is not None:
        region = common(np.array([truth.region, region or truth.region]))
    measurer = Measurer(finder, region, float(fps))
    real_frames = iter(truth.frames_FHWC) if truth else iter(())
    for number, frame in enumerate(frames(), 1):
        measurer.add(frame, next(real_frames, None), None if dance is None else dance.landmarks[number - 1])
        progress(number)
    drift = Drift(measurer.result(), depths=depths, extra={"region": list(region)} if region else {})
    if dance is not None and dance.of_clip is not None and truth is None:
        drift.extra["dance_of"] = dance.of_clip
    clips = [truth] if truth else list(references)
    for clip in clips:
        real = Measurer(finder, clip.region if truth is None else region, float(clip.fps))
        shown = iter(clip.frames_FHWC) if codec is None else _as_shown(clip.frames_FHWC, codec)
        own = iter(dance.danced) if dance and dance.danced is not None and dance.of_clip == clip.clip_id else iter(())
        for frame in shown:
            real.add(frame, pose=next(own, None))
        drift.real.append((clip.clip_id, real.result()))
    _learned(drift, lambda: (cut_out(frame, region) for frame in frames()), truth, clips, weights or {}, region)
    return drift


def _as_shown(frames_FHWC: np.ndarray, codec: Codec) -> Iterator[np.ndarray]:
    """The frames encoded, stored and decoded as a rollout's are."""
    for start in range(0, len(frames_FHWC), 16):
        yield from codec.decode(codec.encode(frames_FHWC[start : start + 16]).half().float())


def _learned(
    drift: Drift,
    frames: Callable[[], Iterable[np.ndarray]],
    truth: RealClip | None,
    clips: Sequence[RealClip],
    weights: Mapping[str, Path],
    region: Rectangle | None,
) -> None:
    if "fvd" in weights:
        of = {clip.clip_id: clip.region if truth is None else region for clip in clips}
        real = (cut_out(frame, of[clip.clip_id]) for clip in clips for frame in clip.frames_FHWC)
        drift.extra["fvd"] = fvd([frames()], [real], weights["fvd"]).row()
    if "lpips" in weights and truth is not None:
        drift.generated.curves["lpips"] = lpips(
            frames(), (cut_out(frame, region) for frame in truth.frames_FHWC), weights["lpips"]
        )


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """The report as JSON beside the video."""
    write_json(path, report)

"""The one cheap pass over a source: decoded once at a proxy size, everything measured as the frames go by.

Shots, people, camera motion, blur, brightness, repeated frames. What it found is kept by content: the
same bytes with the same config are never decoded for analysis again.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import cv2
import numpy as np

from data_catalog.base.errors import RejectedError
from data_catalog.base.files import atomic
from pipeline.analysis.blur import perceptual_blur
from pipeline.analysis.camera import CameraTracker, background_mask
from pipeline.analysis.cuts import CutFinder
from pipeline.analysis.pose import JOINTS, PoseFinder, box
from pipeline.config import AnalysisConfig, LimitsConfig
from pipeline.video.ffmpeg import decode
from pipeline.video.filters import proxy_shape, sized, upright
from pipeline.video.packets import refuse_truncated
from pipeline.video.picture_format import FormatSpan, FormatWatch, PictureFormat
from pipeline.video.probe import Probe

VERSION = 3  # raise it when the same config would give other numbers
THUMB = 32
PAIR_S = 1 / 34  # camera motion is measured from a frame to the next of 20 to 33 frames per second


@dataclass(frozen=True)
class Analysis:
    """Arrays of one source. Pixels are those of the picture as displayed, at its frame's full size; frames count from
    0."""

    pts: np.ndarray  # (frames,) float64 seconds, strictly ascending
    change: np.ndarray  # (frames,) float32: largest block change since the frame before, 8-bit levels
    cuts: np.ndarray  # (cuts,) int64: frames that begin a new shot
    pose_frames: np.ndarray  # (detections,) int64
    people_end: np.ndarray  # (detections,) int64: detection d's people are rows people_end[d-1]:people_end[d]
    landmarks: np.ndarray  # (people, 33, 4) float32: x, y, z, visibility
    blur: np.ndarray  # (detections,) float32, see `perceptual_blur`
    brightness: np.ndarray  # (detections,) float32: mean luma, 0 to 1
    thumbs: np.ndarray  # (detections, 32, 32) uint8 luma
    camera_frames: np.ndarray  # (steps, 2) int64: from, to
    camera: np.ndarray  # (steps, 2, 3) float64: background of `from` to `to`; NaN where unknown
    sizes: np.ndarray  # (spans, 3) int64: first frame, height, width; empty where all frames have the probe's

    def people(self, detection: int) -> np.ndarray:
        """(n, 33, 4) landmarks of everyone found by a detection."""
        start = self.people_end[detection - 1] if detection else 0
        return np.asarray(self.landmarks[start : self.people_end[detection]])

    def shape_at(self, frame: int, first: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of the picture at a frame; `first` is that of the first one."""
        if not len(self.sizes):
            return first
        _, height, width = self.sizes[np.searchsorted(self.sizes[:, 0], frame, "right") - 1]
        return int(height), int(width)

    def probe_at(self, frame: int, found: Probe) -> Probe:
        """The source at a frame; `found` is what it is at the first one."""
        height, width = self.shape_at(frame, (found.height, found.width))
        return replace(found, height=height, width=width, changes=len(self.sizes) > 0)


def analyse(
    descriptor: int, probe: Probe, finder: PoseFinder, config: AnalysisConfig, limits: LimitsConfig
) -> Analysis:
    """Decode once and measure; where the picture's size changes, once more for each size.

    Raises:
        RejectedError: damaged, truncated, bad_timestamps, still_picture, size_changes, timeout.
    """
    watch = FormatWatch()
    whole = FormatSpan(0, sys.maxsize, PictureFormat(probe.width, probe.height, probe.pix_fmt))
    (analysis,) = _measure(descriptor, probe, [whole], finder, config, limits, watch)
    if watch.changed:
        analysis = _measure_each_size(descriptor, probe, finder, config, limits, watch)
    check_times(analysis.pts)
    refuse_truncated(descriptor, analysis.pts, probe.duration_s, limits)
    return analysis


def _measure_each_size(
    descriptor: int,
    probe: Probe,
    finder: PoseFinder,
    config: AnalysisConfig,
    limits: LimitsConfig,
    watch: FormatWatch,
) -> Analysis:
    """Decode once for each size that was seen, and join what was measured in its frames."""
    spans = watch.spans(probe.display_matrix)
    parts: dict[FormatSpan, Analysis] = {}
    for height, width in sorted({span.size for span in spans}):
        own = [span for span in spans if span.size == (height, width)]
        of_size = replace(probe, height=height, width=width, changes=True)
        again = FormatWatch()
        parts |= dict(zip(own, _measure(descriptor, of_size, own, finder, config, limits, again)))
        if again.sizes() != watch.sizes() or again.frames != watch.frames:
            raise RejectedError("size_changes", "The picture's size changes in another way each time it is read.")
    return _joined(spans, [parts[span] for span in spans])


def _measure(
    descriptor: int,
    probe: Probe,
    spans: Sequence[FormatSpan],
    finder: PoseFinder,
    config: AnalysisConfig,
    limits: LimitsConfig,
    watch: FormatWatch,
) -> list[Analysis]:
    """Decode once and measure each span, whose size is the probe's, as a source of its own."""
    height, width = proxy_shape(probe, config.proxy_px)
    stream = upright(descriptor, probe, limits, {"skip_loop_filter": "all"}, watched=True)
    measured = [_Measuring(finder, config, (height, width)) for _ in spans]
    with decode(sized(stream, probe, width, height, "area"), descriptor, (height, width), limits, watch) as frames:
        for number, (pts, frame) in enumerate(frames):
            if watch.changed and not probe.changes:  # it is decoded again
                continue
            for span, part in zip(spans, measured):
                if span.start <= number < span.end:
                    part.add(pts, frame)
    return [part.result(probe.width / width, probe.height / height) for part in measured]


def _joined(spans: Sequence[FormatSpan], parts: Sequence[Analysis]) -> Analysis:
    """One analysis of spans that follow each other, with a cut between them."""
    starts = [span.start for span in spans]
    people = np.cumsum([0] + [len(part.landmarks) for part in parts])
    shifted = {
        "cuts": [np.append(start, part.cuts + start) for start, part in zip(starts, parts)],
        "pose_frames": [part.pose_frames + start for start, part in zip(starts, parts)],
        "camera_frames": [part.camera_frames + start for start, part in zip(starts, parts)],
        "people_end": [part.people_end + before for before, part in zip(people, parts)],
        "sizes": [np.array([[s.start, *s.size]]) for s in spans],
    }
    names = [field.name for field in fields(Analysis)]
    joined = {n: np.concatenate(shifted.get(n) or [getattr(part, n) for part in parts]) for n in names}
    return Analysis(**{**joined, "cuts": joined["cuts"][1:]})  # the first frame of all begins no shot


def check_times(pts: np.ndarray) -> None:
    """Refuse what cannot be cut by timestamps.

    Raises:
        RejectedError: still_picture, bad_timestamps.
    """
    if len(pts) < 2:
        raise RejectedError("still_picture", f"{len(pts)} frame was decoded; a video was expected.")
    steps = np.diff(pts)
    if (steps <= 0).any():
        count = int((steps <= 0).sum())
        raise RejectedError(
            "bad_timestamps", f"{count} frames do not come after the one before: its clock stands still or jumps."
        )


class _Measuring:
    """The state of the pass: lists that grow by numbers, and at most a few pictures."""

    def __init__(self, finder: PoseFinder, config: AnalysisConfig, shape: tuple[int, int]) -> None:
        self.finder, self.config, self.shape = finder, config, shape
        self.cuts = CutFinder(config)
        self.pts: list[float] = []
        self.change: list[float] = []
        self.small: np.ndarray | None = None
        self.detections: list[tuple[int, np.ndarray, float, float, np.ndarray]] = []
        self.pair_open: tuple[int, np.ndarray] | None = None
        self.waiting: list[tuple[int, np.ndarray, int, np.ndarray]] = []
        self.steps: list[tuple[int, int, np.ndarray]] = []
        self.next_pose = self.next_camera = -np.inf

    def add(self, pts: float, frame: np.ndarray) -> None:
        luma = frame[: self.shape[0]]
        number = len(self.pts)
        self.pts.append(pts)
        self.cuts.add(frame)
        self._compare(luma)
        self._pair(number, pts, luma)
        if pts >= self.next_pose:
            self.next_pose = _due(self.next_pose, pts, self.config.pose_hz)
            self._detect(number, frame, luma)
            self._measure_camera()

    def _pair(self, number: int, pts: float, luma: np.ndarray) -> None:
        """Keep pictures for the camera in pairs about one clip frame apart, `camera_hz` pairs a second."""
        kept = None
        if self.pair_open is not None and pts >= self.pts[self.pair_open[0]] + PAIR_S:
            kept = luma.copy()
            self.waiting.append((*self.pair_open, number, kept))
            self.pair_open = None
        if self.pair_open is None and pts >= self.next_camera:
            self.next_camera = _due(self.next_camera, pts, self.config.camera_hz)
            self.pair_open = (number, luma.copy() if kept is None else kept)

    def _compare(self, luma: np.ndarray) -> None:
        small = cv2.resize(luma, (64, 64), interpolation=cv2.INTER_AREA)
        self.change.append(0.0 if self.small is None else float(cv2.absdiff(small, self.small).max()))
        self.small = small

    def _detect(self, number: int, frame: np.ndarray, luma: np.ndarray) -> None:
        people = self.finder.find(cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_I420))
        region = _largest_box(people, luma)
        thumb = cv2.resize(luma, (THUMB, THUMB), interpolation=cv2.INTER_AREA)
        brightness = float(np.clip((luma.mean() - 16) / 219, 0, 1))  # limited range, ITU-R BT.709
        self.detections.append((number, people, perceptual_blur(region), brightness, thumb))

    def _measure_camera(self) -> None:
        """Steps between the waiting pairs, with everyone seen by the last two detections masked out."""
        recent = [box(people) for _, people, *_ in self.detections[-2:] if len(people)]
        boxes = np.concatenate(recent) if recent else np.empty((0, 4))
        tracker = CameraTracker(background_mask(self.shape, boxes))
        for a, before, b, after in self.waiting:
            self.steps.append((a, b, tracker.step(before, after)))
        self.waiting.clear()

    def result(self, scale_x: float, scale_y: float) -> Analysis:
        self._measure_camera()
        scale = np.array([scale_x, scale_y, scale_x, 1.0])
        counts = [len(people) for _, people, *_ in self.detections]
        landmarks = np.concatenate([np.empty((0, JOINTS, 4)), *[people for _, people, *_ in self.detections]])
        to_source = np.array([[1, scale_x / scale_y, scale_x], [scale_y / scale_x, 1, scale_y]])
        return Analysis(
            pts=np.array(self.pts),
            change=np.array(self.change, np.float32),
            cuts=np.array(self.cuts.cuts(), np.int64),
            pose_frames=np.array([number for number, *_ in self.detections], np.int64),
            people_end=np.cumsum(counts, dtype=np.int64),
            landmarks=(landmarks * scale).astype(np.float32),
            blur=np.array([d[2] for d in self.detections], np.float32),
            brightness=np.array([d[3] for d in self.detections], np.float32),
            thumbs=np.array([d[4] for d in self.detections], np.uint8).reshape(-1, THUMB, THUMB),
            camera_frames=np.array([s[:2] for s in self.steps], np.int64).reshape(-1, 2),
            camera=np.array([s[2] for s in self.steps]).reshape(-1, 2, 3) * to_source,
            sizes=np.empty((0, 3), np.int64),
        )


def _due(before: float, now: float, rate: float) -> float:
    """The time of the next sample: on a steady grid, without making up for what a gap has swallowed."""
    return max(before + 1 / rate, now + 0.5 / rate) if np.isfinite(before) else now + 1 / rate - 1e-6


def _largest_box(people: np.ndarray, luma: np.ndarray) -> np.ndarray:
    """The picture around the largest person, or all of it where nobody is."""
    if not len(people):
        return luma
    x0, y0, x1, y1 = max(box(people), key=lambda b: float((b[2:] - b[:2]).prod())).astype(int)
    part = luma[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    return part if min(part.shape) >= 24 else luma


def save(analysis: Analysis, path: Path) -> None:
    """Write the arrays as one npz (a zip of npy files, no pickle), atomically."""
    with atomic(path) as temp, temp.open("wb") as file:
        np.savez(file, **{field.name: getattr(analysis, field.name) for field in fields(Analysis)})


def load(path: Path) -> Analysis:
    """The arrays that `save` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return Analysis(**{field.name: arrays[field.name] for field in fields(Analysis)})


def detections_of_shot(analysis: Analysis, start: int, end: int) -> Iterator[int]:
    """Detections on frames in [start, end)."""
    low, high = np.searchsorted(analysis.pose_frames, [start, end])
    yield from range(int(low), int(high))

"""The one cheap pass over a source: decoded once at a proxy size, everything measured as the frames go by.

Shots, people, camera motion, bars, overlays, blur, brightness, repeated frames. What it found is kept by content: the
same bytes with the same config are never decoded for analysis again.
"""

import sys
from collections.abc import Sequence
from dataclasses import fields, replace

import cv2
import numpy as np

from data_catalog.base.errors import RejectedError
from pipeline.analysis import picture_places as places
from pipeline.analysis.arrays import Analysis
from pipeline.analysis.blur import largest_box, perceptual_blur
from pipeline.analysis.camera import CameraTracker, PicturePairs, background_mask, next_due
from pipeline.analysis.passages import PassageReader
from pipeline.analysis.pose import JOINTS, PoseFinder, box
from pipeline.analysis.shot_ends import ShotEnds
from pipeline.config import AnalysisConfig, LimitsConfig
from pipeline.video.ffmpeg import decode
from pipeline.video.filters import proxy_shape, sized, upright
from pipeline.video.packets import refuse_truncated
from pipeline.video.picture_format import FormatSpan, FormatWatch, PictureFormat
from pipeline.video.pixel_shapes import refuse_changing_pixels
from pipeline.video.probe import Probe

VERSION = 6  # raise it when the same config would give other numbers


def analyse(
    descriptor: int, probe: Probe, finder: PoseFinder, config: AnalysisConfig, limits: LimitsConfig
) -> Analysis:
    """Decode once and measure; where the picture's size changes, once more for each size.

    Raises:
        RejectedError: damaged, truncated, bad_timestamps, still_picture, size_changes, timeout.
    """
    watch = FormatWatch()
    whole = FormatSpan(0, sys.maxsize, PictureFormat(probe.width, probe.height, probe.pix_fmt))
    (analysis,) = _measure_picture(descriptor, probe, [whole], finder, config, limits, watch)
    if watch.changed:
        analysis = _measure_each_size(descriptor, probe, finder, config, limits, watch)
    check_times(analysis.pts)
    refuse_truncated(descriptor, analysis.pts, probe.duration_s, limits)
    refuse_changing_pixels(descriptor, probe.codec, probe.stream, limits)
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
        parts |= dict(zip(own, _measure_picture(descriptor, of_size, own, finder, config, limits, again)))
        if again.sizes() != watch.sizes() or again.frames != watch.frames:
            raise RejectedError("size_changes", "The picture's size changes in another way each time it is read.")
    return _joined(spans, [parts[span] for span in spans])


def _measure_picture(
    descriptor: int,
    probe: Probe,
    spans: Sequence[FormatSpan],
    finder: PoseFinder,
    config: AnalysisConfig,
    limits: LimitsConfig,
    watch: FormatWatch,
) -> list[Analysis]:
    """`_measure`, and once more between wide bars that all shots have: they made the dancer small."""
    parts = _measure(descriptor, probe, spans, finder, config, limits, watch)
    common = places.common_bars([part.bars for part in parts], (probe.height, probe.width))
    if not any(common) or (watch.changed and not probe.changes):
        return parts
    left, above, right, below = common
    within = replace(probe, width=probe.width - left - right, height=probe.height - above - below, bars=common)
    parts = _measure(descriptor, within, spans, finder, config, limits, FormatWatch())
    rows = [part.bars if len(part.bars) else np.zeros((1, 5), np.int64) for part in parts]
    return [replace(part, bars=bars + np.array([0, *common])) for part, bars in zip(parts, rows, strict=True)]


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
    return [part.result(probe.height, probe.width) for part in measured]


def _joined(spans: Sequence[FormatSpan], parts: Sequence[Analysis]) -> Analysis:
    """One analysis of spans that follow each other, with a cut between them."""
    starts = [span.start for span in spans]
    people = np.cumsum([0] + [len(part.landmarks) for part in parts])
    boxes = np.cumsum([0] + [len(part.overlays) for part in parts])
    shifted = {
        "cuts": [np.append(start, part.cuts + start) for start, part in zip(starts, parts)],
        "transitions": [part.transitions + start for start, part in zip(starts, parts)],
        "pose_frames": [part.pose_frames + start for start, part in zip(starts, parts)],
        "camera_frames": [part.camera_frames + start for start, part in zip(starts, parts)],
        "people_end": [part.people_end + before for before, part in zip(people, parts)],
        "sizes": [np.array([[s.start, *s.size]]) for s in spans],
        "look_frames": [part.look_frames + start for start, part in zip(starts, parts)],
        "overlays_end": [part.overlays_end + before for before, part in zip(boxes, parts)],
        "bars": places.bars_from(starts, [part.bars for part in parts]),
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
        self.ends = ShotEnds(finder, config, shape)
        self.pts: list[float] = []
        self.change: list[float] = []
        self.small: np.ndarray | None = None
        self.detections: list[tuple[int, np.ndarray, float, float, np.ndarray]] = []
        self.pairs = PicturePairs(config.camera_hz)
        self.passages = PassageReader(shape, config.look_s)
        self.next_pose = -np.inf

    def add(self, pts: float, frame: np.ndarray) -> None:
        luma = frame[: self.shape[0]]
        number = len(self.pts)
        self.pts.append(pts)
        self.ends.add(number, pts, frame)
        self._compare(luma)
        self.pairs.add(number, pts, luma)
        if pts >= self.next_pose:
            self.next_pose = next_due(self.next_pose, pts, self.config.pose_hz)
            self._detect(number, frame, luma)
            self._follow_camera()
            self.ends.look(self.detections[-1][1])
            self.passages.add(number, pts, frame, self.ends.known())

    def _compare(self, luma: np.ndarray) -> None:
        small = cv2.resize(luma, (64, 64), interpolation=cv2.INTER_AREA)
        self.change.append(0.0 if self.small is None else float(cv2.absdiff(small, self.small).max()))
        self.small = small

    def _detect(self, number: int, frame: np.ndarray, luma: np.ndarray) -> None:
        people = self.finder.find(cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_I420))
        region = largest_box(people, luma)
        thumb = cv2.resize(luma, (places.THUMB, places.THUMB), interpolation=cv2.INTER_AREA)
        self.detections.append((number, people, perceptual_blur(region), float(places.brightness(luma)), thumb))

    def _follow_camera(self) -> None:
        """Tracks between the waiting pairs, with everyone seen by the last two detections masked out."""
        recent = [box(people) for _, people, *_ in self.detections[-2:] if len(people)]
        boxes = np.concatenate(recent) if recent else np.empty((0, 4))
        tracker = CameraTracker(background_mask(self.shape, boxes))
        for a, before, b, after in self.pairs.taken():
            track = (a, b, *tracker.follow(before, after))
            self.passages.follow(track)
            self.ends.follow(track)

    def result(self, height: int, width: int) -> Analysis:
        """What was measured, in pixels of a source's picture of this size."""
        self._follow_camera()
        passages, (cuts, transitions) = self.passages.finish(), self.ends.result()
        scale_x, scale_y = width / self.shape[1], height / self.shape[0]
        bars = places.bars_of_shots(passages, cuts, self.shape, (height, width))
        numbers = np.array([number for number, *_ in self.detections], np.int64)
        counts = [len(people) for _, people, *_ in self.detections]
        landmarks = np.concatenate([np.empty((0, JOINTS, 4)), *[people for _, people, *_ in self.detections]])
        landmarks *= [scale_x, scale_y, scale_x, 1.0]
        landmarks[..., :2] -= np.repeat(places.corners_at(bars, numbers), counts, axis=0)[:, None]
        steps = [step for passage in passages for step in passage.steps]
        pairs = np.array([step[:2] for step in steps], np.int64).reshape(-1, 2)
        to_source = np.array([[1, scale_x / scale_y, scale_x], [scale_y / scale_x, 1, scale_y]])
        camera = np.array([step[2] for step in steps]).reshape(-1, 2, 3) * to_source
        thumbs = np.array([d[4] for d in self.detections], np.uint8).reshape(-1, places.THUMB, places.THUMB)
        thumbs, barred = places.thumbs_within(thumbs, numbers, bars, (height, width))
        brightness = np.array([d[3] for d in self.detections], np.float32)
        look_frames, overlays_end, overlays = places.looks_within(passages, bars, (scale_x, scale_y))
        return Analysis(
            pts=np.array(self.pts),
            change=np.array(self.change, np.float32),
            cuts=cuts,
            transitions=transitions,
            pose_frames=numbers,
            people_end=np.cumsum(counts, dtype=np.int64),
            landmarks=landmarks.astype(np.float32),
            blur=np.array([d[2] for d in self.detections], np.float32),
            brightness=np.where(barred, places.brightness(thumbs), brightness).astype(np.float32),
            thumbs=thumbs,
            camera_frames=pairs,
            camera=places.from_corner(camera, places.corners_at(bars, pairs[:, 0])),
            sizes=np.empty((0, 3), np.int64),
            bars=bars,
            look_frames=look_frames,
            overlays_end=overlays_end,
            overlays=overlays,
        )

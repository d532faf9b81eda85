"""The dancer in every frame of a clip, landmarks and mask: looked for where the analysis, now and then, saw her go.

The analysis decides which clips there are; this pass is for those that are stored, so it costs nothing for the others.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import median_filter

from pipeline.analysis.hands.hand_finder import HANDS, POINTS, HandFinder
from pipeline.analysis.pose import PoseFinder, body_length, box
from pipeline.analysis.tracking import GATE, cost
from pipeline.clips.steadying.steady import Steady, moved
from pipeline.config import LimitsConfig
from pipeline.shards.encode_clip import selection, span
from pipeline.shards.masks import FrameMask
from pipeline.video.ffmpeg import decode
from pipeline.video.filters import sized, upright
from pipeline.video.probe import Probe

VERSION = 2  # raise it when the same frames would give other landmarks
AROUND = 0.45  # body lengths around the joints that are expected: what a quick arm reaches within half a sample
OUTLIER = 0.025  # body lengths from the median of five frames: no joint moves so and is back
WINDOW = 5  # frames of that median
SMOOTH_HZ = 5.0  # where smoothing halves a movement: a dancer's hands are slower, the detector's jitter is not


@dataclass(frozen=True)
class FramePoses:
    """Landmarks (n, 33, 4) at `frames` (n,), ascending, in which of them she was found, and masks.

    Landmarks are in source pixels, or in those of the steadied picture; masks and hands in the source's.

    masks: None where she was not found; empty where none were asked for.
    hands: (n, 2, 21, 4), as `HandFinder.find` gives them; None where none were asked for.
    """

    frames: np.ndarray
    landmarks: np.ndarray
    found: np.ndarray
    masks: list[FrameMask | None]
    hands: np.ndarray | None = None

    def at(self, frames: np.ndarray) -> np.ndarray:
        """(m, 33, 4) at frames that are among these: a frame has the same landmarks in every sample."""
        return np.asarray(self.landmarks[np.searchsorted(self.frames, frames)])

    def masks_at(self, frames: np.ndarray) -> list[FrameMask | None]:
        """Of each of these frames; empty where none were asked for."""
        return [self.masks[place] for place in np.searchsorted(self.frames, frames)] if self.masks else []

    def hands_at(self, frames: np.ndarray) -> np.ndarray | None:
        """(m, 2, 21, 4) of these frames; None where none were asked for."""
        return None if self.hands is None else np.asarray(self.hands[np.searchsorted(self.frames, frames)])

    def found_share(self, frames: np.ndarray) -> float:
        """In what share of these frames she was found; in the others the landmarks are those that were expected."""
        return float(self.found[np.searchsorted(self.frames, frames)].mean())


def with_neighbours(frames: np.ndarray, shot: tuple[int, int]) -> np.ndarray:
    """The frames and as many before and after, within the shot, as the first and last are smoothed with."""
    step = max(1, int(np.median(np.diff(frames))))
    around = step * np.arange(1, WINDOW // 2 + 2)
    wanted = np.concatenate([frames[0] - around[::-1], frames, frames[-1] + around])
    return np.asarray(wanted[(wanted >= shot[0]) & (wanted < shot[1])])


def find_poses(
    descriptor: int,
    probe: Probe,
    pts: np.ndarray,
    frames: np.ndarray,
    expected: np.ndarray,
    scale: float,
    finder: PoseFinder,
    limits: LimitsConfig,
    with_masks: bool = False,
    steady: Steady | None = None,
    hands: HandFinder | None = None,
) -> FramePoses:
    """Decode some frames of one shot once and find the dancer in each.

    Args:
        probe: the source at these frames.
        pts: (source frames,) seconds.
        frames: (n,) ascending source frames.
        expected: (n, 33, 4) landmarks in source pixels, between the analysis's detections.
        scale: at which the picture is looked at, at most 1.
        hands: what finds hands, if they are wanted.
        steady: smooth the landmarks in this picture, since a hand that holds a camera is quicker than a dancer's.

    Raises:
        RejectedError: the source does not decode any more.
    """
    height, width = (max(2, round(side * scale / 2) * 2) for side in (probe.height, probe.width))
    ratio = np.array([width / probe.width, height / probe.height, width / probe.width, 1.0])
    first = int(frames[0]) if probe.seekable else 0
    picture = upright(descriptor, probe, limits, span(pts, first, int(frames[-1])), counted=True)
    picture = sized(picture.filter("select", selection(frames - first)), probe, width, height, "area")
    landmarks, found = expected.copy(), np.zeros(len(frames), bool)
    masks: list[FrameMask | None] = [None] * len(frames) if with_masks else []
    both = None if hands is None else np.zeros((len(frames), HANDS, POINTS, 4))
    with decode(picture, descriptor, (height, width), limits) as pictures:
        for number, seen in enumerate(_looked_for(pictures, expected * ratio, finder, with_masks, hands)):
            if seen is not None:
                landmarks[number], found[number] = seen.landmarks / ratio, True
                if both is not None:
                    both[number] = seen.hands / ratio
                if with_masks:
                    masks[number] = FrameMask(seen.mask, seen.corner / ratio[:2], 1 / ratio[:2])
    if steady is not None:
        landmarks = moved(landmarks, steady.at(frames))
    return FramePoses(frames, smoothed(without_outliers(landmarks), pts[frames]), found, masks, both)


@dataclass(frozen=True)
class _Seen:
    """Her in one picture: (33, 4) landmarks and (2, 21, 4) hands in its pixels, and her mask in the part that was
    looked at."""

    landmarks: np.ndarray
    hands: np.ndarray | None
    mask: np.ndarray
    corner: np.ndarray


def _looked_for(
    pictures: Iterator[tuple[float, np.ndarray]],
    expected: np.ndarray,
    finder: PoseFinder,
    with_masks: bool,
    hands: HandFinder | None,
) -> Iterator[_Seen | None]:
    """Of every picture the person who is nearest to the expected one, or None where nobody could be her."""
    for (_, frame), near in zip(pictures, expected):
        rgb = cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_I420)
        left, top, right, bottom = _region(near, rgb.shape[:2])
        if right - left < 2 or bottom - top < 2:
            yield None
            continue
        part = np.ascontiguousarray(rgb[top:bottom, left:right])
        found, masks = finder.find_with_masks(part) if with_masks else (finder.find(part), np.empty((0, 0, 0), bool))
        people, corner = found.astype(np.float64), np.array([left, top])
        people[..., :2] += corner
        costs = [cost(near, person, 1) for person in people]
        best = int(np.argmin(costs)) if costs else -1
        if not costs or costs[best] > GATE:
            yield None
        else:
            both = None if hands is None else hands.find(rgb, people[best])
            yield _Seen(people[best], both, masks[best] if with_masks else masks, corner)


def _region(near: np.ndarray, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """The part of the picture in which she must be: left, top, right, bottom."""
    around = AROUND * float(body_length(near))
    x0, y0, x1, y1 = box(near)
    height, width = shape
    left, right = np.clip([math.floor(x0 - around), math.ceil(x1 + around)], 0, width)
    top, bottom = np.clip([math.floor(y0 - around), math.ceil(y1 + around)], 0, height)
    return int(left), int(top), int(right), int(bottom)


def without_outliers(landmarks: np.ndarray) -> np.ndarray:
    """(n, 33, 4) landmarks, a joint that leaps away for a frame or two put where it is in the frames around."""
    middle = median_filter(landmarks, size=(WINDOW, 1, 1), mode="mirror")  # an edge counts once
    limit = OUTLIER * np.median(body_length(landmarks))
    leaps = np.linalg.norm(landmarks[..., :2] - middle[..., :2], axis=-1) > limit
    return np.where(leaps[..., None], middle, landmarks)


def smoothed(landmarks: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(n, 33, 4) landmarks at (n,) seconds, each the mean of those around it by a Gaussian over time.

    Unlike a digital filter it needs no even steps. Its response is exp(-2 (pi s f)^2), a half at `SMOOTH_HZ`.
    """
    spread = math.sqrt(math.log(2) / 2) / (math.pi * SMOOTH_HZ)
    weights = np.exp(-0.5 * ((at[:, None] - at) / spread) ** 2)
    return np.asarray(np.tensordot(weights / weights.sum(1, keepdims=True), landmarks, 1))

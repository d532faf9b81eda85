"""Passages: some seconds of one shot, read together for what single frames cannot tell.

Where the picture lies between bars, what is burnt in, and how the camera moves behind that: corners are followed as
the frames go by, and the camera is fitted to them once it is known which of them belong to the scene.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from pipeline.analysis.camera import background_step, decompose
from pipeline.analysis.editing.bars import Rect, picture_proper
from pipeline.analysis.editing.overlays import standing, standing_marks
from pipeline.analysis.editing.text_finder import text_finder

SAMPLE_S = 1.0
SAMPLES, CARRIED = 8, 4  # in a passage; the last one of a shot has at least as many as are carried over
BESIDE = 3  # pixels beside an overlay or a bar in which a corner is none of the scene's
MOVES = 0.7  # pixels a step at the picture's corners: before a slower camera the scene's own corners stay, too

CornerTrack = tuple[int, int, np.ndarray, np.ndarray]  # frames from, to; (n, 2) places of corners in each


@dataclass(frozen=True)
class Passage:
    """What was found, in pixels of the analysed picture; it begins at the frame `start`."""

    start: int
    picture: Rect
    looks: list[tuple[int, np.ndarray]]  # frame, (n, 4) boxes of what is burnt in
    steps: list[tuple[int, int, np.ndarray]]  # frame from, frame to, (2, 3) similarity


@dataclass
class _Sample:
    number: int
    frame: np.ndarray
    text: np.ndarray | None = None


@dataclass
class PassageReader:
    """Takes frames and tracks of a source in order; `finish` gives its passages."""

    shape: tuple[int, int]
    look_s: float
    passages: list[Passage] = field(default_factory=list)
    _samples: list[_Sample] = field(default_factory=list)
    _tracks: list[CornerTrack] = field(default_factory=list)
    _looking: _Sample | None = None
    _next_sample: float = -np.inf
    _next_look: float = -np.inf
    _cuts: int = 0

    def follow(self, track: CornerTrack) -> None:
        """Take corners that were followed from a frame to a later one."""
        self._tracks.append(track)

    def add(self, number: int, pts: float, frame_i420: np.ndarray, cuts: list[int]) -> None:
        """Take one of some frames a second, with the cuts that are known by now."""
        for cut in cuts[self._cuts :]:
            self._close(cut)
            self._next_sample = self._next_look = -np.inf
        self._cuts = len(cuts)
        self._look_again(frame_i420)
        if pts < self._next_sample:
            return
        self._next_sample = pts + SAMPLE_S
        self._samples.append(_Sample(number, frame_i420.copy()))
        if pts >= self._next_look:
            self._next_look, self._looking = pts + self.look_s, self._samples[-1]
        if len(self._samples) == SAMPLES + CARRIED:
            self._close(self._samples[SAMPLES].number)

    def _look_again(self, frame_i420: np.ndarray) -> None:
        """The text of the sample that was looked at last, as far as this later frame shows it, too."""
        if self._looking is None:
            return
        sample, self._looking = self._looking, None
        picture = cv2.cvtColor(sample.frame, cv2.COLOR_YUV2BGR_I420)
        boxes = text_finder().find(picture)
        boxes = boxes[standing(boxes, sample.frame[: self.shape[0]], frame_i420[: self.shape[0]])]
        sample.text = boxes[text_finder().legible(picture, boxes)]

    def _close(self, end: int) -> None:
        """Read what lies before a frame."""
        samples = [sample for sample in self._samples if sample.number < end]
        tracks = [track for track in self._tracks if track[0] < end]
        self._samples, self._tracks = self._samples[len(samples) :], self._tracks[len(tracks) :]
        if self._looking in samples:
            self._looking = None
        if samples or tracks:
            looks = [(sample.number, sample.text) for sample in samples if sample.text is not None]
            lumas = np.array([sample.frame[: self.shape[0]] for sample in samples], np.uint8)
            start = min(sample.number for sample in samples) if samples else tracks[0][0]
            self.passages.append(read_passage(start, lumas.reshape(-1, *self.shape), looks, tracks))

    def finish(self) -> list[Passage]:
        """All passages; there is no more to come."""
        self._close(np.iinfo(np.int64).max)
        return self.passages


def read_passage(
    start: int, lumas: np.ndarray, looks: list[tuple[int, np.ndarray]], tracks: list[CornerTrack]
) -> Passage:
    """Find the picture, the overlays and the camera.

    Args:
        lumas: (samples, height, width) uint8.
        looks: frames and boxes of the text in them.
        tracks: of corners in the whole picture, overlays and bars among it.
    """
    shape = (lumas.shape[1], lumas.shape[2])
    picture = picture_proper(lumas) if len(lumas) else Rect(0, 0, shape[1], shape[0])
    boxes = np.concatenate([np.empty((0, 4), np.float32), *[text for _, text in looks]])
    scene = scene_mask(shape, picture, boxes)
    steps = _steps(tracks, scene)
    marks = _marks(lumas, picture) if _moves(steps, shape) else np.empty((0, 4), np.float32)
    if len(marks):
        steps = _steps(tracks, scene & scene_mask(shape, picture, marks))
        looks = [(number, np.concatenate([text, marks])) for number, text in looks or [(start, marks[:0])]]
    return Passage(start, picture, looks, steps)


def scene_mask(shape: tuple[int, int], picture: Rect, boxes: np.ndarray) -> np.ndarray:
    """(height, width) bool: the picture without bars, without boxes, and without what lies right beside them."""
    inside = np.zeros(shape, bool)
    x0, y0, x1, y1 = (
        side if side in (0, edge) else side + BESIDE * inward
        for side, edge, inward in zip(picture, (0, 0, shape[1], shape[0]), (1, 1, -1, -1), strict=True)
    )
    inside[y0:y1, x0:x1] = True
    for left, top, right, bottom in boxes.round().astype(int):
        inside[max(0, top - BESIDE) : bottom + BESIDE, max(0, left - BESIDE) : right + BESIDE] = False
    return inside


def _steps(tracks: list[CornerTrack], scene: np.ndarray) -> list[tuple[int, int, np.ndarray]]:
    """The camera's steps by the corners that begin in the scene."""
    steps = []
    limit = np.array(scene.shape[::-1]) - 1
    for before, after, corners, there in tracks:
        x, y = np.clip(corners.round().astype(int), 0, limit).reshape(-1, 2).T
        kept = scene[y, x]
        steps.append((before, after, background_step(corners[kept], there[kept], scene.shape)))
    return steps


def _moves(steps: list[tuple[int, int, np.ndarray]], shape: tuple[int, int]) -> bool:
    """Whether the camera moves, usually."""
    affines = np.array([affine for _, _, affine in steps if np.isfinite(affine).all()]).reshape(-1, 2, 3)
    if not len(affines):
        return False
    corners = [np.array([x, y], float) for x in (0, shape[1]) for y in (0, shape[0])]
    lengths = [np.linalg.norm(decompose(affines, corner)[0], axis=1) for corner in corners]
    return bool(np.median(np.mean(lengths, axis=0)) >= MOVES)


def _marks(lumas: np.ndarray, picture: Rect) -> np.ndarray:
    """(n, 4) boxes of what stays in the picture while the camera moves."""
    if len(lumas) < CARRIED:
        return np.empty((0, 4), np.float32)
    inside = np.ascontiguousarray(lumas[:, picture.y0 : picture.y1, picture.x0 : picture.x1])
    return standing_marks(inside) + np.array([picture.x0, picture.y0] * 2, np.float32)

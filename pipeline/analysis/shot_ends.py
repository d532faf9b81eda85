"""Where shots end, as the frames go by: hard cuts, jump cuts of the dancer, dissolves and wipes.

Cuts are told from the whole picture, jumps and wipes before one wall from what the dancer's motion does not explain,
transitions to another wall from the wall.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.analysis.camera import PAIR_S, background_mask, background_step
from pipeline.analysis.cuts import SAME, CutFinder
from pipeline.analysis.editing.clothes import ClothesWatch, colours_of
from pipeline.analysis.editing.detail import light
from pipeline.analysis.editing.flashes import changes
from pipeline.analysis.editing.jumps import NEAR, WORTH, DancerJoints, is_jump, leaps
from pipeline.analysis.editing.scenes import SceneWatch
from pipeline.analysis.editing.surprise import BINS, WAYS, Region, SurpriseMeter, region_of
from pipeline.analysis.editing.wipes import LONGEST_S, sweeps
from pipeline.analysis.passages import CornerTrack
from pipeline.analysis.pose import MAIN, PoseFinder, body_length, box, pelvis
from pipeline.config import AnalysisConfig

SWEEP_S = 1.0  # between two searches for wipes
KEPT_S = 2 * LONGEST_S + SWEEP_S  # of surprise in which they are sought


@dataclass
class _Step:
    """A frame, and what is unexplained in it by the one before."""

    number: int
    pts: float
    frame: np.ndarray | None  # until it is judged
    light: np.ndarray
    rows: np.ndarray | None = None
    region: Region = (0, 0, 0, 0)


class ShotEnds:
    """Takes frames, people and tracks in order; `result` gives all cuts and transitions."""

    def __init__(self, finder: PoseFinder, config: AnalysisConfig, shape: tuple[int, int]) -> None:
        self._finder, self._shape = finder, shape
        self._cuts, self._clothes, self._meter = CutFinder(config), ClothesWatch(), SurpriseMeter(shape)
        self._scenes = SceneWatch(shape, lambda corners, there: background_step(corners, there, shape))
        self._steps: list[_Step] = []
        self._judged = 1
        self._boxes = np.empty((0, 4))
        self._looked = self._between_looks = 0
        self._next_sweep = -np.inf
        self._known: list[int] = []
        self._spans: list[tuple[int, int]] = []

    def add(self, number: int, pts: float, frame_i420: np.ndarray) -> None:
        """Take the next frame."""
        luma = self._cuts.add(frame_i420)
        self._scenes.add(number, pts, luma)
        self._last = (number, pts, frame_i420, light(luma))
        if not self._steps or pts >= self._steps[-1].pts + PAIR_S:
            self._steps.append(_Step(number, pts, frame_i420.copy(), self._last[3]))

    def follow(self, track: CornerTrack) -> None:
        """Take corners that were followed from a frame to a later one."""
        self._scenes.follow(*track)

    def look(self, people: np.ndarray) -> None:
        """Take the (n, 33, 4) people of the last frame, after the tracks that lead to it."""
        boxes = box(people) if len(people) else np.empty((0, 4))
        number, pts, frame, lit = self._last
        self._between_looks, self._looked = number - self._looked, number
        other_wall = self._scenes.look(self._free(boxes, lit.shape))
        colours = colours_of(people[0], float(body_length(people[0])), frame) if len(people) == 1 else None
        other_clothes = self._clothes.look(number, pts, colours, lit)
        if other_wall is not None:
            self._found(*other_wall)
        self._measure(boxes)
        self._judge()
        if other_clothes is not None:
            start, end = other_clothes
            if end - start > self._between_looks or not any(start - 1 <= cut <= end for cut in self.known()):
                self._found(start, end)
        self._sweep()

    def known(self) -> list[int]:
        """Frames that begin a new shot or a transition, as far as they are known; more are appended."""
        self._known += [cut for cut in self._cuts.known() if cut not in self._known]
        return self._known

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """((cuts,) frames that begin a shot or a transition, ascending; (n, 2) transitions: [first, end) frames)."""
        if not self._steps:  # no frame came
            return np.empty(0, np.int64), np.empty((0, 2), np.int64)
        self._measure(self._boxes)
        self._judge()
        self._next_sweep = -np.inf
        self._sweep()
        spans = merged(self._spans)
        cuts = {cut for cut in self._cuts.cuts() if not any(start <= cut <= end for start, end in spans)}
        whole = sorted(cuts | {edge for span in spans for edge in span} - {0})
        return np.array(whole, np.int64), np.array(spans, np.int64).reshape(-1, 2)

    def _found(self, start: int, end: int) -> None:
        if start == end:
            self._cuts.suggest(start)
        else:
            self._spans.append((start, end))
            self._known += [start, end]

    def _free(self, boxes: np.ndarray, small: tuple[int, ...]) -> np.ndarray:
        """Where in a small picture nobody is, at this look or the last."""
        per_pixel = np.tile([small[1] / self._shape[1], small[0] / self._shape[0]], 2)
        both = np.concatenate([self._boxes, boxes]) * per_pixel
        return background_mask((small[0], small[1]), both) > 0

    def _nearest(self, frame_i420: np.ndarray, region: Region) -> DancerJoints | None:
        """The person whose pelvis is nearest to the middle of the region."""
        people = self._finder.find(cv2.cvtColor(frame_i420, cv2.COLOR_YUV2RGB_I420))
        middle = np.array([region[0] + region[2], region[1] + region[3]]) / 2
        one = min(people, key=lambda person: float(np.linalg.norm(pelvis(person) - middle)), default=None)
        return None if one is None else DancerJoints(one[MAIN][:, [0, 1, 3]], float(body_length(one)))

    def _measure(self, boxes: np.ndarray) -> None:
        """What is unexplained in the frames since the last look; where the light changes, nothing can be."""
        region = region_of(np.concatenate([self._boxes, boxes]), self._shape)
        self._boxes = boxes
        for before, after in zip(self._steps, self._steps[1:]):
            if after.rows is None and before.frame is not None and after.frame is not None:
                after.region = region
                if changes(before.light, after.light):
                    after.rows = np.zeros((len(WAYS), BINS), np.float32)
                else:
                    after.rows = self._meter.rows(before.frame, after.frame, region)

    def _judge(self) -> None:
        """Look for jumps in the steps whose neighbours are known."""
        energy = np.array([0.0 if step.rows is None else float(step.rows[0].sum()) for step in self._steps])
        ratios = leaps(energy)
        until = len(self._steps) - NEAR
        for at in range(max(2, self._judged), until):
            first, number = self._steps[at - 1].number + 1, self._steps[at].number
            if ratios[at] < WORTH or self._cuts.is_near(number, SAME):
                continue
            around = [(step.frame, step.pts) for step in self._steps[at - 2 : at + 2]]
            frames, times = [frame for frame, _ in around if frame is not None], [pts for _, pts in around]
            if is_jump(frames, times, self._steps[at].region, self._nearest):
                self._found(first, number)
                self._steps[at].rows = np.zeros((len(WAYS), BINS), np.float32)  # or it is taken for a wipe as well
        self._judged = max(self._judged, until)
        for step in self._steps[: max(0, self._judged - 2)]:
            step.frame = None

    def _sweep(self) -> None:
        """Look for wipes, now and then, and forget what is too old for one."""
        now = self._steps[-1].pts
        if now < self._next_sweep:
            return
        self._next_sweep = now + SWEEP_S
        known = [step for step in self._steps if step.rows is not None]
        if len(known) > 2:
            rows = np.stack([np.zeros((len(WAYS), BINS), np.float32) if s.rows is None else s.rows for s in known])
            rate = (len(known) - 1) / (known[-1].pts - known[0].pts)
            for sweep in sweeps(rows, rate):
                self._found(known[sweep.start].number, known[min(sweep.end + 1, len(known) - 1)].number)
        old = next(i for i, step in enumerate(self._steps) if step.pts >= now - KEPT_S)
        old = min(old, self._judged - 2) if self._judged > 2 else 0
        self._steps, self._judged = self._steps[old:], self._judged - old


def merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans, ascending, those that overlap or touch in one."""
    whole: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if whole and start <= whole[-1][1]:
            whole[-1] = (whole[-1][0], max(end, whole[-1][1]))
        else:
            whole.append((start, end))
    return whole

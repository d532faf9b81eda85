"""Where shots end, as the frames go by: hard cuts, jump cuts of the dancer, dissolves and wipes.

Cuts are told from the whole picture, jumps and wipes before one wall from what the dancer's motion does not explain,
transitions to another wall from the wall.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.analysis.camera import PAIR_S
from pipeline.analysis.cuts import SAME, CutFinder
from pipeline.analysis.editing.clothes import ClothesWatch
from pipeline.analysis.editing.detail import light
from pipeline.analysis.editing.flashes import changes
from pipeline.analysis.editing.jumps import NEAR, WORTH, is_jump, leaps
from pipeline.analysis.editing.scenes import CornerTrack, SceneWatch
from pipeline.analysis.editing.surprise import BINS, WAYS, Region, SurpriseMeter, region_of
from pipeline.analysis.editing.wipes import LONGEST_S, sweeps
from pipeline.analysis.pose import PoseFinder, box
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
        self._cuts, self._scenes, self._clothes = CutFinder(config), SceneWatch(shape), ClothesWatch()
        self._meter = SurpriseMeter(shape)
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
        self._scenes.follow(track)

    def look(self, people: np.ndarray) -> None:
        """Take the (n, 33, 4) people of the last frame, after the tracks that lead to it."""
        boxes = box(people) if len(people) else np.empty((0, 4))
        number, pts, frame, lit = self._last
        self._between_looks, self._looked = number - self._looked, number
        other_wall, other_clothes = self._scenes.look(boxes), self._clothes.look(number, pts, frame, people, lit)
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
            frames = [step.frame for step in self._steps[at - 2 : at + 2]]
            if is_jump([frame for frame in frames if frame is not None], self._steps[at].region, self._finder):
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

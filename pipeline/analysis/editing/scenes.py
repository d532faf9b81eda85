"""Another scene within a second or two: dissolves, fades, and wipes to another wall.

The walls of two pictures are compared part by part, everyone masked out, the camera's own way taken back. Where they
differ, every picture in between is a mixture of the two, x of the one and y of the other: x falls from 1, y rises to 1.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.analysis.editing.detail import blocks, detail, parts_alike

APART_S = 2.0  # between pictures that are compared
WAIT_S = 1.0  # after which the other scene is there, and nothing else
OTHER = 0.3  # share of the parts that are alike, at most; even before a shaken camera half of them are
SIDES = 3  # looks before and after
PARTS = 16  # that show anything, at least
WHOLE = 0.07  # of a mixture: the scene is there wholly, as far as coding lets one see
HARD = 0.25  # of a mixture: what goes from less to all but less from one frame to the next is a hard cut
SHOWN = 0.75  # of either scene: with less it is faded out; a camera that sways takes some
GUARD = 0.1  # of a transition's frames, on either side: what is mixed too little to be seen

CameraStep = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (2, 3) affine of (n, 2) corners before and after, or NaN


@dataclass(frozen=True)
class _Look:
    number: int
    pts: float
    detail: np.ndarray  # of the small picture
    free: np.ndarray  # bool: of people


class SceneWatch:
    """Takes small pictures, tracks and people as they come; `look` says where a transition lies, once it is over."""

    def __init__(self, shape: tuple[int, int], step: CameraStep) -> None:
        self._shape, self._step = shape, step
        self._pictures: deque[tuple[int, float, np.ndarray]] = deque()
        self._looks: deque[_Look] = deque()
        self._tracks: deque[tuple[int, int, np.ndarray, np.ndarray]] = deque()
        self._steps: dict[int, np.ndarray] = {}
        self._due: float | None = None

    def add(self, number: int, pts: float, luma: np.ndarray) -> None:
        """Take the next frame's small picture (uint8)."""
        self._pictures.append((number, pts, luma))
        while pts - self._pictures[0][1] > 2 * APART_S + WAIT_S:
            self._pictures.popleft()

    def follow(self, before: int, after: int, corners: np.ndarray, there: np.ndarray) -> None:
        """Take (n, 2) corners that were followed from a frame to a later one, in pixels of the analysed picture."""
        self._tracks.append((before, after, corners, there))

    def look(self, free: np.ndarray) -> tuple[int, int] | None:
        """[first, end) frames of a transition that is over by now, empty for a hard cut.

        Args:
            free: bool of the last small picture: where nobody is.
        """
        number, pts, luma = self._pictures[-1]
        now = _Look(number, pts, detail(luma), free)
        self._looks.append(now)
        while pts - self._looks[0].pts > APART_S + (WAIT_S if self._due else 0.0) + 1e-6:
            self._forget(self._looks.popleft().number)
        first = self._looks[0]
        if self._due is None and pts - first.pts > 0.9 * APART_S and self._changed():
            self._due = pts + WAIT_S
        if self._due is None or pts < self._due:
            return None
        self._due = None
        span = self._between(first, now) if self._changed() else None
        if span is not None:
            while self._looks[0].number < span[1]:
                self._forget(self._looks.popleft().number)
        return span

    def _forget(self, number: int) -> None:
        while self._tracks and self._tracks[0][0] < number:
            self._steps.pop(self._tracks.popleft()[0], None)

    def _changed(self) -> bool:
        """Whether the first looks show another wall than the last ones: each, since a flash may have hit one."""
        first, last = list(self._looks)[:SIDES], list(self._looks)[-SIDES:]
        return all(self._other(one, two) for one, two in zip(first, last))

    def _other(self, one: _Look, two: _Look) -> bool:
        """Whether two pictures show another wall, wherever the camera has gone."""
        if _alike(one.detail, two.detail, one.free & two.free, OTHER):
            return False
        affine = self._way(one.number, two.number)
        size = two.detail.shape[::-1]
        moved = cv2.warpAffine(one.detail, affine, size)
        inside = cv2.warpAffine(one.free.astype(np.uint8), affine, size) > 0
        return not _alike(moved, two.detail, inside & two.free, OTHER)

    def _way(self, first: int, last: int) -> np.ndarray:
        """(2, 3) affine of small pictures that carries the wall from a frame to another; stands where it is unknown."""
        whole = np.eye(3)
        for before, after, corners, there in self._tracks:
            if before >= first and after <= last:
                if before not in self._steps:
                    self._steps[before] = self._step(corners, there)
                if np.isfinite(self._steps[before]).all():
                    whole = np.vstack([self._steps[before], [0, 0, 1]]) @ whole
        height, width = self._pictures[-1][2].shape
        small = np.diag([width / self._shape[1], height / self._shape[0], 1.0])
        return np.asarray((small @ whole @ np.linalg.inv(small))[:2])

    def _between(self, one: _Look, two: _Look) -> tuple[int, int] | None:
        """The frames that are neither one scene nor the other."""
        free = one.free & two.free
        a, b = one.detail[free], two.detail[free]
        products = np.array([[a @ a, a @ b], [a @ b, b @ b]], np.float64)
        numbers = [number for number, _, _ in self._pictures if one.number <= number <= two.number]
        lumas = [luma for number, _, luma in self._pictures if one.number <= number <= two.number]
        seen = [detail(luma)[free] for luma in lumas]
        shares = np.linalg.lstsq(products, np.array([[a @ s, b @ s] for s in seen], np.float64).T, rcond=None)[0]
        kept = np.maximum(shares, 0).sum(0)
        share = np.maximum(shares[1], 0) / np.maximum(kept, 1e-6)
        turn = int(np.argmax(share > 0.5))
        if turn and share[turn - 1] <= HARD and share[turn] >= 1 - HARD:
            return numbers[turn], numbers[turn]
        before = np.flatnonzero((share[:turn] <= WHOLE) & (kept[:turn] >= SHOWN))
        after = np.flatnonzero((share[turn:] >= 1 - WHOLE) & (kept[turn:] >= SHOWN))
        start = int(before[-1]) + 1 if len(before) else 0
        end = turn + int(after[0]) if len(after) else len(numbers) - 1
        guard = 1 + round(GUARD * (end - start))
        return numbers[max(0, start - guard)], numbers[min(len(numbers) - 1, end + guard)]


def _alike(one: np.ndarray, two: np.ndarray, free: np.ndarray, enough: float) -> bool:
    """Whether enough parts of two details are alike; so are two that show too little."""
    strong, alike = parts_alike(one, two)
    strong &= blocks(free.astype(np.float32)).min(1) > 0
    return int(strong.sum()) < PARTS or float(alike[strong].mean()) >= enough

"""Another dancer before the same wall: who wears other clothes a second later is somebody else, or a later take.

Colours are taken where shirt, trousers and legs are, at each detection. A turn or a lamp changes them, too: so most
places must change, each by more than it does from look to look, and the wall must keep its light.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from pipeline.analysis.editing.flashes import changes

# Pairs of landmarks and how far from the one to the other: chest and belly, thighs, shins, upper arms.
PLACES = (
    ((11, 24, 0.35), (12, 23, 0.35), (11, 24, 0.65), (12, 23, 0.65)),
    ((23, 25, 0.4), (24, 26, 0.4)),
    ((25, 27, 0.5), (26, 28, 0.5)),
    ((11, 13, 0.4), (12, 14, 0.4)),
)
PATCH = 0.03  # body lengths to each side of a place
SIDE = 4  # looks before and after; as many more are waited for
APART_S = 1.0  # between them, at most: the longest transition that is told
FLOOR = 12.0  # levels, luma and chroma in sum, that are no change
TIMES = 1.8  # that floor and twice the usual change: of three places of four
GUARD = 0.1  # of a transition's frames, on either side, and a look
MIXED = 0.15  # of the way from the one colour to the other


@dataclass(frozen=True)
class _Outfit:
    number: int
    pts: float
    colours: np.ndarray | None  # (places, 3); None where not one person is wholly seen
    light: np.ndarray


class ClothesWatch:
    """Takes people as they are found; `look` says where the dancer has become another."""

    def __init__(self) -> None:
        self._looks: deque[_Outfit] = deque()
        self._wait = 0

    def look(self, number: int, pts: float, colours: np.ndarray | None, light: np.ndarray) -> tuple[int, int] | None:
        """[first, end) frames between the last look at one dancer and the first at the other, or None.

        Args:
            colours: of the dancer, see `colours_of`; None where not one person alone is seen.
            light: of the frame's small picture.
        """
        self._looks.append(_Outfit(number, pts, colours, light))
        if self._wait:
            self._wait -= 1
            return self._located() if not self._wait else None
        looks = list(self._looks)
        first = (
            next((i for i, one in enumerate(looks) if looks[-SIDE].pts - one.pts <= APART_S), 0) if looks[SIDE:] else 0
        )
        while first > SIDE:
            self._looks.popleft()
            first -= 1
        self._wait = SIDE if first == SIDE and self._other() else 0
        return None

    def _sides(self) -> tuple[np.ndarray, np.ndarray] | None:
        """(SIDE, places, 3) colours of the first and of the last looks."""
        looks = list(self._looks)
        sides = [[one.colours for one in some if one.colours is not None] for some in (looks[:SIDE], looks[-SIDE:])]
        if any(len(side) < SIDE for side in sides):
            return None
        return np.array(sides[0]), np.array(sides[1])

    def _other(self) -> bool:
        """Whether most places have another colour on the last looks than on the first, in the same light."""
        sides = self._sides()
        if sides is None or changes(self._looks[0].light, self._looks[-1].light):
            return False
        means = [np.median(side, 0) for side in sides]
        usual = sum(np.abs(side - mean).sum(-1).mean(0) for side, mean in zip(sides, means, strict=True))
        ratios = np.abs(means[1] - means[0]).sum(-1) / (FLOOR + 2 * usual)
        return bool(np.sort(ratios)[1] >= TIMES)

    def _located(self) -> tuple[int, int] | None:
        sides = self._sides()
        if sides is None or not self._other():
            return None
        a, b = (np.median(side, 0).ravel() for side in sides)
        known = [one for one in self._looks if one.colours is not None]
        seen = np.array([one.colours for one in known]).reshape(len(known), -1)
        way = (seen - a) @ (b - a) / ((b - a) @ (b - a))
        turn = int(np.argmax(way > 0.5))
        start = int(np.flatnonzero(way[:turn] <= MIXED)[-1]) if (way[:turn] <= MIXED).any() else 0
        end = turn + int(np.argmax(way[turn:] >= 1 - MIXED))
        self._looks = deque(one for one in self._looks if one.number >= known[end].number)
        if end <= start + 1:  # at once, as far as looks can tell
            return known[start].number + 1, known[end].number
        guard = round(GUARD * (known[end].number - known[start].number))
        after = known[min(end + 1, len(known) - 1)].number
        return max(known[0].number, known[max(0, start - 1)].number + 1 - guard), after + guard


def colours_of(person: np.ndarray, size: float, frame_i420: np.ndarray) -> np.ndarray | None:
    """(places, 3) mean luma and chroma of a person's clothes; None where one lies outside of the picture.

    Args:
        person: (33, 4) landmarks in pixels of the frame, of uint8 I420 planes.
        size: the person's body length, pixels.
    """
    width, height = frame_i420.shape[1], frame_i420.shape[0] * 2 // 3
    chroma = frame_i420[height:].reshape(2, height // 2, width // 2)
    side = max(1, round(PATCH * size))
    rows = []
    for places in PLACES:
        seen = []
        for one, two, share in places:
            x, y = (person[one, :2] * (1 - share) + person[two, :2] * share).round().astype(int)
            if not (side <= x < width - side and side <= y < height - side):
                return None
            half = (slice((y - side) // 2, (y + side) // 2 + 1), slice((x - side) // 2, (x + side) // 2 + 1))
            luma = frame_i420[y - side : y + side + 1, x - side : x + side + 1]
            seen.append([luma.mean(), chroma[0][half].mean(), chroma[1][half].mean()])
        rows.append(np.mean(seen, 0))
    return np.array(rows)

"""Shot boundaries, by scenedetect's detectors, on small pictures, one frame at a time; a flash is none, nor is a camera
that jerks."""

from collections import deque
from itertools import pairwise

import cv2
import numpy as np
from scenedetect import AdaptiveDetector, FrameTimecode

from pipeline.analysis.editing.flashes import REACH, is_light
from pipeline.analysis.editing.jerks import is_jerk
from pipeline.config import AnalysisConfig

SAME = 3  # frames within which two cuts are one
LATE = 4  # frames after which the detector has found a cut
SMALL = 64  # shorter side of the chroma planes that are compared; scenedetect works on pictures not much larger


class _Detector(AdaptiveDetector):
    """Two of scenedetect's rules on one content score, which is the costly part: its ratio to its neighbours'
    (`AdaptiveDetector`) and a level that is a cut whatever they are (`ContentDetector`)."""

    def __init__(self, config: AnalysisConfig) -> None:
        super().__init__(adaptive_threshold=config.cut_ratio, min_content_val=config.cut_content, min_scene_len=1)
        self._hard = config.cut_hard

    def process_frame(self, timecode: FrameTimecode, frame_img: np.ndarray) -> list[FrameTimecode]:
        """Cuts that this frame decides: its own by level, an earlier one's by ratio."""
        found: list[FrameTimecode] = super().process_frame(timecode, frame_img)
        return [*found, timecode] if (self._frame_score or 0.0) >= self._hard else found


class CutFinder:
    """Feed every frame in order, ask for `known` cuts meanwhile and for `cuts` then: frames that begin a new shot."""

    def __init__(self, config: AnalysisConfig) -> None:
        self._open: set[int] = set()
        self._known: list[int] = []
        self._count = 0
        self._lumas: deque[np.ndarray] = deque(maxlen=2 * REACH + LATE)
        self._detector = _Detector(config)

    def add(self, frame_i420: np.ndarray) -> np.ndarray:
        """Take the next frame: uint8 I420 planes (height * 3 // 2, width). Returns its small luma picture."""
        small = _shrunk(frame_i420)
        luma = small[..., 0].copy()
        self._lumas.append(luma)
        number = FrameTimecode(self._count, fps=1.0)  # one frame a second: a timecode is a frame number
        found = self._detector.process_frame(number, cv2.cvtColor(small, cv2.COLOR_YUV2BGR))
        self._count += 1
        first, cuts = self._count - len(self._lumas), [cut.frame_num for cut in found if cut.frame_num]
        self._open.update(cut for cut in cuts if not is_jerk(self._lumas, cut - first))
        self._decide(self._count - REACH)
        return luma

    def suggest(self, cut: int) -> None:
        """Take a cut that somebody else has found, unless it is known."""
        if not self.is_near(cut, SAME):
            self._open.add(cut)

    def is_near(self, frame: int, frames: int) -> bool:
        """Whether a cut was found within some frames."""
        return any(abs(cut - frame) <= frames for cut in (*self._open, *self._known[-8:]))

    def known(self) -> list[int]:
        """Frame numbers, ascending, that are decided by now: a flash is told by what comes after it."""
        return self._known

    def cuts(self) -> list[int]:
        """All frame numbers, ascending, without 0; there is no more to come."""
        self._decide(self._count)
        return sorted(self._known)

    def _decide(self, end: int) -> None:
        """Which of the found cuts before a frame are more than a change of light."""
        first = self._count - len(self._lumas)
        for cut in sorted(cut for cut in self._open if cut <= end):
            self._open.remove(cut)
            if cut <= first or not is_light(self._lumas, cut - first):
                self._known.append(cut)


def _shrunk(frame_i420: np.ndarray) -> np.ndarray:
    """Small YUV picture (rows, columns, 3): planes averaged over whole blocks, before any colour is computed."""
    width, height = frame_i420.shape[1], frame_i420.shape[0] * 2 // 3
    chroma = frame_i420[height:].reshape(2, height // 2, width // 2)
    block = max(1, min(height, width) // 2 // SMALL)
    rows, columns = height // 2 // block, width // 2 // block

    def averaged(plane: np.ndarray, side: int) -> np.ndarray:
        whole = plane[: rows * side, : columns * side]
        return whole if side == 1 else cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)

    return cv2.merge([averaged(frame_i420[:height], 2 * block), averaged(chroma[0], block), averaged(chroma[1], block)])


def shots(cuts: list[int], frames: int) -> list[tuple[int, int]]:
    """[start, end) frame ranges between cuts."""
    edges = [0, *cuts, frames]
    return [(a, b) for a, b in pairwise(edges) if b > a]

"""Shot boundaries, by scenedetect's detectors, on small pictures, one frame at a time."""

from itertools import pairwise

import cv2
import numpy as np
from scenedetect import AdaptiveDetector, FrameTimecode

from pipeline.config import AnalysisConfig

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
    """Feed every frame in order, then ask for `cuts`: the numbers of the frames that begin a new shot."""

    def __init__(self, config: AnalysisConfig) -> None:
        self._found: set[int] = set()
        self._count = 0
        self._detector = _Detector(config)

    def add(self, frame_i420: np.ndarray) -> None:
        """Take the next frame: uint8 I420 planes (height * 3 // 2, width)."""
        small = cv2.cvtColor(_shrunk(frame_i420), cv2.COLOR_YUV2BGR)
        number = FrameTimecode(self._count, fps=1.0)  # one frame a second: a timecode is a frame number
        self._found.update(cut.frame_num for cut in self._detector.process_frame(number, small))
        self._count += 1

    def cuts(self) -> list[int]:
        """Frame numbers, ascending, without 0."""
        return sorted(self._found - {0})


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

"""Shot boundaries, by scenedetect's detectors, on small pictures, one frame at a time."""

from itertools import pairwise

import cv2
import numpy as np
from scenedetect import AdaptiveDetector, ContentDetector, FrameTimecode
from scenedetect.detector import FlashFilter

from pipeline.config import AnalysisConfig

WIDTH = 160  # scenedetect itself works on pictures of about 256; changes of content show at this size, too


class CutFinder:
    """Feed every frame in order, then ask for `cuts`: the numbers of the frames that begin a new shot."""

    def __init__(self, config: AnalysisConfig) -> None:
        self._found: set[int] = set()
        self._count = 0
        self._detectors = [
            AdaptiveDetector(adaptive_threshold=config.cut_ratio, min_content_val=config.cut_content, min_scene_len=1),
            ContentDetector(threshold=config.cut_hard, min_scene_len=1, filter_mode=FlashFilter.Mode.SUPPRESS),
        ]

    def add(self, frame_i420: np.ndarray) -> None:
        """Take the next frame: uint8 I420 planes (height * 3 // 2, width)."""
        small = cv2.cvtColor(_shrunk(frame_i420), cv2.COLOR_YUV2BGR)
        number = FrameTimecode(self._count, fps=1.0)  # one frame a second: a timecode is a frame number
        for detector in self._detectors:
            self._found.update(cut.frame_num for cut in detector.process_frame(number, small))
        self._count += 1

    def cuts(self) -> list[int]:
        """Frame numbers, ascending, without 0."""
        return sorted(self._found - {0})


def _shrunk(frame_i420: np.ndarray) -> np.ndarray:
    """(height, WIDTH, 3) YUV picture: the planes are shrunk before the colours are computed, which is cheaper."""
    width, height = frame_i420.shape[1], frame_i420.shape[0] * 2 // 3
    chroma = frame_i420[height:].reshape(2, height // 2, width // 2)
    size = (WIDTH, max(2, round(WIDTH * height / width)))
    planes = [frame_i420[:height], chroma[0], chroma[1]]
    return cv2.merge([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in planes])


def shots(cuts: list[int], frames: int) -> list[tuple[int, int]]:
    """[start, end) frame ranges between cuts."""
    edges = [0, *cuts, frames]
    return [(a, b) for a, b in pairwise(edges) if b > a]

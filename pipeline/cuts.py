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
        picture = cv2.cvtColor(frame_i420, cv2.COLOR_YUV2BGR_I420)
        height = max(2, round(WIDTH * picture.shape[0] / picture.shape[1]))
        small = cv2.resize(picture, (WIDTH, height), interpolation=cv2.INTER_AREA)
        number = FrameTimecode(self._count, fps=1.0)  # one frame a second: a timecode is a frame number
        for detector in self._detectors:
            self._found.update(cut.frame_num for cut in detector.process_frame(number, small))
        self._count += 1

    def cuts(self) -> list[int]:
        """Frame numbers, ascending, without 0."""
        return sorted(self._found - {0})


def shots(cuts: list[int], frames: int) -> list[tuple[int, int]]:
    """[start, end) frame ranges between cuts."""
    edges = [0, *cuts, frames]
    return [(a, b) for a, b in pairwise(edges) if b > a]

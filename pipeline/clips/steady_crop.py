"""Whether a clip's camera is held still, and how: where that helps, and costs neither dancer nor picture."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data_catalog.base.errors import RejectedError
from pipeline.analysis.arrays import Analysis
from pipeline.analysis.tracking import main_joints_inside
from pipeline.clips.align import plan_crop
from pipeline.clips.crop import Crop, placed
from pipeline.clips.frame_grid import FrameGrid
from pipeline.clips.scores import REFERENCE
from pipeline.clips.steadying.camera_path import camera_path
from pipeline.clips.steadying.steady import HOLDS, Steady, corner_motion, held
from pipeline.config import CropConfig

HELPS = 0.3  # pixels a frame at 512 by which a camera moves the crop's corners, below which it stands
LEAVES = 0.5  # of that motion: a hold that leaves more of it is not worth an interpolation
LOSES = 0.005  # of the joints that the source shows, the share that steadying may push out

Seen = tuple[np.ndarray, np.ndarray]
"""(frames, 33, 4) landmarks, and (frames,) bool which of them are known."""


@dataclass(frozen=True)
class SteadyCrop:
    """A crop out of a steadied picture, the dancer's landmarks in that, and the motion that was taken out: pixels a
    frame at 512 of the crop's corners, before and after."""

    steady: Steady
    crop: Crop
    landmarks: np.ndarray
    known: np.ndarray
    before: float
    after: float


def steady_crop(
    analysis: Analysis,
    window: FrameGrid,
    shot: tuple[int, int],
    crop: Crop,
    seen: Seen,
    seen_steadily: Callable[[Steady], Seen],
    shape: tuple[int, int],
    config: CropConfig,
) -> SteadyCrop | None:
    """The stillest that keeps within the bounds; None where the camera stands, cannot be followed, or goes too far.

    Args:
        shot: [start, end) of the clip's.
        crop: without steadying; seen: the dancer, in pixels of the source.
        seen_steadily: the dancer in pixels of a steadied picture.
        shape: (height, width) of the source's picture.
    """
    size = np.array([shape[1], shape[0]], float)
    path = camera_path(analysis, *shot, size / 2)
    first, last = int(window.frames[0]), int(window.frames[-1])
    if path is None or not path.knows(first, last):
        return None
    of_clip = (analysis.camera_frames[:, 0] >= first) & (analysis.camera_frames[:, 1] <= last)
    before = _motion(analysis.camera[of_clip], crop)
    if before < HELPS:
        return None
    for hold_s in HOLDS:
        steady = held(path, analysis, shot, window.frames, hold_s)
        if steady.kept < 1 - config.steady_within:
            continue
        landmarks, known = seen_steadily(steady)
        try:
            planned = plan_crop(landmarks, known, steady.shape, config)
        except RejectedError:
            continue
        after = _motion(steady.analysis(analysis).camera[of_clip], planned)
        found = SteadyCrop(steady, planned, landmarks, known, before, after)
        if after <= LEAVES * before and _keeps_dancer(found, window.frames, crop, seen, shape, config):
            return found
    return None


def _motion(steps: np.ndarray, crop: Crop) -> float:
    """Pixels a step at 512."""
    corner = crop.corners.mean(0)
    return corner_motion(steps, corner, corner + crop.size) * REFERENCE / crop.height


def _keeps_dancer(
    found: SteadyCrop, frames: np.ndarray, crop: Crop, seen: Seen, shape: tuple[int, int], config: CropConfig
) -> bool:
    """Whether joints that the clip would show without steadying are, all but a few, shown with it."""
    landmarks, known = seen
    shown = _shown(landmarks, crop, shape, config)
    back = found.steady.in_source(found.landmarks, frames)
    there = main_joints_inside(back, np.zeros(2), np.array([shape[1], shape[0]]))
    still = _shown(found.landmarks, found.crop, found.steady.shape, config)
    both = known & found.known
    lost = there & shown & ~still
    return bool(lost[both].mean() <= LOSES) if both.any() else False


def _shown(landmarks: np.ndarray, crop: Crop, shape: tuple[int, int], config: CropConfig) -> np.ndarray:
    """(frames, joints) bool: which main joints lie where the clip shows the picture."""
    placement = placed(crop, shape, config.size)
    low, high = placement.picture[:, None, :2], placement.picture[:, None, 2:]
    return main_joints_inside(placement.landmarks(landmarks), low, high)

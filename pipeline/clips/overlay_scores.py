"""How much of a clip, and of its dancer, is covered by what is burnt in."""

import cv2
import numpy as np

from pipeline.analysis.arrays import Analysis
from pipeline.analysis.pose import box
from pipeline.clips.crop import Crop
from pipeline.clips.frame_grid import FrameGrid

FINE = 256  # pixels of the raster on which covered areas are counted, along each side


def overlay_scores(
    analysis: Analysis, window: FrameGrid, landmarks: np.ndarray, shape: tuple[int, int], crop: Crop | None
) -> dict[str, float | None]:
    """Means over the looks that lie in a clip, or the nearest of its shot; None where nobody looked.

    overlay: share of the clip's picture that is covered, 0 where nothing was found; overlay_dancer: share of the box
    around the dancer's main joints.

    Args:
        landmarks: (frames, 33, 4) of the dancer in source pixels.
        shape: (height, width) of the source picture; it stands for the clip's where there is no crop.
    """
    looks = _looks_at(analysis, window)
    if not len(looks):
        return {"overlay": None, "overlay_dancer": None}
    corners = crop.at(len(window.frames)) if crop else np.zeros((len(window.frames), 2))
    size = crop.size if crop else np.array([shape[1], shape[0]])
    covered = []
    for look in looks:
        frame = min(int(np.searchsorted(window.frames, analysis.look_frames[look])), len(window.frames) - 1)
        places = np.concatenate([corners[frame], corners[frame] + size]), box(landmarks[frame])
        covered.append([share_covered(analysis.overlays_of(look), place) for place in places])
    overlay, dancer = np.mean(covered, axis=0)
    return {"overlay": float(overlay), "overlay_dancer": float(dancer)}


def _looks_at(analysis: Analysis, window: FrameGrid) -> np.ndarray:
    """Numbers of the looks that tell about a clip."""
    first, last = window.frames[0], window.frames[-1]
    shot = np.searchsorted(analysis.cuts, first, "right")
    same = np.flatnonzero(np.searchsorted(analysis.cuts, analysis.look_frames, "right") == shot)
    away = np.maximum(first - analysis.look_frames[same], analysis.look_frames[same] - last).clip(0)
    return np.asarray(same[away == away.min(initial=np.iinfo(np.int64).max)])


def share_covered(boxes: np.ndarray, place: np.ndarray) -> float:
    """Share of a rectangle (x0, y0, x1, y1) that some of (n, 4) boxes cover."""
    raster = np.zeros((FINE, FINE), np.uint8)
    corner, size = place[:2], np.maximum(place[2:] - place[:2], 1e-6)
    for x0, y0, x1, y1 in np.clip((boxes.reshape(-1, 2, 2) - corner) / size * FINE, 0, FINE).reshape(-1, 4):
        raster[round(y0) : round(y1), round(x0) : round(x1)] = 1
    return float(cv2.mean(raster)[0])

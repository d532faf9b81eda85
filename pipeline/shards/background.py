"""How a stored clip's background moves: measured in the clip itself, whatever was planned."""

from pathlib import Path

import av
import numpy as np

from data_catalog.base.errors import RejectedError
from pipeline.analysis.camera import CameraTracker, background_mask, background_step, decompose
from pipeline.analysis.pose import box
from pipeline.clips.fill import common
from pipeline.clips.scores import REFERENCE

SAME_MASK = 5  # frames: new corners are sought as often, where the dancer is not then
BORDER = 8  # pixels at the edge of the picture in which a corner may be that of what is filled
LEAST_KNOWN = 0.25  # share of steps below which nothing is said
SLACK = 0.5  # pixels a frame at 512 by which a background may move more than was planned


def background_motion(path: Path, landmarks: np.ndarray, pictures: np.ndarray) -> float | None:
    """Pixels a frame at 512 by which the background's middle moves, the mean; None where too little of it is seen.

    Args:
        landmarks: (frames, 33, 4) of the dancer, in pixels of the clip.
        pictures: (n, 4) where the source's picture lies in it.
    """
    lumas = _lumas(path)
    height, width = lumas[0].shape
    left, top, right, bottom = common(pictures)
    inside = np.zeros((height, width), np.uint8)
    inside[top + (top > 0) * BORDER : bottom - BORDER, left + (left > 0) * BORDER : right - BORDER] = 255
    steps = []
    for first in range(0, len(lumas) - 1, SAME_MASK):
        last = min(first + SAME_MASK, len(lumas) - 1)
        tracker = CameraTracker(inside & background_mask((height, width), box(landmarks[first : last + 1])))
        for frame in range(first, last):
            steps.append(background_step(*tracker.follow(lumas[frame], lumas[frame + 1]), (height, width)))
    known = np.array([step for step in steps if np.isfinite(step).all()]).reshape(-1, 2, 3)
    if len(known) < LEAST_KNOWN * len(steps):
        return None
    translation, _, _ = decompose(known, np.array([width, height]) / 2)
    return float(np.linalg.norm(translation, axis=1).mean()) * REFERENCE / height


def check_steady(path: Path, landmarks: np.ndarray, pictures: np.ndarray, planned: float) -> float | None:
    """`background_motion`, if it is what was `planned`.

    Raises:
        RejectedError: `not_steady`.
    """
    left = background_motion(path, landmarks, pictures)
    if left is not None and left > planned + SLACK:
        raise RejectedError(
            "not_steady",
            f"The camera was held still, and the written clip's background moves by {left:.2f} pixels a frame; "
            f"{planned:.2f} were expected.",
        )
    return left


def _lumas(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        return [frame.to_ndarray(format="yuv420p")[: frame.height] for frame in container.decode(stream)]

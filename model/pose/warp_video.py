"""A picture dancing without any network: every frame warped from it alone, and written as a video."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from model.pose.paint import behind, warp_picture
from model.pose.warp import reference_of, warp_field
from pipeline.video.writer import encode_segment, join_segments

SEGMENT = 24
"""Frames that are held and encoded at a time."""


def warped_frames(
    picture_HWC: np.ndarray, start: np.ndarray, dance: np.ndarray, outline_HW: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """The picture, uint8 RGB, in each pose of a dance: (frames, 33, 4) landmarks in its pixels, as `start` is.

    outline_HW: where the person is in the picture, bool; None: wherever her parts are.
    """
    reference = reference_of(start, (picture_HWC.shape[0], picture_HWC.shape[1]), outline_HW)
    background = behind(picture_HWC, reference)
    for landmarks in dance:
        yield warp_picture(picture_HWC, background, warp_field(reference, landmarks))


def write_warped(
    out: Path,
    picture_HWC: np.ndarray,
    start: np.ndarray,
    dance: np.ndarray,
    fps: Fraction,
    outline_HW: np.ndarray | None = None,
    progress: Callable[[int], None] = lambda frames: None,
) -> None:
    """The same as an mp4, atomically; `progress` is told how many frames are done."""
    frames = warped_frames(picture_HWC, start, dance, outline_HW)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.stem}-") as folder:
        segments = []
        for first in range(0, len(dance), SEGMENT):
            count = min(SEGMENT, len(dance) - first)
            path = Path(folder) / f"{first:06d}.mp4"
            encode_segment(path, np.stack([next(frames) for _ in range(count)]), fps)
            segments.append(path)
            progress(first + count)
        join_segments(out, segments)

"""What a pass over a source found, as arrays, and the file that they are kept in."""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import atomic
from pipeline.video.probe import Probe


@dataclass(frozen=True)
class Analysis:
    """Arrays of one source. Pixels are those of the picture as displayed, at its frame's full size, from the corner
    that is left when its shot's bars are cut off; frames count from 0."""

    pts: np.ndarray  # (frames,) float64 seconds, strictly ascending
    change: np.ndarray  # (frames,) float32: largest block change since the frame before, 8-bit levels
    cuts: np.ndarray  # (cuts,) int64: frames that begin a new shot, or a transition
    transitions: np.ndarray  # (n, 2) int64: [first, end) frames that are a bit of both shots, a dissolve's or a wipe's
    pose_frames: np.ndarray  # (detections,) int64
    people_end: np.ndarray  # (detections,) int64: detection d's people are rows people_end[d-1]:people_end[d]
    landmarks: np.ndarray  # (people, 33, 4) float32: x, y, z, visibility
    blur: np.ndarray  # (detections,) float32, see `perceptual_blur`
    brightness: np.ndarray  # (detections,) float32: mean luma, 0 to 1
    thumbs: np.ndarray  # (detections, 32, 32) uint8 luma
    camera_frames: np.ndarray  # (steps, 2) int64: from, to
    camera: np.ndarray  # (steps, 2, 3) float64: background of `from` to `to`; NaN where unknown
    sizes: np.ndarray  # (spans, 3) int64: first frame, height, width; empty where all frames have the probe's
    bars: np.ndarray  # (shots, 5) int64, see `places.bars_of_shots`; empty where no shot has any
    look_frames: np.ndarray  # (looks,) int64: frames in which overlays were looked for
    overlays_end: np.ndarray  # (looks,) int64: look l's overlays are rows overlays_end[l-1]:overlays_end[l]
    overlays: np.ndarray  # (boxes, 4) float32: x0, y0, x1, y1 of what is burnt in

    def people(self, detection: int) -> np.ndarray:
        """(n, 33, 4) landmarks of everyone found by a detection."""
        start = self.people_end[detection - 1] if detection else 0
        return np.asarray(self.landmarks[start : self.people_end[detection]])

    def overlays_of(self, look: int) -> np.ndarray:
        """(n, 4) boxes of what was burnt in at a look."""
        start = self.overlays_end[look - 1] if look else 0
        return np.asarray(self.overlays[start : self.overlays_end[look]])

    def bars_at(self, frame: int) -> tuple[int, int, int, int]:
        """Source pixels that are cut off to the left, above, to the right and below at a frame."""
        if not len(self.bars):
            return 0, 0, 0, 0
        _, left, above, right, below = self.bars[np.searchsorted(self.bars[:, 0], frame, "right") - 1]
        return int(left), int(above), int(right), int(below)

    def shape_at(self, frame: int, first: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of the picture at a frame; `first` is that of the first one, bars and all."""
        height, width = first
        if len(self.sizes):
            _, height, width = self.sizes[np.searchsorted(self.sizes[:, 0], frame, "right") - 1]
        left, above, right, below = self.bars_at(frame)
        return int(height) - above - below, int(width) - left - right

    def probe_at(self, frame: int, found: Probe) -> Probe:
        """The source at a frame; `found` is what it is at the first one, bars and all."""
        height, width = self.shape_at(frame, (found.height, found.width))
        return replace(found, height=height, width=width, changes=len(self.sizes) > 0, bars=self.bars_at(frame))


def save(analysis: Analysis, path: Path) -> None:
    """Write the arrays as one npz (a zip of npy files, no pickle), atomically."""
    with atomic(path) as temp, temp.open("wb") as file:
        np.savez(file, **{field.name: getattr(analysis, field.name) for field in fields(Analysis)})


def load(path: Path) -> Analysis:
    """The arrays that `save` wrote. Raises LongdanceError if they are damaged: the zip holds a checksum of each."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return Analysis(**{field.name: arrays[field.name] for field in fields(Analysis)})
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        NotImplementedError,
        RuntimeError,
        SyntaxError,
    ) as error:
        raise LongdanceError(
            f"{path} is damaged ({type(error).__name__}): delete it, its .json and the .json of the same name below "
            "`clips`, and run `longdance build` again, which makes them."
        ) from error


def detections_of_shot(analysis: Analysis, start: int, end: int) -> Iterator[int]:
    """Detections on frames in [start, end)."""
    low, high = np.searchsorted(analysis.pose_frames, [start, end])
    yield from range(int(low), int(high))

"""What a run writes for those who watch it: a JSON line per step, TensorBoard, pictures, and events."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data_catalog.base.files import atomic, canonical_json, fsync_path


@dataclass(frozen=True)
class TrainEvent:
    """Something that happened in a run."""

    kind: str
    """`started`, `step`, `validation`, `samples`, `checkpoint`, `notice` or `ended`."""
    step: int
    steps: int
    values: dict[str, Any] = field(default_factory=dict)
    """`step`: loss, steps_per_second, seconds_left. Others: numbers, a `path`, or a `text`."""


OnTrainEvent = Callable[[TrainEvent], None]


class MetricsLog:
    """`metrics.jsonl`: deterministic values only, so that a killed and resumed run writes the same bytes."""

    def __init__(self, path: Path, keep_bytes: int) -> None:
        """Open for appending after the first `keep_bytes` bytes: what a killed process wrote beyond its last
        checkpoint will be written again."""
        self._file = path.open("ab", buffering=0)
        fsync_path(path.parent)
        size = path.stat().st_size
        self.lines_are_missing = size < keep_bytes
        self._file.truncate(min(size, keep_bytes))

    def write(self, line: dict[str, Any]) -> None:
        """Append one line."""
        self._file.write(canonical_json(line) + b"\n")

    def sync(self) -> int:
        """Force the lines to the disk and return the length of the file in bytes."""
        os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Pace:
    """Steps per second, smoothed over about 20 steps."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._seconds: float | None = None

    def tick(self) -> float:
        """Count one step; returns steps per second."""
        now = time.monotonic()
        spent, self._last = now - self._last, now
        self._seconds = spent if self._seconds is None else 0.95 * self._seconds + 0.05 * spent
        return 1 / max(self._seconds, 1e-9)

    def skip(self) -> None:
        """Leave out the time since the last step: it went into validation or a checkpoint."""
        self._last = time.monotonic()


def picture_rows(clips_FHWC: Sequence[np.ndarray]) -> np.ndarray:
    """Clips below each other, their frames side by side, shorter ones filled up with grey: uint8 (H, W, 3)."""
    longest = max(len(clip) for clip in clips_FHWC)
    rows = []
    for clip in clips_FHWC:
        filled = np.full((longest, *clip.shape[1:]), 128, np.uint8)
        filled[: len(clip)] = clip
        rows.append(np.concatenate(list(filled), axis=1))
    return np.concatenate(rows)


def write_png(path: Path, picture_HWC: np.ndarray) -> None:
    """Write a picture atomically."""
    with atomic(path) as temp:
        Image.fromarray(picture_HWC).save(temp, format="PNG")


def write_gif(path: Path, frames_FHWC: np.ndarray, fps: float = 8.0) -> None:
    """Write an endless GIF atomically."""
    pictures = [Image.fromarray(frame) for frame in frames_FHWC]
    with atomic(path) as temp:
        duration = round(1000 / fps)
        pictures[0].save(temp, format="GIF", save_all=True, append_images=pictures[1:], duration=duration, loop=0)

"""Where the camera has gone from frame to frame of a shot: its measured steps, one after the other.

A camera is a similarity that carries the background, as one frame shows it, to where another shows it. It is told by
four numbers: the natural log of its zoom, its angle in radians, and how far it carries the picture's middle, x and y.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from pipeline.analysis.arrays import Analysis

MAX_LOST = 2  # steps side by side that may be unknown: they go on as their neighbours do


@dataclass(frozen=True)
class CameraPath:
    """The camera (n, 4) at `frames` (n,), ascending, `times` (n,) seconds, against the shot's first one.

    lost: (n - 1,) bool, steps that nothing is known of: beyond one the path is of no use.
    """

    frames: np.ndarray
    times: np.ndarray
    cameras: np.ndarray
    lost: np.ndarray
    middle: np.ndarray

    def knows(self, first: int, last: int) -> bool:
        """Whether the path leads from one frame to a later one."""
        if len(self.frames) < 2 or first < self.frames[0] or last > self.frames[-1]:
            return False
        low = int(np.searchsorted(self.frames, first, "right")) - 1
        high = int(np.searchsorted(self.frames, last))
        return not bool(self.lost[low:high].any())

    def at(self, times: np.ndarray) -> np.ndarray:
        """(m, 4) at any seconds; before the first frame and after the last one it stands still."""
        return np.asarray(CubicSpline(self.times, self.cameras)(np.clip(times, self.times[0], self.times[-1])))


def camera_path(analysis: Analysis, start: int, end: int, middle: np.ndarray) -> CameraPath | None:
    """The path through the frames [start, end) of one shot; None where hardly a step was measured.

    Args:
        middle: (2,) of the picture, in source pixels.
    """
    pairs = analysis.camera_frames
    within = np.flatnonzero((pairs[:, 0] >= start) & (pairs[:, 1] < end))
    frames = np.unique(pairs[within])
    if len(frames) < 3:
        return None
    times = analysis.pts[frames]
    rates = np.full((len(frames) - 1, 4), np.nan)  # a second, of every step; NaN also where a frame was passed over
    place = {int(frame): number for number, frame in enumerate(frames)}
    for step in within:
        first, last = (place[int(frame)] for frame in pairs[step])
        if last == first + 1:
            rates[first] = cameras_of(analysis.camera[step][None], middle)[0] / (times[last] - times[first])
    known = np.isfinite(rates).all(1)
    if known.sum() < 2:
        return None
    bridged = np.stack([np.interp(times[:-1], times[:-1][known], rates[known, k]) for k in range(4)], 1)
    steps = affines_of(bridged * np.diff(times)[:, None], middle)
    whole, chained = np.eye(3), [np.eye(3)]
    for step in steps:
        whole = np.vstack([step, [0, 0, 1]]) @ whole
        chained.append(whole)
    cameras = cameras_of(np.stack(chained)[:, :2], middle)
    cameras[:, 1] = np.unwrap(cameras[:, 1])
    return CameraPath(frames, times, cameras, _long_runs(~known), middle)


def _long_runs(unknown: np.ndarray) -> np.ndarray:
    """Of (n,) unknown steps those in runs of more than `MAX_LOST`, or at an end."""
    padded = np.concatenate([[False], unknown, [False]])
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    long = np.zeros(len(unknown), bool)
    for first, stop in edges.reshape(-1, 2):
        if stop - first > MAX_LOST or first == 0 or stop == len(unknown):
            long[first:stop] = True
    return long


def cameras_of(affines: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """(n, 4) log zoom, angle and shift of the middle of (n, 2, 3) similarities."""
    linear = affines[:, :, :2]
    shift = linear @ middle + affines[:, :, 2] - middle
    zoom = np.log(np.hypot(linear[:, 0, 0], linear[:, 1, 0]))
    return np.column_stack([zoom, np.arctan2(linear[:, 1, 0], linear[:, 0, 0]), shift])


def affines_of(cameras: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """(n, 2, 3) similarities of (n, 4) cameras."""
    cos, sin = (np.exp(cameras[:, 0]) * turn(cameras[:, 1]) for turn in (np.cos, np.sin))
    linear = np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], 1)
    return np.concatenate([linear, (middle + cameras[:, 2:] - linear @ middle)[..., None]], 2)

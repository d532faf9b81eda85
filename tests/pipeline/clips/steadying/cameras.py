"""Cameras made by hand, and analyses that have measured them."""

from dataclasses import replace

import numpy as np

from pipeline.analysis.arrays import Analysis
from pipeline.clips.steadying.camera_path import affines_of
from tests.pipeline.people import dance
from tests.pipeline.videos import blank_analysis

SHAPE = (960, 540)  # height, width
MIDDLE = np.array([270.0, 480.0])
FRAMES = 120


def wandering(frames: int = FRAMES, shake: float = 3.0, pan: float = 0.2, seed: int = 0) -> np.ndarray:
    """(frames, 4) cameras: a shake of so many pixels, a slow pan, a little zoom and roll."""
    rng = np.random.default_rng(seed)
    cameras = rng.normal(0, [0.002, 0.003, shake, shake], (frames, 4)) * (shake > 0)
    cameras[:, 2] += pan * np.arange(frames)
    cameras[:, 0] += 0.01 * np.sin(np.arange(frames) / 30)
    return cameras - cameras[0]


def measured(cameras: np.ndarray, rate: float = 25.0, every: int = 4) -> tuple[Analysis, np.ndarray]:
    """An analysis of a dancer before this camera, and her (frames, 33, 4) landmarks before one that stands."""
    frames = len(cameras)
    blank = blank_analysis(np.arange(frames) / rate, (), every)
    maps = affines_of(cameras, MIDDLE)
    whole = np.concatenate([maps, np.broadcast_to([[[0.0, 0.0, 1.0]]], (frames, 1, 3))], 1)
    true = dance(frames, 270, 750, 430, swing=0.05)
    seen = true.copy()
    seen[..., :2] = np.einsum("nij,nmj->nmi", maps[:, :, :2], true[..., :2]) + maps[:, None, :, 2]
    steps = (whole[1:] @ np.linalg.inv(whole[:-1]))[:, :2]
    found = seen[blank.pose_frames].astype(np.float32)
    pairs = np.stack([np.arange(frames - 1), np.arange(1, frames)], 1)
    return replace(
        blank, camera=steps, camera_frames=pairs, landmarks=found, people_end=np.arange(1, len(found) + 1)
    ), true

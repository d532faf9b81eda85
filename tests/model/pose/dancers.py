"""Drawn dancers with landmarks that are known: pictures of one shot, and where her joints are in each."""

import dataclasses
import functools

import numpy as np

from pipeline.synthetic.footage import LANDMARKS, Direction, Shot, shoot

SIZE = 192


@functools.lru_cache(maxsize=8)
def drawn(seed: int, frames: int = 90, size: int = SIZE) -> tuple[Shot, np.ndarray]:
    """A shot of one dancer, and her (frames, 33, 4) landmarks: the truth, visibility 1."""
    shot = shoot(
        Direction(
            seed=seed, width=size, height=size, stride=1, times=np.arange(frames) / 30, standing=0.7 * size,
            camera=None, act=None, dancer_key=seed, scenery_key=seed, framing_key=seed,
        )
    )  # fmt: skip
    shot = dataclasses.replace(shot, camera=np.repeat(shot.camera[:1], frames, 0))  # else it sways a little
    points = shot.joints()[:, 0]
    towards = np.stack([shot.figures[0].seen[name][:, 2] for name in LANDMARKS], 1)
    return shot, np.concatenate([points, -towards[..., None] * shot.standing, np.ones((*towards.shape, 1))], -1)


def psnr(a: np.ndarray, b: np.ndarray, where_HW: np.ndarray) -> float:
    """Of two uint8 pictures at some places, in dB."""
    error = ((a.astype(float) - b.astype(float))[where_HW] ** 2).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))

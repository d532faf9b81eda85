"""Frechet distances between sets of features, and measures whose networks the user brings (FVD, LPIPS)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.errors import MetricsError
from pipeline.analysis.pose_metrics import motion_features

FVD_WINDOW = 16
"""Frames of a window for the I3D network, as Unterthiner et al. 2018 cut them."""
MIN_WINDOWS = 8


@dataclass(frozen=True)
class Distance:
    """A distance, and how many windows each side had: few windows make it large."""

    value: float
    generated: int
    real: int

    def row(self) -> dict[str, float]:
        """As JSON."""
        return {"value": self.value, "windows_generated": self.generated, "windows_real": self.real}


def frechet_distance(one_ND: np.ndarray, other_ND: np.ndarray) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^1/2) of two sets' Gaussians (Dowson & Landau 1982)."""
    mean1, mean2 = one_ND.mean(0), other_ND.mean(0)
    cov1, cov2 = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (one_ND, other_ND))
    # tr (S1 S2)^1/2 by the eigenvalues of the symmetric S1^1/2 S2 S1^1/2, which are never negative.
    values, vectors = np.linalg.eigh(cov1)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ cov2 @ root).clip(min=0)).sum()
    distance = np.square(mean1 - mean2).sum() + np.trace(cov1) + np.trace(cov2) - 2 * cross
    return float(max(0.0, distance))


def joint_motion_distance(generated: Sequence[np.ndarray], real: Sequence[np.ndarray]) -> Distance | None:
    """Frechet distance of how bodies move, in units of the real spread; None with fewer than MIN_WINDOWS windows.

    Each side is a list of (frames, 33, 4) landmarks.
    """
    made, true = (np.concatenate([motion_features(x) for x in side]) for side in (generated, real))
    if min(len(made), len(true)) < MIN_WINDOWS:
        return None
    scale = true.std(0) + 1e-3
    return Distance(frechet_distance(made / scale, true / scale), len(made), len(true))


def load_scripted(path: Path, what: str) -> Any:
    """A TorchScript network. Raises MetricsError in one sentence."""
    if not path.is_file():
        raise MetricsError(f"There are no {what} weights at {path}: give the path of a TorchScript file.")
    try:
        return torch.jit.load(str(path), map_location="cpu").eval()
    except (RuntimeError, ValueError) as error:
        raise MetricsError(f"{path} is no TorchScript network for {what}: export it with torch.jit.save.") from error


def windows_of(frames: Iterable[np.ndarray], length: int) -> Iterator[np.ndarray]:
    """Frames in full windows of `length`, one after the other: uint8 (length, H, W, 3). None holds two sizes."""
    window: list[np.ndarray] = []
    for frame in frames:
        window = [*window, frame] if window and window[0].shape == frame.shape else [frame]
        if len(window) == length:
            yield np.stack(window)
            window = []


Videos = Iterable[Iterable[np.ndarray]]
"""Frames of one video after the other."""


@torch.inference_mode()
def fvd(generated: Videos, real: Videos, weights: Path) -> Distance:
    """Frechet video distance by an I3D in TorchScript (that of StyleGAN-V: uint8 levels in, 400 features out).

    Each video's frames are cut into windows of 16. Raises MetricsError.
    """
    network = load_scripted(weights, "FVD")
    sides = []
    for videos in (generated, real):
        rows = []
        for window in (window for frames in videos for window in windows_of(frames, FVD_WINDOW)):
            clip_BCTHW = torch.from_numpy(window).permute(3, 0, 1, 2)[None].float()
            rows.append(network(clip_BCTHW, rescale=True, resize=True, return_features=True)[0].numpy())
        sides.append(np.array(rows))
    if min(len(side) for side in sides) < 2:
        raise MetricsError(f"FVD needs two windows of {FVD_WINDOW} frames on either side: give longer videos.")
    return Distance(frechet_distance(*sides), len(sides[0]), len(sides[1]))


@torch.inference_mode()
def lpips(generated: Iterable[np.ndarray], real: Iterable[np.ndarray], weights: Path) -> list[float]:
    """LPIPS of each frame against the real one, by a network in TorchScript: two (1, 3, H, W) in [-1, 1] to a number.

    Raises MetricsError.
    """
    network = load_scripted(weights, "LPIPS")
    values = []
    for one, other in zip(generated, real):
        pair = [torch.from_numpy(np.array(x)).permute(2, 0, 1)[None].float() / 127.5 - 1 for x in (one, other)]
        values.append(float(network(*pair).reshape(-1)[0]))
    return values

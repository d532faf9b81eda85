"""A pose as a picture for a network: one channel for each part of the body, so that left and right are told apart."""

from __future__ import annotations

import numpy as np

from model.pose.body_parts import PARTS, Capsules, capsules
from model.pose.cover import cover_of, far_to_near

BACK, DEPTH = len(PARTS), len(PARTS) + 1
LIMB_CHANNELS = len(PARTS) + 2
"""The parts; a trunk that is seen from behind once more; and how near to the camera what is seen is."""


def limb_map(landmarks: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(LIMB_CHANNELS, H, W) float32 of (33, 4) landmarks in pixels of a map of that height and width.

    A part's channel holds the share of a pixel that the part covers, as far as one capsule's edge can tell, times the
    least visibility of its joints. Depth is in standing heights, counted from the trunk towards the camera. What is
    not known is 0 everywhere.
    """
    body, visibility = capsules(landmarks), _visibility(landmarks)
    ys, xs = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    grid = np.stack([xs, ys], -1)
    channels = np.zeros((LIMB_CHANNELS, *shape), np.float32)
    for number in far_to_near(body):
        cover = cover_of(body, number, grid, 1.0)
        if cover is None:
            continue
        share = np.clip(0.5 - cover.outside, 0, 1) * visibility[number]
        channels[number][cover.window] = share
        nearer = channels[DEPTH][cover.window]
        nearer += share * (_towards_camera(body, number) - nearer)
    if body.width_P2[0, 0] < 0:
        channels[BACK] = channels[0]
    return channels


def limb_maps(landmarks: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(F, LIMB_CHANNELS, H, W) float32 of (F, 33, 4) landmarks."""
    return np.stack([limb_map(frame, shape) for frame in landmarks])


def to_cells(landmarks: np.ndarray, factor: int) -> np.ndarray:
    """Landmarks in pixels in units of latents that are `factor` pixels wide; the middle of the first is at 0."""
    scaled = landmarks.copy()
    scaled[..., :2] = (landmarks[..., :2] + 0.5) / factor - 0.5
    scaled[..., 2] = landmarks[..., 2] / factor
    return scaled


def _visibility(landmarks: np.ndarray) -> np.ndarray:
    """(parts,) the least of each part's joints; 1 for landmarks that do not tell."""
    seen = np.nan_to_num(landmarks[:, 3], nan=0.0).clip(0, 1)
    return np.array([seen[[*part.start, *part.end]].min() for part in PARTS])


def _towards_camera(body: Capsules, number: int) -> float:
    apart = body.depth_P[0] - body.depth_P[number]
    return float(np.nan_to_num(apart / body.height))

"""How alike clips are: near duplicates, and clips unlike all others; by CLIP of the user's, or by small pictures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from model.data.latents import decode_video

FRAMES, SIDE, NEIGHBOURS = 4, 12, 5
ALIKE = 0.98
"""Cosine similarity above which two clips are printed as near duplicates."""


def score(clips: list[dict[str, Any]], clip: str | None = None, alike: float = ALIKE) -> list[dict[str, float]]:
    """`nearest`: cosine similarity to the most similar other clip; `outlier`: 1 less the mean over its five nearest.

    clip: folder of a CLIP model; without it an embedding is four frames at 12x12, colours and all, which finds the same
    footage again and no more. All clips at once; near duplicates are printed.
    """
    embedded_ND = np.stack([embed(one, clip) for one in clips])
    embedded_ND -= embedded_ND.mean(0)  # what all clips share says nothing
    embedded_ND /= np.maximum(np.linalg.norm(embedded_ND, axis=1, keepdims=True), 1e-12)
    similarity_NN = embedded_ND @ embedded_ND.T
    np.fill_diagonal(similarity_NN, -np.inf)
    pairs = [(int(a), int(b)) for a, b in np.argwhere(similarity_NN >= alike) if a < b]
    for a, b in pairs[:20]:
        print(
            f"near duplicates ({similarity_NN[a, b]:.3f}): {clips[a]['clip_id']} {clips[b]['clip_id']}", file=sys.stderr
        )
    if len(clips) < 2:
        return [{"nearest": float("nan"), "outlier": float("nan")} for _ in clips]
    near_NK = np.sort(similarity_NN, 1)[:, ::-1][:, : min(NEIGHBOURS, len(clips) - 1)]
    return [{"nearest": float(near[0]), "outlier": float(1 - near.mean())} for near in near_NK]


def frames_of(clip: dict[str, Any]) -> np.ndarray:
    """FRAMES frames of the clip, evenly spaced, uint8 (FRAMES, H, W, 3)."""
    frames = decode_video(Path(clip["mp4"]).read_bytes())
    return np.asarray(frames[np.linspace(0, len(frames) - 1, FRAMES).round().astype(int)])


def embed(clip: dict[str, Any], folder: str | None) -> np.ndarray:
    """A vector of one clip."""
    frames = frames_of(clip)
    if folder is None:
        small = [
            np.asarray(Image.fromarray(frame).resize((SIDE, SIDE), Image.Resampling.BOX), float) for frame in frames
        ]
        return np.concatenate([one.ravel() for one in small]) / 255
    from model.scorers.clip_model import ClipModel

    return ClipModel.of(folder).pictures(frames).mean(0)

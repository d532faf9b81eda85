"""An aesthetic score by a CLIP model of the user's: by a linear head, as LAION's predictor is one, or by two texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from model.scorers.clip_model import ClipModel
from model.scorers.embeddings import frames_of

GOOD, BAD = "a beautiful, sharp, well lit photograph", "an ugly, blurred, badly lit photograph"
SCALE = 100.0  # of similarities, as CLIP was trained


def score(clips: list[dict[str, Any]], clip: str, head: str | None = None) -> list[dict[str, float]]:
    """`score` of each clip, the mean over four frames.

    clip: folder of the CLIP model. head: a safetensors file with `weight` (1, D) and `bias` (1,); without one the score
    is how much likelier CLIP finds GOOD than BAD, 0 to 1.
    """
    model = ClipModel.of(clip)
    if head is not None:
        weights = load_file(Path(head).expanduser())
        return [
            {"score": float((model.pictures(frames_of(one)) @ weights["weight"].T + weights["bias"]).mean())}
            for one in clips
        ]
    good, bad = model.texts([GOOD, BAD])
    found = []
    for one in clips:
        seen = model.pictures(frames_of(one))
        found.append({"score": float((1 / (1 + np.exp(-SCALE * (seen @ good - seen @ bad)))).mean())})
    return found

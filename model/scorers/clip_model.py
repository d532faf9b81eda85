"""A CLIP model out of a folder of the user's (Radford et al. 2021), loaded once for a process."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import normalize


class ClipModel:
    """Unit vectors of pictures and of texts."""

    def __init__(self, folder: str) -> None:
        from transformers import CLIPModel, CLIPProcessor

        if not Path(folder).expanduser().is_dir():
            raise SystemExit(f"{folder!r} is no folder: give that of a CLIP model in transformers' format")
        where = str(Path(folder).expanduser())
        self._model: Any = CLIPModel.from_pretrained(where, local_files_only=True).eval()
        self._processor: Any = CLIPProcessor.from_pretrained(where, local_files_only=True)

    @classmethod
    @functools.cache
    def of(cls, folder: str) -> ClipModel:
        """The model of a folder."""
        return cls(folder)

    @torch.inference_mode()
    def pictures(self, frames: np.ndarray) -> np.ndarray:
        """(N, D) of uint8 frames (N, H, W, 3)."""
        pixels = self._processor(images=[Image.fromarray(frame) for frame in frames], return_tensors="pt")[
            "pixel_values"
        ]
        vision = self._model.vision_model(pixel_values=pixels).pooler_output
        return np.asarray(normalize(self._model.visual_projection(vision), dim=-1).numpy())

    @torch.inference_mode()
    def texts(self, texts: list[str]) -> np.ndarray:
        """(N, D) of sentences."""
        tokens = self._processor(text=texts, return_tensors="pt", padding=True, truncation=True)
        said = self._model.text_model(**tokens).pooler_output
        return np.asarray(normalize(self._model.text_projection(said), dim=-1).numpy())

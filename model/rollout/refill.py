"""What lies outside of the picture that a video begins with, made again in every frame that a network made.

No network learns what it is (it weighs nothing in the loss): what one makes there would go from call to call, and at
last into the picture. So it is what it was in training, a function of the picture alone.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from model.data.codec import Codec
from model.data.counted import counted_cells, counted_mask
from pipeline.clips.fill import Rectangle, refill


def filled_frames(frames_FHWC: np.ndarray, region: Rectangle | None) -> np.ndarray:
    """Frames with what lies outside of the region filled from what lies within; None: nothing does."""
    return frames_FHWC if region is None else refill(frames_FHWC, np.array([region]))


def refilled(latents_FCHW: Tensor, region: Rectangle | None, codec: Codec) -> Tensor:
    """The latents that count as they were made, the others as those of the same frames filled again."""
    if region is None:
        return latents_FCHW
    cells = counted_cells(np.array([region]), codec.picture, codec)
    counted = torch.from_numpy(counted_mask(cells, [0], *latents_FCHW.shape[2:]))
    return torch.where(counted, latents_FCHW, codec.encode(filled_frames(codec.decode(latents_FCHW), region)))

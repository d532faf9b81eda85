"""A gate through which a frame gets the first picture's own pixels back, where the network kept what that shows.

A codec loses fine detail, of a wall that stands still as of a face that moves. Where a made frame's latents are those
of the first picture, moved to the frame's pose, what the codec took from the moved picture is known, and given back.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from model.data.codec import Codec


def gate_of(made_FCHW: Tensor, shown_FCHW: Tensor, halfway: float) -> Tensor:
    """(F, H, W) how far the gate is open, 1 where both latents are the same, half where their mean squared difference
    is `halfway`."""
    return 1 / (1 + (made_FCHW - shown_FCHW).float().square().mean(1) / halfway)


def with_detail(
    codec: Codec, frames_FHWC: np.ndarray, made_FCHW: Tensor, shown_FHWC: np.ndarray, halfway: float
) -> np.ndarray:
    """Decoded frames with the detail that the codec took from what the first picture shows of them; all uint8.

    Args:
        frames_FHWC: `made`, decoded.
        made_FCHW: the latents that a network made.
        shown_FHWC: the first picture, in each frame's pose where a dance is given.
        halfway: of `gate_of`, above 0.
    """
    shown_FCHW = codec.encode(shown_FHWC)
    gate = gate_of(made_FCHW, shown_FCHW, halfway)
    size = (shown_FHWC.shape[1], shown_FHWC.shape[2])
    opened = torch.nn.functional.interpolate(gate[:, None], size=size, mode="bilinear")[:, 0].numpy()[..., None]
    lost = shown_FHWC.astype(np.float32) - codec.decode(shown_FCHW)
    return np.asarray((frames_FHWC + opened * lost).round().clip(0, 255), np.uint8)

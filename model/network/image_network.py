"""diffusers' image network and its parts, imported without bitsandbytes.

diffusers imports bitsandbytes wherever it is installed, for networks of 8 or 4 bits, which none of ours is; that brings
torch's compiler, a second of every start. `model.training.adam8bit` imports it where Adam keeps 8 bits.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hidden(name: str, user: str) -> Iterator[None]:
    """Within the block a package cannot be found, unless it is there already or its user has looked for it before."""
    if name in sys.modules or user in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


with hidden("bitsandbytes", "diffusers"):
    from diffusers import ConfigMixin, ModelMixin, UNet2DConditionModel
    from diffusers.configuration_utils import register_to_config
    from diffusers.models.activations import GEGLU
    from diffusers.models.attention import BasicTransformerBlock
    from diffusers.models.downsampling import Downsample2D
    from diffusers.models.resnet import ResnetBlock2D
    from diffusers.models.upsampling import Upsample2D

__all__ = [
    "GEGLU",
    "BasicTransformerBlock",
    "ConfigMixin",
    "Downsample2D",
    "ModelMixin",
    "ResnetBlock2D",
    "UNet2DConditionModel",
    "Upsample2D",
    "register_to_config",
]

"""Networks made from nothing: the shape of each preset's 2-D network, and how its output is read."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from model.network.diffusion import PredictionType


class UNetPreset(BaseModel):
    """A network made from nothing: the 2-D network's shape, and how its output is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    block_out_channels: tuple[PositiveInt, ...] = Field(min_length=1)
    attention_levels: NonNegativeInt  # so many levels have transformers,
    first_attention_level: NonNegativeInt  # from this one on; 0 is the finest
    layers_per_block: PositiveInt
    attention_head_dim: PositiveInt  # diffusers' name for the number of heads
    norm_num_groups: PositiveInt
    prediction_type: PredictionType
    residual_std: PositiveFloat | None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        levels = len(self.block_out_channels)
        if self.first_attention_level + self.attention_levels > levels:
            raise ValueError(f"there are {levels} levels, and attention is wanted beyond the last")
        return self

    def unet2d_config(self, latent_channels: int, text_channels: int) -> dict[str, Any]:
        """Arguments of UNet2DConditionModel, for C latent channels: 2C + 1 in, C out (with a residual's spread, 2C)."""
        first = self.first_attention_level
        attends = [0 <= level - first < self.attention_levels for level in range(len(self.block_out_channels))]
        return {
            "in_channels": 2 * latent_channels + 1,
            "out_channels": latent_channels * (1 if self.residual_std is None else 2),
            "block_out_channels": self.block_out_channels,
            "down_block_types": tuple("CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attends),
            "up_block_types": tuple("CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attends)),
            "layers_per_block": self.layers_per_block,
            "attention_head_dim": self.attention_head_dim,
            "norm_num_groups": self.norm_num_groups,
            "cross_attention_dim": text_channels,
        }


NETWORK_PRESETS: dict[str, UNetPreset] = {
    "tiny": UNetPreset(
        block_out_channels=(32, 64, 128),
        attention_levels=2,
        first_attention_level=1,
        layers_per_block=1,
        attention_head_dim=4,
        norm_num_groups=16,
        prediction_type="v_prediction",
        residual_std=0.5,
    ),
    "sd15": UNetPreset(
        block_out_channels=(320, 640, 1280, 1280),
        attention_levels=3,
        first_attention_level=0,
        layers_per_block=2,
        attention_head_dim=8,
        norm_num_groups=32,
        prediction_type="epsilon",
        residual_std=None,
    ),
}

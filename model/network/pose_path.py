"""The way of a pose into the network: a map of limbs to what is added to the input convolution's output."""

from __future__ import annotations

from torch import Tensor, nn

HIDDEN = 32


class PosePath(nn.Module):
    """Two convolutions, the last of them zero: at first the network computes what it computes without a pose.

    AnimateAnyone's pose guider (Hu 2023, section 3.2) adds likewise; with latents this small it needs no strides.
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(channels, HIDDEN, 3, padding=1)
        self.out = nn.Conv2d(HIDDEN, out_channels, 3, padding=1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Zero the output layer."""
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, limbs_NMHW: Tensor) -> Tensor:
        """(B*F, M, H, W) to (B*F, C, H, W)."""
        return self.out(nn.functional.silu(self.hidden(limbs_NMHW)))

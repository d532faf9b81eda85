"""Turn diffusers' 2-D UNet into one for windows of frames, in place, without changing what it computes.

After every 2-D convolution of ResNets, samplers, input and output stands a temporal convolution; after every
transformer block a temporal attention. Transformers' 1x1 projections stay as they are.
"""

from __future__ import annotations

from torch import Tensor, nn

from model.errors import ChannelCountError
from model.network import memory_efficient
from model.network.conditioning import FrameEmbedding
from model.network.image_network import (
    BasicTransformerBlock,
    Downsample2D,
    ResnetBlock2D,
    UNet2DConditionModel,
    Upsample2D,
)
from model.network.temporal import FrameAxis, TemporalAttention, TemporalConv

# Attribute names of all new layers: a parameter is new if one of these is in its dotted name.
NEW_LAYERS = ("temporal", "hint_conv", "frame_embedding", "pose_path")


class InflatedConv(nn.Module):
    """A 2-D convolution, then a temporal one."""

    def __init__(self, spatial: nn.Conv2d, axis: FrameAxis) -> None:
        super().__init__()
        self.spatial = spatial
        self.temporal = TemporalConv(spatial.out_channels, axis)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(B*F, C, H, W) to (B*F, C', H', W')."""
        return self.temporal(self.spatial(x_NCHW))


class InputConv(InflatedConv):
    """An inflated input convolution, to whose output the pose is added."""

    def __init__(self, spatial: nn.Conv2d, axis: FrameAxis) -> None:
        super().__init__(spatial, axis)
        self.axis = axis

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(B*F, C, H, W) to (B*F, C', H, W)."""
        return self.temporal(_posed(self.spatial(x_NCHW), self.axis))


class GrownInputConv(nn.Module):
    """An input convolution that grew by `[mask | hint]` channels, whose weights are zero.

    The new weights are a convolution of their own: the old ones stay as they were, can stay frozen, and the
    sum of the two is exactly the old one's output at first.
    """

    def __init__(self, spatial: nn.Conv2d, extra_channels: int, axis: FrameAxis) -> None:
        super().__init__()
        self.spatial = spatial
        kernel = int(spatial.kernel_size[0])
        self.hint_conv = nn.Conv2d(extra_channels, spatial.out_channels, kernel, padding=kernel // 2, bias=False)
        self.temporal = TemporalConv(spatial.out_channels, axis)
        self.axis = axis
        nn.init.zeros_(self.hint_conv.weight)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(B*F, C + extra, H, W) to (B*F, C', H, W)."""
        noisy, extra = x_NCHW.split([self.spatial.in_channels, self.hint_conv.in_channels], dim=1)
        weight, around = self.hint_conv.weight, self.hint_conv.weight.shape[-1] // 2
        grown = memory_efficient.conv2d(extra, weight, None, padding=(around, around))
        return self.temporal(_posed(self.spatial(noisy) + grown, self.axis))


def _posed(x_NCHW: Tensor, axis: FrameAxis) -> Tensor:
    pose = axis.state.pose_NCHW
    return x_NCHW if pose is None else x_NCHW + pose.to(x_NCHW.dtype)


class InflatedTransformerBlock(nn.Module):
    """diffusers' transformer block on each frame, then attention over frames."""

    def __init__(self, spatial: BasicTransformerBlock, axis: FrameAxis) -> None:
        super().__init__()
        self.spatial = spatial
        self.temporal = TemporalAttention(spatial.dim, axis)

    def forward(self, hidden_states: Tensor, *args: object, **kwargs: object) -> Tensor:
        """(B*F, pixels, C) to the same shape; the other arguments are the 2-D block's."""
        return self.temporal(self.spatial(hidden_states, *args, **kwargs))


class FrameTimeEmbedding(nn.Module):
    """The 2-D network's time embedding, plus what is known about each frame (zero at first)."""

    def __init__(self, spatial: nn.Module, axis: FrameAxis) -> None:
        super().__init__()
        self.spatial = spatial
        self.axis = axis

    def forward(self, t_emb: Tensor, timestep_cond: Tensor | None = None) -> Tensor:
        """(B*F, D) of timestep features to (B*F, D')."""
        time_ND = self.spatial(t_emb, timestep_cond)
        return time_ND + self.axis.state.embedding_BFD.flatten(0, 1).to(time_ND.dtype)


def inflate(unet: UNet2DConditionModel, latent_channels: int, axis: FrameAxis) -> FrameEmbedding:
    """Put the temporal layers into `unet`, in place; the frame embedding that goes with it is returned.

    The input grows from C latent channels to 2C + 1 unless it already has them.
    Raises ChannelCountError for any other number.
    """
    channels, given = latent_channels, unet.config.in_channels
    if given not in (channels, 2 * channels + 1):
        raise ChannelCountError(
            f"The 2-D network takes {given} channels and makes {channels}: expected {channels} (text to "
            f"image) or {2 * channels + 1} (inpaint); use such a checkpoint."
        )
    time_channels = unet.time_embedding.linear_2.out_features
    for module in list(unet.modules()):
        _inflate_convolutions(module, axis)
        _inflate_transformers(module, axis)
    if given == channels:
        unet.conv_in = GrownInputConv(unet.conv_in, channels + 1, axis)
    else:
        unet.conv_in = InputConv(unet.conv_in, axis)
    unet.conv_out = InflatedConv(unet.conv_out, axis)
    unet.time_embedding = FrameTimeEmbedding(unet.time_embedding, axis)
    return FrameEmbedding(time_channels)


def _inflate_convolutions(module: nn.Module, axis: FrameAxis) -> None:
    names: tuple[str, ...] = ()
    if isinstance(module, ResnetBlock2D):
        names = ("conv1", "conv2", "conv_shortcut")
    elif isinstance(module, Upsample2D | Downsample2D):
        names = ("conv",)
    for name in names:
        conv = getattr(module, name)
        if isinstance(conv, nn.Conv2d):
            setattr(module, name, InflatedConv(conv, axis))


def _inflate_transformers(module: nn.Module, axis: FrameAxis) -> None:
    blocks = getattr(module, "transformer_blocks", None)
    if isinstance(blocks, nn.ModuleList):
        for number, block in enumerate(blocks):
            blocks[number] = InflatedTransformerBlock(block, axis)


def is_new(parameter_name: str) -> bool:
    """Whether a parameter of that dotted name belongs to a layer that the 2-D network did not have."""
    return not set(NEW_LAYERS).isdisjoint(parameter_name.split("."))

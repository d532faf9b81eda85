"""The layers that see time: a 1-D convolution and an attention over frames, both nothing at first.

Frames are folded into the batch everywhere else, so these layers are told the window through `FrameAxis`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.errors import ShapeError
from model.network import memory_efficient


@dataclass(frozen=True)
class FrameState:
    """One forward pass's window: real frame indices, and what the frame embedding makes of them."""

    index_BF: Tensor  # noqa: N815
    embedding_BFD: Tensor  # noqa: N815
    pose_NCHW: Tensor | None = None  # noqa: N815
    """What the pose adds to the input convolution's output; None where no pose is told."""
    _rotary: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        """Frames of the window, the factor by which the batch is folded."""
        return self.index_BF.shape[1]

    def rotary(self, head_dim: int) -> tuple[Tensor, Tensor]:
        """cos and sin for `rotate`, each (B, 1, 1, F, head_dim / 2); shared by all layers of that width."""
        if head_dim not in self._rotary:
            self._rotary[head_dim] = rotary_angles(self.index_BF, head_dim)
        return self._rotary[head_dim]


class FrameAxis:
    """Where the layers of one network find the window of the pass they are in."""

    def __init__(self) -> None:
        self._state: FrameState | None = None

    @property
    def state(self) -> FrameState:
        """The window in use. Raises ShapeError outside of `VideoUNet.forward`."""
        if self._state is None:
            raise ShapeError("A temporal layer was called without a window: call the VideoUNet that holds it.")
        return self._state

    @contextmanager
    def use(self, state: FrameState) -> Iterator[None]:
        """Within it, `state` is the window; afterwards the one before again."""
        before, self._state = self._state, state
        try:
            yield
        finally:
            self._state = before


class TemporalConv(nn.Module):
    """1-D convolution over frames, kernel 3: exactly the identity at first (Dirac weight, zero bias).

    Pixels are untouched: (B*F, C, H, W) is seen as (B, C, F, H*W) and convolved with a 3x1 kernel, which in
    channels-last memory is a view, not a copy.
    """

    def __init__(self, channels: int, axis: FrameAxis) -> None:
        super().__init__()
        self.axis = axis
        self.weight = nn.Parameter(torch.empty(channels, channels, 3))
        self.bias = nn.Parameter(torch.empty(channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Identity in time."""
        nn.init.dirac_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(B*F, C, H, W) to the same shape, in x's dtype."""
        x_BCFP = x_NCHW.unflatten(0, (-1, self.axis.state.frames)).transpose(1, 2).flatten(3)
        y_BCFP = memory_efficient.conv2d(x_BCFP, self.weight[..., None], self.bias, padding=(1, 0))
        return y_BCFP.unflatten(3, x_NCHW.shape[2:]).transpose(1, 2).flatten(0, 1)


class TemporalAttention(nn.Module):
    """x + attention over the frames of each pixel; nothing at first, as the output projection is zero.

    Positions are rotary (Su et al. 2021, eq. 34) on real frame indices: only how far frames lie apart in time
    counts, not their place in the window. Full attention, by torch's SDPA.
    """

    def __init__(self, channels: int, axis: FrameAxis, max_head_dim: int = 64) -> None:
        super().__init__()
        self.axis = axis
        self.head_dim = math.gcd(channels, max_head_dim)
        if self.head_dim % 2:
            raise ShapeError(f"{channels} channels make heads of {self.head_dim}: rotary positions need an even size.")
        self.norm = nn.LayerNorm(channels)
        self.to_qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.to_out = nn.Linear(channels, channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Zero the output projection alone: with a second zero factor neither would ever get a gradient."""
        nn.init.zeros_(self.to_out.weight)
        nn.init.zeros_(self.to_out.bias)

    def forward(self, x_NPC: Tensor) -> Tensor:
        """(B*F, pixels, C) to the same shape, in x's dtype."""
        state = self.axis.state
        norm = (self.norm.normalized_shape, self.norm.weight.to(x_NPC.dtype), self.norm.bias.to(x_NPC.dtype))
        normed = F.layer_norm(x_NPC, *norm, self.norm.eps)
        qkv = memory_efficient.linear(
            normed.unflatten(0, (-1, state.frames)).transpose(1, 2).contiguous(), self.to_qkv.weight
        )
        q, k, v = qkv.unflatten(-1, (3, -1, self.head_dim)).unbind(3)
        cos, sin = (x.transpose(2, 3) for x in state.rotary(self.head_dim))
        # A copy of v lets go of the unturned q and k, which share its memory. The attention's result lies as q
        # does: so that what it keeps for its backward pass is also what the projection keeps.
        turned = (rotate(q, cos, sin), rotate(k, cos, sin), v.contiguous())
        out_BPHFD = full_attention(*(x_BPFHD.transpose(2, 3) for x_BPFHD in turned))
        out_BPFC = memory_efficient.linear(out_BPHFD.transpose(2, 3).flatten(3), self.to_out.weight, self.to_out.bias)
        return x_NPC + out_BPFC.transpose(1, 2).flatten(0, 1)


def full_attention(q_BPHFD: Tensor, k_BPHFD: Tensor, v_BPHFD: Tensor) -> Tensor:
    """softmax(q k / sqrt(D)) v over F, for every batch, pixel and head by itself."""
    q, k, v = (x.flatten(0, 1) for x in (q_BPHFD, k_BPHFD, v_BPHFD))
    return F.scaled_dot_product_attention(q, k, v).unflatten(0, q_BPHFD.shape[:2])


def rotary_angles(index_BF: Tensor, head_dim: int, base: float = 10_000.0) -> tuple[Tensor, Tensor]:
    """cos and sin of index * base^(-2i/head_dim), each (B, 1, 1, F, head_dim / 2), float32."""
    exponent = torch.arange(0, head_dim, 2, device=index_BF.device, dtype=torch.float32) / head_dim
    angle = index_BF.float()[:, None, None, :, None] * base**-exponent
    return angle.cos(), angle.sin()


def rotate(x_BPHFD: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair (x_i, x_{i + D/2}) by its angle; in x's dtype."""
    a, b = x_BPHFD.chunk(2, dim=-1)
    cos, sin = cos.to(x_BPHFD.dtype), sin.to(x_BPHFD.dtype)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)

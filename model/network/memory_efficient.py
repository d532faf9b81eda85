"""Layers that keep less for the backward pass than torch's own and compute the same, bit for bit.

torch keeps the input of a convolution whose weight is frozen, the half-precision copy of a weight that is cast for
its use, and both ends of SiLU and GELU. Here a frozen convolution keeps nothing, a cast is made again, and what is
elementwise is computed again from what the layer before it keeps anyway. No layer runs twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from model.network.image_network import GEGLU, ResnetBlock2D

Pair = tuple[int, int]


def conv2d(
    x_NCHW: Tensor, weight: Tensor, bias: Tensor | None, stride: Pair = (1, 1), padding: Pair = (0, 0)
) -> Tensor:
    """`F.conv2d` in x's dtype, for a weight of any; keeps x only if the weight learns, and no copy of the weight."""
    if torch.is_autocast_enabled(x_NCHW.device.type) or (weight.requires_grad and weight.dtype == x_NCHW.dtype):
        return F.conv2d(x_NCHW, weight, bias, stride, padding)
    return _Conv2d.apply(x_NCHW, weight, bias, stride, padding)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`F.linear` in x's dtype, for a weight of any; keeps no copy of the weight."""
    if torch.is_autocast_enabled(x.device.type) or weight.dtype == x.dtype:
        return F.linear(x, weight, bias)
    return _Linear.apply(x, weight, bias)


def _cast(tensor: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    return None if tensor is None else tensor.to(dtype)


def _wanted(gradients: Sequence[Tensor], needed: Sequence[bool], dtype: torch.dtype) -> list[Tensor | None]:
    """Gradients in their weights' type; None for what is frozen, whatever a kernel gives for it."""
    return [gradient.to(dtype) if need else None for gradient, need in zip(gradients, needed, strict=True)]


class _Conv2d(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: Pair, padding: Pair) -> Tensor:
        learns = ctx.needs_input_grad[1]
        ctx.save_for_backward(x if learns else None, weight)
        ctx.like = x.shape, x.dtype, x.is_contiguous(memory_format=torch.channels_last)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, weight.to(x.dtype), _cast(bias, x.dtype), stride, padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        shape, dtype, channels_last = ctx.like
        if x is None:  # the kernel asks for its shape and layout alone
            layout = torch.channels_last if channels_last else torch.contiguous_format
            x = torch.empty(shape, dtype=dtype, device=grad.device, memory_format=layout)
        size, needed = [weight.shape[0]], list(ctx.needs_input_grad[:3])
        places = (list(ctx.stride), list(ctx.padding), [1, 1], False, [0, 0], 1)
        grads = torch.ops.aten.convolution_backward(grad, x, weight.to(dtype), size, *places, needed)
        return grads[0], *_wanted(grads[1:], needed[1:], weight.dtype), None, None


class _Linear(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, weight)
        return F.linear(x, weight.to(x.dtype), _cast(bias, x.dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        flat = grad.flatten(0, -2)
        grad_x = grad @ weight.to(grad.dtype) if ctx.needs_input_grad[0] else None
        grad_weight = (flat.T @ x.flatten(0, -2)).to(weight.dtype) if ctx.needs_input_grad[1] else None
        grad_bias = flat.sum(0).to(weight.dtype) if ctx.needs_input_grad[2] else None
        return grad_x, grad_weight, grad_bias


class _Geglu(Function):
    @staticmethod
    def forward(ctx: Any, projected: Tensor) -> Tensor:
        ctx.save_for_backward(projected)
        hidden, gate = projected.chunk(2, dim=-1)
        return hidden * F.gelu(gate)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (projected,) = ctx.saved_tensors
        hidden, gate = projected.chunk(2, dim=-1)
        out = torch.empty_like(projected)
        into_hidden, into_gate = out.chunk(2, dim=-1)
        into_hidden.copy_(grad * F.gelu(gate))
        into_gate.copy_(torch.ops.aten.gelu_backward(grad * hidden, gate))
        return out


class _GroupNormSilu(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float) -> Tensor:
        x = _dense(x)
        normed, mean, rstd = _normed(x, weight, bias, groups, eps)
        ctx.save_for_backward(x, weight, bias, mean, rstd)
        ctx.groups, ctx.eps = groups, eps
        return F.silu(normed)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, rstd = ctx.saved_tensors
        normed = _normed(x, weight, bias, ctx.groups, ctx.eps)[0]
        grad = torch.ops.aten.silu_backward(grad, normed)
        del normed
        x = _norms_layout(x)
        shape = (x.shape[0], x.shape[1], x.shape[2:].numel(), ctx.groups)
        grad = grad.contiguous(memory_format=_layout(x))
        cast, needed = weight.to(x.dtype), list(ctx.needs_input_grad[:3])
        grads = torch.ops.aten.native_group_norm_backward(grad, x, mean, rstd, cast, *shape, needed)
        return grads[0], *_wanted(grads[1:], needed[1:], weight.dtype), None, None


def _layout(x: Tensor) -> torch.memory_format:
    return torch.contiguous_format if x.is_contiguous() else torch.channels_last


def _dense(x: Tensor) -> Tensor:
    """x in one of the two layouts that a group norm takes."""
    return x if x.is_contiguous(memory_format=torch.channels_last) else x.contiguous()


def _norms_layout(x: Tensor) -> Tensor:
    """On a GPU the group norm takes one layout alone."""
    return x if x.device.type == "cpu" else x.contiguous()


def _normed(x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    x = _norms_layout(x)
    shape = (x.shape[0], x.shape[1], x.shape[2:].numel(), groups, eps)
    normed, mean, rstd = torch.native_group_norm(x, weight.to(x.dtype), bias.to(x.dtype), *shape)
    return normed, mean, rstd


def geglu(projected: Tensor) -> Tensor:
    """hidden * gelu(gate) of a projection's two halves (Shazeer 2020); keeps the projection alone."""
    return _Geglu.apply(projected)


def group_norm_silu(x_NCHW: Tensor, norm: nn.GroupNorm) -> Tensor:
    """silu(norm(x)); keeps x alone."""
    return _GroupNormSilu.apply(x_NCHW, norm.weight, norm.bias, norm.num_groups, norm.eps)


class LeanConv2d(nn.Conv2d):
    """A convolution that keeps nothing while it is frozen."""

    def forward(self, input: Tensor) -> Tensor:
        """See `torch.nn.Conv2d`."""
        if self.groups > 1 or self.dilation != (1, 1) or self.padding_mode != "zeros" or isinstance(self.padding, str):
            return super().forward(input)
        return conv2d(input, self.weight, self.bias, self.stride, self.padding)  # type: ignore[arg-type]


class LeanGEGLU(GEGLU):
    """diffusers' GEGLU, without its two intermediate results."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(..., C) to (..., 4C)."""
        return geglu(self.proj(hidden_states))


class LeanResnetBlock(ResnetBlock2D):
    """diffusers' ResNet block as Stable Diffusion has it (`is_plain`), without the norms' results."""

    def forward(self, input_tensor: Tensor, temb: Tensor) -> Tensor:
        """(N, C, H, W) and the time embedding (N, D) to (N, C', H, W)."""
        hidden = self.conv1(group_norm_silu(input_tensor, self.norm1))
        hidden = hidden + self.time_emb_proj(self.nonlinearity(temb))[:, :, None, None]
        hidden = self.conv2(self.dropout(group_norm_silu(hidden, self.norm2)))
        skip = input_tensor if self.conv_shortcut is None else self.conv_shortcut(input_tensor)
        return (skip + hidden) / self.output_scale_factor


def is_plain(block: ResnetBlock2D) -> bool:
    """Whether a ResNet block is of the kind that `LeanResnetBlock` computes."""
    return (
        block.upsample is None
        and block.downsample is None
        and block.time_emb_proj is not None
        and block.time_embedding_norm == "default"
        and not block.skip_time_act
        and isinstance(block.nonlinearity, nn.SiLU)
    )


def make_lean(network: nn.Module) -> None:
    """Turn the layers of a network into lean ones, in place; parameters and their names stay."""
    for module in network.modules():
        if type(module) is nn.Conv2d:
            module.__class__ = LeanConv2d
        elif type(module) is GEGLU:
            module.__class__ = LeanGEGLU
        elif type(module) is ResnetBlock2D and is_plain(module):
            module.__class__ = LeanResnetBlock

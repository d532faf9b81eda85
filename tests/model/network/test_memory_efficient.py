"""Lean layers compute what torch's and diffusers' do, forward and backward, and keep less."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from diffusers.models.activations import GEGLU
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from model.network import memory_efficient
from model.network.unet import VideoUNet
from tests.model.networks import inputs, unet2d

CHANNELS_LAST = torch.channels_last


def kept_bytes(module: nn.Module, *inputs: Tensor) -> int:
    """What autograd keeps of a call, parameters and inputs left out."""
    own = {x.untyped_storage()._cdata for x in (*module.parameters(), *inputs)}
    kept: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor.untyped_storage()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        out = module(*inputs)
    del out
    return sum(storage.nbytes() for place, storage in kept.items() if place not in own)


def gradients(module: nn.Module, x: Tensor, *more: Tensor) -> tuple[Tensor, list[Tensor | None]]:
    """The output, and the gradients of x and of every parameter."""
    module = copy.deepcopy(module)
    x = x.clone(memory_format=torch.preserve_format).requires_grad_()
    out = module(x, *more)
    (out.float() * torch.randn(out.shape, generator=torch.Generator().manual_seed(9))).sum().backward()
    return out.detach(), [x.grad, *(parameter.grad for parameter in module.parameters())]


def assert_same(plain: nn.Module, x: Tensor, *more: Tensor) -> None:
    """The lean module's output is the plain one's to the last bit; its gradients agree."""
    thin = copy.deepcopy(plain)
    memory_efficient.make_lean(thin)
    assert type(thin) is not type(plain)
    (out, grads), (lean_out, lean_grads) = gradients(plain, x, *more), gradients(thin, x, *more)
    assert torch.equal(out, lean_out)
    for mine, theirs in zip(lean_grads, grads, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("learns", [(True, True), (True, False), (False, False)], ids=["all", "weight", "frozen"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, CHANNELS_LAST])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_lean_convolution_is_a_convolution(
    learns: tuple[bool, bool], layout: torch.memory_format, stride: int
) -> None:
    conv = nn.Conv2d(4, 6, 3, stride, padding=1)
    for parameter, learnt in zip((conv.weight, conv.bias), learns):
        assert parameter is not None
        parameter.requires_grad_(learnt)
    assert_same(conv, torch.randn(2, 4, 8, 8).contiguous(memory_format=layout))


def test_a_frozen_convolution_keeps_nothing() -> None:
    conv = nn.Conv2d(4, 6, 3, padding=1).requires_grad_(False)
    before = nn.Conv2d(4, 4, 1)
    assert kept_bytes(nn.Sequential(before, conv), torch.randn(2, 4, 8, 8)) > 0
    memory_efficient.make_lean(conv)
    assert kept_bytes(nn.Sequential(before, conv), torch.randn(2, 4, 8, 8)) == 0


@pytest.mark.parametrize("frozen", [True, False])
def test_cast_weights_get_the_gradients_of_a_plain_cast_and_no_copy_is_kept(frozen: bool) -> None:
    torch.manual_seed(0)
    conv_weight, weight, bias = torch.randn(6, 4, 3, 1), torch.randn(6, 4), torch.randn(6)
    for parameter in (conv_weight, weight, bias):
        parameter.requires_grad_(not frozen)
    x_NCHW = torch.randn(2, 4, 5, 5, dtype=torch.bfloat16).requires_grad_()
    x_NLC = torch.randn(2, 5, 4, dtype=torch.bfloat16).requires_grad_()
    half = torch.bfloat16
    pairs = [
        (
            memory_efficient.conv2d(x_NCHW, conv_weight, bias, padding=(1, 0)),
            F.conv2d(x_NCHW, conv_weight.to(half), bias.to(half), padding=(1, 0)),
            (x_NCHW, conv_weight, bias),
        ),
        (
            memory_efficient.linear(x_NLC, weight, bias),
            F.linear(x_NLC, weight.to(half), bias.to(half)),
            (x_NLC, weight, bias),
        ),
    ]
    for mine, plain, leaves in pairs:
        assert torch.equal(mine, plain)
        learnt = [leaf for leaf in leaves if leaf.requires_grad]
        got, expected = (torch.autograd.grad(out.float().square().sum(), learnt) for out in (mine, plain))
        for a, b in zip(got, expected, strict=True):
            assert a.dtype == b.dtype
            torch.testing.assert_close(a, b, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("frozen", [True, False])
def test_a_lean_geglu_is_diffusers(frozen: bool) -> None:
    assert_same(GEGLU(8, 16).requires_grad_(not frozen), torch.randn(2, 5, 8))


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("layout", [torch.contiguous_format, CHANNELS_LAST])
@pytest.mark.parametrize("out_channels", [8, 12])
def test_a_lean_resnet_is_diffusers(frozen: bool, layout: torch.memory_format, out_channels: int) -> None:
    torch.manual_seed(0)
    block = ResnetBlock2D(in_channels=8, out_channels=out_channels, temb_channels=6, groups=4).requires_grad_(
        not frozen
    )
    assert_same(block, torch.randn(3, 8, 6, 6).contiguous(memory_format=layout), torch.randn(3, 6))


def test_a_resnet_of_another_kind_stays_as_it_is() -> None:
    block = ResnetBlock2D(in_channels=8, temb_channels=6, groups=4, time_embedding_norm="scale_shift")
    memory_efficient.make_lean(block)
    assert type(block) is ResnetBlock2D


def test_a_lean_network_has_the_same_names_output_and_gradients_and_keeps_a_third_less() -> None:
    plain = VideoUNet.from_unet2d(unet2d(9)).train()
    for name, parameter in plain.named_parameters():
        parameter.data.add_(0.02)
        parameter.requires_grad_(name in plain.new_parameters())
    thin = copy.deepcopy(plain)
    memory_efficient.make_lean(thin)
    assert list(thin.state_dict()) == list(plain.state_dict())
    for network in (plain, thin):
        network(*inputs()).square().mean().backward()
    with torch.no_grad():
        assert torch.equal(thin(*inputs()), plain(*inputs()))
    for mine, theirs in zip(thin.parameters(), plain.parameters(), strict=True):
        assert (mine.grad is None) == (theirs.grad is None)
        if mine.grad is not None:
            torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-6)
    sample, timestep, text, cond = inputs()

    def kept(network: VideoUNet) -> int:
        class Call(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.network = network

            def forward(self, sample: Tensor) -> Tensor:
                return self.network(sample, timestep, text, cond)

        return kept_bytes(Call(), sample)

    assert kept(thin) < 0.7 * kept(plain)

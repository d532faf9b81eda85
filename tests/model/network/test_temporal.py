from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model.errors import ShapeError
from model.network.temporal import (
    FrameAxis,
    FrameState,
    TemporalAttention,
    TemporalConv,
    full_attention,
    rotary_angles,
    rotate,
)

CHANNELS, PIXELS = 32, 5


def state(index_BF: Tensor) -> FrameState:
    return FrameState(index_BF, torch.zeros(*index_BF.shape, 1))


def awake_attention() -> TemporalAttention:
    torch.manual_seed(0)
    layer = TemporalAttention(CHANNELS, FrameAxis(), max_head_dim=8)
    torch.nn.init.normal_(layer.to_out.weight, std=0.3)
    return layer


def attend(layer: TemporalAttention, x_BFPC: Tensor, index_BF: Tensor) -> Tensor:
    with layer.axis.use(state(index_BF)), torch.no_grad():
        return layer(x_BFPC.flatten(0, 1)).unflatten(0, x_BFPC.shape[:2])


def test_full_attention_is_softmax_of_all_pairs() -> None:
    q, k, v = (torch.randn(2, PIXELS, 4, 9, 16, generator=torch.Generator().manual_seed(n)) for n in range(3))
    weights = (q.double() @ k.double().transpose(-1, -2) / 16**0.5).softmax(-1)
    assert (full_attention(q, k, v) - weights @ v.double()).abs().max() < 1e-5


@settings(deadline=None, max_examples=60)
@given(st.permutations(range(7)), st.lists(st.integers(-180, 180), min_size=7, max_size=7, unique=True))
def test_frames_permuted_with_their_indices_permute_the_output(order: list[int], frames: list[int]) -> None:
    layer, x = (
        awake_attention(),
        torch.randn(1, 7, PIXELS, CHANNELS, generator=torch.Generator().manual_seed(3)),
    )
    index = torch.tensor([frames], dtype=torch.float32)
    permuted = attend(layer, x[:, order], index[:, order])
    torch.testing.assert_close(permuted, attend(layer, x, index)[:, order], rtol=1e-4, atol=1e-5)


def test_frames_permuted_without_their_indices_do_not() -> None:
    layer, x = (
        awake_attention(),
        torch.randn(1, 7, PIXELS, CHANNELS, generator=torch.Generator().manual_seed(3)),
    )
    index, order = torch.arange(7.0)[None], [1, 0, 2, 3, 4, 5, 6]
    assert (attend(layer, x[:, order], index) - attend(layer, x, index)[:, order]).abs().max() > 1e-3


def test_only_the_distance_in_time_counts_and_it_is_the_real_one() -> None:
    layer, x = (
        awake_attention(),
        torch.randn(1, 4, PIXELS, CHANNELS, generator=torch.Generator().manual_seed(4)),
    )
    near, far = torch.tensor([[0.0, 1, 2, 3]]), torch.tensor([[0.0, 4, 8, 12]])
    torch.testing.assert_close(attend(layer, x, near + 50), attend(layer, x, near), rtol=1e-4, atol=1e-5)
    assert (attend(layer, x, far) - attend(layer, x, near)).abs().max() > 1e-3


def test_attention_mixes_neither_batch_nor_pixels() -> None:
    layer, x = (
        awake_attention(),
        torch.randn(2, 4, PIXELS, CHANNELS, generator=torch.Generator().manual_seed(5)),
    )
    index = torch.arange(4.0).expand(2, 4)
    changed = x.clone()
    changed[0, :, 1] += torch.randn(4, CHANNELS)  # a constant would be normalised away
    differs = (attend(layer, changed, index) != attend(layer, x, index)).any(-1).any(1)
    assert differs.nonzero().tolist() == [[0, 1]]


def test_a_new_attention_adds_exactly_nothing() -> None:
    layer = TemporalAttention(CHANNELS, FrameAxis())
    x = torch.randn(2, 4, PIXELS, CHANNELS)
    assert torch.equal(attend(layer, x, torch.arange(4.0).expand(2, 4)), x)


def test_rotation_turns_by_index_times_frequency() -> None:
    cos, sin = rotary_angles(torch.tensor([[3.0]]), head_dim=4)
    turned = rotate(torch.tensor([1.0, 1.0, 0.0, 0.0]).view(1, 1, 1, 1, 4), cos, sin).flatten()
    slow = torch.tensor(3.0 / 100)
    expected = torch.stack([torch.tensor(3.0).cos(), slow.cos(), torch.tensor(3.0).sin(), slow.sin()])
    torch.testing.assert_close(turned, expected)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@torch.no_grad()
def test_temporal_convolution_is_conv1d_over_frames_of_each_pixel(memory_format: torch.memory_format) -> None:
    torch.manual_seed(0)
    layer = TemporalConv(6, FrameAxis())
    x = torch.randn(2 * 5, 6, 3, 4).to(memory_format=memory_format)
    with layer.axis.use(state(torch.zeros(2, 5))):
        assert torch.equal(layer(x), x), "a Dirac kernel and a zero bias are the identity"
        torch.nn.init.normal_(layer.weight)
        torch.nn.init.normal_(layer.bias)
        out = layer(x)
    by_pixel = x.view(2, 5, 6, 3, 4).permute(0, 3, 4, 2, 1).reshape(-1, 6, 5)
    expected = torch.nn.functional.conv1d(by_pixel, layer.weight, layer.bias, padding=1)
    expected = expected.view(2, 3, 4, 6, 5).permute(0, 4, 3, 1, 2).flatten(0, 1)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)


def test_a_temporal_layer_outside_its_network_says_so() -> None:
    with pytest.raises(ShapeError, match="without a window"):
        TemporalConv(4, FrameAxis())(torch.zeros(2, 4, 3, 3))


def test_heads_of_odd_size_are_refused() -> None:
    with pytest.raises(ShapeError, match="even size"):
        TemporalAttention(9, FrameAxis())

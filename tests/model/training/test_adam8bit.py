"""8-bit Adam: float32 numbers in two halves, moments that take a byte, and nothing lost on the way."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.errors import ConfigError
from model.training.adam8bit import AdamW8bit, join_float32, split_float32
from model.training.ema import Ema


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_two_halves_are_the_number_and_the_upper_one_is_near_it(values: list[float]) -> None:
    full = torch.from_numpy(np.array(values, np.float32))
    high, low = split_float32(full)
    assert (high.dtype, low.dtype) == (torch.bfloat16, torch.int16)
    assert torch.equal(join_float32(high, low), full)
    away, nearest = ((half.double() - full.double()).abs() for half in (high, full.bfloat16()))
    assert torch.equal(away[high.isfinite()], nearest[high.isfinite()])


def test_without_bitsandbytes_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ConfigError, match="needs bitsandbytes: `pip install bitsandbytes`"):
        AdamW8bit([torch.nn.Parameter(torch.zeros(2))], 1e-3)


def weights(*shape: int) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.randn(*shape, generator=torch.Generator().manual_seed(0)))


def walk(parameter: torch.nn.Parameter, optimizer: torch.optim.Optimizer, steps: int) -> None:
    """Steps along gradients that are the same for every optimizer: a pull of 1 and noise."""
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.grad = (1 + noise).bfloat16().to(parameter.dtype)
        optimizer.step()


@pytest.mark.parametrize("shape", [(40,), (96, 64)], ids=["float32 moments", "8-bit moments"])
def test_it_goes_where_adam_goes(shape: tuple[int, ...]) -> None:
    pytest.importorskip("bitsandbytes")
    ends = []
    for kind in (torch.optim.AdamW, AdamW8bit):
        parameter = weights(*shape)
        walk(parameter, kind([parameter], lr=1e-2, weight_decay=0.01), 50)
        ends.append(parameter.detach() - weights(*shape).detach())
    travelled = ends[0].abs().mean()
    assert travelled > 0.1
    assert (ends[1] - ends[0]).abs().mean() < 0.02 * travelled


def test_weights_in_halves_take_the_steps_of_whole_ones_bit_for_bit() -> None:
    pytest.importorskip("bitsandbytes")
    whole, halves = weights(96, 64), weights(96, 64)
    one, other = AdamW8bit([whole], 1e-2), AdamW8bit([halves], 1e-2, split=True)
    assert halves.dtype == torch.bfloat16
    walk(whole, one, 5)
    walk(halves, other, 5)
    assert torch.equal(other.full(halves), whole)
    assert torch.equal(one.full(whole), whole)


def test_updates_far_below_bfloat16s_resolution_add_up_and_the_average_sees_them() -> None:
    pytest.importorskip("bitsandbytes")
    parameter = torch.nn.Parameter(torch.ones(64, 64))
    optimizer = AdamW8bit([parameter], 1e-6, weight_decay=0.0, split=True)
    ema = Ema({"weight": parameter}, 0.5, value=optimizer.full)
    for _ in range(100):
        parameter.grad = torch.ones_like(parameter)
        optimizer.step()
    assert torch.equal(parameter.detach().float(), torch.ones(64, 64)), "one step of bfloat16 is 0.004 here"
    torch.testing.assert_close(optimizer.full(parameter), torch.full((64, 64), 1 - 100e-6), rtol=0, atol=2e-6)
    ema.update(step=10**6)
    torch.testing.assert_close(ema.averages["weight"], torch.full((64, 64), 1 - 50e-6), rtol=0, atol=2e-6)

"""The learning rate's schedule."""

from __future__ import annotations

import pytest

from model.training.optimizer import learning_rate_at
from tests.model.dataset import micro_config


def test_the_rate_rises_over_the_warm_up_and_then_stays() -> None:
    config = micro_config(learning_rate=0.4, warmup=4, schedule="constant", steps=100)
    assert [learning_rate_at(step, config) for step in (0, 1, 3, 4, 99)] == pytest.approx([0.1, 0.2, 0.4, 0.4, 0.4])


def test_as_half_a_cosine_it_falls_to_nothing() -> None:
    config = micro_config(learning_rate=0.4, warmup=1, schedule="cosine", steps=100)
    rates = [learning_rate_at(step, config) for step in range(101)]
    assert rates == sorted(rates, reverse=True)
    assert (rates[0], rates[50], rates[100]) == pytest.approx((0.4, 0.2, 0.0))

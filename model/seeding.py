"""Randomness by position: every draw is a pure function of (seed, purpose, position), never of what came before."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
import torch


def seed_of(seed: int, purpose: str, position: int) -> int:
    """A 63-bit seed for one draw. Hashed, so that neighbouring positions and purposes share nothing."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{position}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def numpy_generator(seed: int, purpose: str, position: int) -> np.random.Generator:
    """A counter-based numpy generator (Philox) for one position."""
    return np.random.Generator(np.random.Philox(key=seed_of(seed, purpose, position)))


def torch_generator(seed: int, purpose: str, position: int) -> torch.Generator:
    """A CPU torch generator for one position: noise is the same whatever the training device."""
    return torch.Generator().manual_seed(seed_of(seed, purpose, position))


@lru_cache(maxsize=4)
def _epoch_order(seed: int, epoch: int, size: int) -> np.ndarray:
    return numpy_generator(seed, "order", epoch).permutation(size)


def sample_index(seed: int, position: int, size: int) -> int:
    """Which of `size` samples is seen at `position` (samples seen so far): each epoch is a fresh permutation."""
    epoch, place = divmod(position, size)
    return int(_epoch_order(seed, epoch, size)[place])


def weighted_order(seed: int, epoch: int, weights: np.ndarray) -> np.ndarray:
    """The samples of one epoch (as many as there are weights), each as often as its share of the weights says.

    Systematic resampling (Kitagawa 1996, appendix): how often a sample comes differs from its share by less than
    one; then permuted. A pure function of its arguments.
    """
    size, generator = len(weights), numpy_generator(seed, "priority", epoch)
    edges = np.cumsum(weights) / np.sum(weights)
    places = (np.arange(size) + generator.random()) / size
    chosen = np.searchsorted(edges, places, side="right").clip(max=size - 1)
    return generator.permutation(chosen)

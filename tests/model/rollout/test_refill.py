"""Latents of generated frames: those that count stay bit for bit, the others are a function of the picture alone."""

from __future__ import annotations

import numpy as np
import torch

from model.data.codec import fit_patch_codec
from model.data.counted import counted_cells, counted_mask
from model.rollout.refill import filled_frames, refilled
from pipeline.clips.fill import refill

REGION = (16, 4, 40, 48)
PICTURES = np.random.default_rng(0).integers(0, 256, (6, 48, 48, 3)).astype(np.uint8)
CODEC = fit_patch_codec(PICTURES, 6, 60)
COUNTED = torch.from_numpy(counted_mask(counted_cells(np.array([REGION]), CODEC.picture, CODEC), [0], 8, 8)[0])


def test_latents_that_count_stay_and_the_others_are_those_of_the_filled_frames() -> None:
    latents = CODEC.encode(PICTURES)
    made = refilled(latents, REGION, CODEC)
    assert torch.equal(made[:, :, COUNTED], latents[:, :, COUNTED])
    expected = CODEC.encode(refill(CODEC.decode(latents), np.array([REGION])))
    assert torch.equal(made[:, :, ~COUNTED], expected[:, :, ~COUNTED])


def test_what_was_made_far_outside_of_the_picture_leaves_no_trace() -> None:
    latents = CODEC.encode(PICTURES)
    spoiled = latents.clone()
    spoiled[:, :, :, 0] = 100.0  # a column of latents that no pixel of the picture comes from
    assert torch.equal(refilled(spoiled, REGION, CODEC), refilled(latents, REGION, CODEC))


def test_without_a_region_nothing_is_done() -> None:
    latents = CODEC.encode(PICTURES)
    assert refilled(latents, None, CODEC) is latents
    assert filled_frames(PICTURES, None) is PICTURES

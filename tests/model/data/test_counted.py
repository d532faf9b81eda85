"""Which latents count: exactly those that see nothing of what a clip fills beside its source's picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.data.codec import PatchCodec, fit_patch_codec, resize_frames
from model.data.counted import counted_cells, counted_mask, is_empty, regions_of
from pipeline.picture_size import PictureSize

SIZES = {
    "square": (PictureSize(128, 128), PictureSize(48, 48), 6),
    "upright": (PictureSize(96, 160), PictureSize(48, 80), 4),
    "enlarged": (PictureSize(64, 64), PictureSize(96, 96), 6),
    "odd patches": (PictureSize(64, 64), PictureSize(50, 50), 5),
}


def pictures(size: PictureSize, count: int = 2, seed: int = 0) -> np.ndarray:
    """Noise, in which every pixel shows."""
    return np.random.default_rng(seed).integers(0, 256, (count, size.height, size.width, 3)).astype(np.uint8)


def codec_of(kind: str) -> tuple[PatchCodec, PictureSize]:
    """A patch codec that loses nothing, and the size of the clips that it is for."""
    clip, size, patch = SIZES[kind]
    return fit_patch_codec(resize_frames(pictures(clip, 6), size), patch, 3 * patch**2), clip


@settings(deadline=None, max_examples=40)
@given(st.data(), st.sampled_from(sorted(SIZES)))
def test_latents_that_count_do_not_change_with_what_is_filled_and_their_neighbours_do(
    data: st.DataObject, kind: str
) -> None:
    codec, clip = codec_of(kind)
    x0, x1 = sorted(data.draw(st.lists(st.integers(0, clip.width // 2), min_size=2, max_size=2)))
    y0, y1 = sorted(data.draw(st.lists(st.integers(0, clip.height // 2), min_size=2, max_size=2)))
    x0, y0, x1, y1 = 2 * x0, 2 * y0, 2 * x1, 2 * y1
    frames, spoiled = pictures(clip), pictures(clip, seed=1)
    spoiled[:, y0:y1, x0:x1] = frames[:, y0:y1, x0:x1]
    one, other = (codec.encode(resize_frames(x, codec.picture)) for x in (frames, spoiled))
    same = torch.isclose(one, other, atol=1e-5).all(1).numpy()
    counted = counted_mask(counted_cells(np.array([[x0, y0, x1, y1]]), clip, codec), [0, 1], *one.shape[2:])
    assert same[counted].all()
    if kind != "enlarged":  # where nothing is blended too many is as wrong as too few
        assert (same == counted).mean() > 0.97


def test_a_patch_reaches_half_a_patch_into_its_neighbours_but_not_over_the_clips_border() -> None:
    codec, clip = fit_patch_codec(pictures(PictureSize(48, 48), 6), 6, 8), PictureSize(48, 48)
    assert codec.reach == 3
    assert counted_cells(np.array([[0, 0, 48, 48]]), clip, codec) == ((0, 0, 8, 8),)
    assert counted_cells(np.array([[9, 0, 39, 48]]), clip, codec) == ((2, 0, 6, 8),)
    assert counted_cells(np.array([[8, 0, 40, 48]]), clip, codec) == ((2, 0, 6, 8),)
    assert counted_cells(np.array([[10, 0, 38, 48]]), clip, codec) == ((3, 0, 5, 8),)
    assert is_empty(counted_cells(np.array([[20, 0, 28, 48]]), clip, codec))


def test_a_mask_has_a_rectangle_for_each_frame_or_one_for_all() -> None:
    moving = counted_mask(((0, 0, 2, 2), (1, 0, 3, 2), (2, 0, 4, 2)), [2, 0], 2, 4)
    assert moving[0].tolist() == [[False, False, True, True]] * 2
    assert moving[1].tolist() == [[True, True, False, False]] * 2
    assert counted_mask(((1, 0, 2, 1),), [5, 9], 2, 3).sum() == 2


@pytest.mark.parametrize(
    ("size", "expected"),
    [((64, 64), [4, 0, 60, 64]), ((16, 16), [1, 0, 15, 16]), ((8, 8), [1, 0, 7, 8]), ((5, 5), [1, 0, 4, 5])],
)
def test_regions_at_another_size_hold_nothing_of_what_is_filled(size: tuple[int, int], expected: list[int]) -> None:
    assert regions_of([(4, 0, 60, 64)], PictureSize(64, 64), PictureSize(*size)).tolist() == [expected]

"""Masks follow a sample's crop and flip, leave out what is filled, and come back from their picture as they were."""

import numpy as np
import pytest

from data_catalog.base.errors import LongdanceError
from pipeline.clips.crop import Crop, placed
from pipeline.picture_size import PictureSize
from pipeline.shards.masks import SCALE, FrameMask, masks_in_clip, read_masks, write_masks

SIZE = PictureSize(128, 192)
SOURCE = (400, 300)  # height, width


def half(columns: slice, pixel: int = 1) -> FrameMask:
    """A mask of the whole source, by `pixel` of its pixels, with some columns of it hers."""
    mask = np.zeros((SOURCE[0] // pixel, SOURCE[1] // pixel), bool)
    mask[:, columns.start // pixel : columns.stop // pixel] = True
    return FrameMask(mask, np.zeros(2), np.full(2, float(pixel)))


@pytest.mark.parametrize("pixel", [1, 2, 4])
def test_a_mask_lies_where_the_crop_shows_it_at_any_resolution(pixel: int) -> None:
    placement = placed(Crop(np.array([[20, 40]]), 200, 300, "full"), SOURCE, SIZE)
    (found,) = masks_in_clip([half(slice(120, 220), pixel)], placement, flip=False)
    assert found.shape == (192 // SCALE, 128 // SCALE)
    wanted = np.zeros_like(found)
    wanted[:, 16:] = True  # source column 120 is column 64 of the clip
    assert (found != wanted).mean() <= 1 / 32  # a column, at most


def test_a_flipped_sample_has_flipped_masks() -> None:
    placement = placed(Crop(np.array([[20, 40]]), 200, 300, "full"), SOURCE, SIZE)
    there, mirrored = (masks_in_clip([half(slice(120, 220))], placement, flip) for flip in (False, True))
    assert np.array_equal(mirrored, there[..., ::-1])


def test_what_is_filled_is_nobody() -> None:
    placement = placed(Crop(np.array([[-100, 40]]), 200, 300, "full"), SOURCE, SIZE)
    (found,) = masks_in_clip([half(slice(0, 300))], placement, flip=False)
    assert not found[:, :16].any()
    assert found[:, 17:].all()


def test_a_moving_crop_moves_the_mask() -> None:
    placement = placed(Crop(np.array([[20, 40], [60, 40]]), 200, 300, "full"), SOURCE, SIZE)
    first, second = masks_in_clip([half(slice(120, 220))] * 2, placement, flip=False)
    assert first[:, 20].all()
    assert not first[:, 10].any()
    assert second[:, 14].all()


def test_masks_come_back_from_their_picture_and_a_frame_without_her_is_empty() -> None:
    placement = placed(Crop(np.array([[20, 40]]), 200, 300, "full"), SOURCE, SIZE)
    masks = masks_in_clip([half(slice(120, 220)), None, half(slice(0, 90))], placement, flip=False)
    assert not masks[1].any()
    assert np.array_equal(read_masks(write_masks(masks), 3), masks)
    for png, frames in ((b"no picture", 3), (write_masks(masks), 5)):
        with pytest.raises(LongdanceError, match="does not hold the masks of"):
            read_masks(png, frames)


def test_a_mask_goes_along_with_a_steadied_picture() -> None:
    """Shifted and zoomed against the camera: the same as a mask that was drawn there."""
    placement = placed(Crop(np.array([[20, 40]]), 200, 300, "full"), SOURCE, SIZE)
    move = np.array([[[0.5, 0.0, 40.0], [0.0, 0.5, 30.0]]])
    (found,) = masks_in_clip([half(slice(120, 220))], placement, False, move)
    (wanted,) = masks_in_clip([half(slice(100, 150))], placement, False)
    inside = np.s_[: int((30 + 200 - 40) * 192 / 300 / SCALE) - 1]  # the shrunk source ends there
    assert (found[inside] != wanted[inside]).mean() <= 2 / 32
    assert not found[-10:].any()
    (same,) = masks_in_clip([half(slice(120, 220))], placement, False, np.eye(2, 3)[None])
    assert np.array_equal(same, masks_in_clip([half(slice(120, 220))], placement, False)[0])

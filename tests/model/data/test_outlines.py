"""Outlines are read as the sample holds them, at any size; a sample without masks has none, a damaged one says so."""

from pathlib import Path

import numpy as np
import pytest

from model.data.outlines import MaskPlace, outline_at, read_outlines
from model.errors import DataError
from pipeline.picture_size import PictureSize
from pipeline.shards.masks import write_masks

MASKS = np.zeros((3, 32, 24), bool)
MASKS[1, 8:24, 6:18] = True


@pytest.fixture
def place(tmp_path: Path) -> MaskPlace:
    """Masks of three frames somewhere in a file."""
    png = write_masks(MASKS)
    (tmp_path / "s.tar").write_bytes(b"before" + png + b"behind")
    return MaskPlace(tmp_path / "s.tar", 6, len(png), 3)


def test_an_outline_is_the_mask_at_its_own_size_and_at_others(place: MaskPlace) -> None:
    assert np.array_equal(read_outlines(place, [2, 1], PictureSize(24, 32)), MASKS[[2, 1]])
    for size in (PictureSize(12, 16), PictureSize(96, 128)):
        (found,) = read_outlines(place, [1], size)
        wanted = np.zeros((size.height, size.width), bool)
        wanted[size.height // 4 : size.height * 3 // 4, size.width // 4 : size.width * 3 // 4] = True
        assert (found != wanted).mean() < 0.04
    assert np.array_equal(outline_at(MASKS[1], PictureSize(24, 32)), MASKS[1])


def test_masks_that_cannot_be_read_are_one_sentence(place: MaskPlace) -> None:
    for broken in (MaskPlace(place.path, 0, 60, 3), MaskPlace(place.path, 6, 10**6, 3), MaskPlace(*place_of(place), 5)):
        with pytest.raises(DataError, match=r"Masks in s\.tar cannot be read .*: rebuild the shard"):
            read_outlines(broken, [1], PictureSize(24, 32))


def place_of(place: MaskPlace) -> tuple[Path, int, int]:
    return place.path, place.offset, place.length

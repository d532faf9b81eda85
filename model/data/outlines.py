"""The dancer's outline in a clip's frames, as its sample holds it; samples of older data sets hold none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from data_catalog.base.errors import LongdanceError
from data_catalog.base.paths import DataFolder
from model.data.samples import Sample, read_samples
from model.errors import DataError
from pipeline.picture_size import PictureSize
from pipeline.shards.masks import read_masks
from pipeline.shards.tar import read_member


@dataclass(frozen=True)
class MaskPlace:
    """Where a sample's masks lie, and of how many frames they are."""

    path: Path
    offset: int
    length: int
    frames: int


def mask_place(data: Path, sample: Sample, frames: int) -> MaskPlace | None:
    """A sample's masks, or None where it holds none."""
    if sample.mask_place is None:
        return None
    return MaskPlace(DataFolder(data).shards / sample.shard, *sample.mask_place, frames)


def read_outlines(place: MaskPlace, frames: list[int], size: PictureSize) -> np.ndarray:
    """(F, H, W) bool of these frames, for pictures of that size. Raises DataError."""
    try:
        masks = read_masks(read_member(place.path, place.offset, place.length), place.frames)[frames]
    except (OSError, EOFError, IndexError, LongdanceError) as error:
        raise DataError(
            f"Masks in {place.path.name} cannot be read ({error}): rebuild the shard with `longdance build`."
        ) from error
    return np.stack([outline_at(mask, size) for mask in masks])


def outline_at(mask_HW: np.ndarray, size: PictureSize) -> np.ndarray:
    """A mask for pictures of another size: hers is what she covers half of, or more."""
    how = cv2.INTER_AREA if mask_HW.shape[0] >= size.height else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(mask_HW.astype(np.float32), tuple(size), interpolation=how) >= 0.5)


def clip_outline(data: Path, clip_id: str, size: PictureSize, frames: int) -> np.ndarray | None:
    """(H, W) bool of the first frame of a clip (v0) of so many frames; None where its sample holds no masks."""
    sample = next((sample for sample in read_samples(data) if sample.clip_id == clip_id), None)
    place = mask_place(data, sample, frames) if sample else None
    return None if place is None else np.asarray(read_outlines(place, [0], size)[0])

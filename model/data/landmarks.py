"""Stored dances: the landmarks of a clip, as its sample holds them."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_catalog.base.large_files import LargeFile
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from model.data.samples import Sample, read_samples
from model.errors import DataError
from pipeline.analysis.pose import JOINTS
from pipeline.picture_size import PictureSize
from pipeline.shards.tar import read_member

FIRST_SIZE = (512, 512)
"""Of the clips of data sets that were built before there were other sizes."""
_ROW = 4 * JOINTS * 4


@dataclass(frozen=True)
class LandmarkPlace:
    """Where a sample's landmarks lie, and what they are to be multiplied by for another picture size."""

    path: Path
    offset: int
    frames: int
    scale: float


def landmark_place(data: Path, sample: Sample, size: PictureSize) -> LandmarkPlace:
    """A sample's landmarks, for pictures of that size. Raises DataError where its shard does not hold them so."""
    path = DataFolder(data).shards / sample.shard
    try:
        meta = json.loads(read_member(path, *sample.json_place))
        offset, length = sample.npy_place
        header = io.BytesIO(read_member(path, offset, min(length, 4096)))
        np.lib.format.read_magic(header)
        shape, by_columns, kind = np.lib.format.read_array_header_1_0(header)
    except (OSError, EOFError, ValueError) as error:
        raise _unreadable(sample.key, str(error)) from error
    if shape[1:] != (JOINTS, 4) or kind != np.dtype("<f4") or by_columns:
        raise _unreadable(sample.key, f"they are {kind} of shape {shape}")
    clip = PictureSize(*meta.get("size", FIRST_SIZE))
    return LandmarkPlace(path, offset + header.tell(), shape[0], size.width / clip.width)


def scaled_rows(rows: np.ndarray, scale: float) -> np.ndarray:
    """Landmarks (F, 33, 4), float64, in pixels of a picture `scale` times as wide."""
    return np.asarray(rows.astype(np.float64) * (scale, scale, scale, 1))


def read_rows(file: LargeFile, place: LandmarkPlace, frames: Sequence[int]) -> np.ndarray:
    """(F, 33, 4) landmarks of some frames, ascending, in pixels of the pictures, with one pread.

    Raises DataError: the file ends too early.
    """
    first, count = frames[0], frames[-1] - frames[0] + 1
    raw = file.read(place.offset + first * _ROW, count * _ROW)
    if first < 0 or frames[-1] >= place.frames or len(raw) != count * _ROW:
        raise _unreadable(place.path.name, f"frames {first} to {frames[-1]} are not there")
    rows = np.frombuffer(raw, "<f4").reshape(count, JOINTS, 4)
    return scaled_rows(rows[np.array(frames) - first], place.scale)


def _unreadable(name: str, why: str) -> DataError:
    return DataError(
        f"The landmarks of sample {name} cannot be read ({why}): rebuild its shard with `longdance build`."
    )


def clip_landmarks(data: Path, clip_id: str, size: PictureSize) -> np.ndarray:
    """(frames, 33, 4) landmarks of a clip (v0), float64, in pixels of its pictures at that size. Raises DataError."""
    sample = next((sample for sample in read_samples(data) if sample.clip_id == clip_id), None)
    if sample is None:
        raise _no_clip(data, clip_id)
    place = landmark_place(data, sample, size)
    return scaled_rows(read_landmarks(data, clip_id), place.scale)


def _no_clip(data: Path, clip_id: str) -> DataError:
    return DataError(
        f"The data set {data} has no stored clip {clip_id!r}: list them with "
        f'`longdance sql "SELECT DISTINCT clip_id FROM samples" --data {data}`.'
    )


def read_landmarks(data: Path, clip_id: str) -> np.ndarray:
    """(frames, 33, 4) landmarks of a clip (v0), float32, in its pixels.

    Raises LongdanceError if there is no data set, DataError if it has no such clip or its shard is damaged.
    """
    folder = DataFolder.built(data)
    with open_catalog(folder.catalog, read_only=True) as catalog:
        row = catalog.execute(
            "SELECT shard, npy_offset, npy_length FROM samples WHERE clip_id = $1 ORDER BY variant LIMIT 1", [clip_id]
        ).fetchone()
    if row is None:
        raise _no_clip(data, clip_id)
    try:
        return np.asarray(np.load(io.BytesIO(read_member(folder.shards / row[0], *row[1:])), allow_pickle=False))
    except (OSError, EOFError, ValueError) as error:
        raise DataError(
            f"The landmarks of clip {clip_id} cannot be read ({error}): rebuild the shard with `longdance build`."
        ) from error

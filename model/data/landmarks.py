"""Stored dances: the landmarks of a clip, as its sample holds them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from model.errors import DataError
from pipeline.shards.tar import read_member


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
        raise DataError(
            f"The data set {data} has no stored clip {clip_id!r}: list them with "
            f'`longdance sql "SELECT DISTINCT clip_id FROM samples" --data {data}`.'
        )
    try:
        return np.asarray(np.load(io.BytesIO(read_member(folder.shards / row[0], *row[1:])), allow_pickle=False))
    except (OSError, EOFError, ValueError) as error:
        raise DataError(
            f"The landmarks of clip {clip_id} cannot be read ({error}): rebuild the shard with `longdance build`."
        ) from error

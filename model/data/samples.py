"""Which samples a data set holds, read from the catalog: one short read-only visit, plain rows out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from model.data.captions import read_captions
from model.errors import DataError
from pipeline.clips.fill import Rectangle

FPS = Fraction(30)
"""Frames a second where nothing says what the runs were trained on."""


@dataclass(frozen=True)
class Sample:
    """A stored variant of a clip, and where its video lies."""

    key: str
    clip_id: str
    source_id: str
    shard: str
    shard_sha256: str
    mp4_offset: int
    mp4_length: int
    ok: bool
    caption: str | None
    mp4_sha256: str | None = None
    picture: tuple[Rectangle, ...] | None = None
    """Where the source's picture lies in the clip, in its pixels, per frame or once; None: it is all of it."""
    decision: str | None = None
    """What a person marked the clip, `keep` or `drop`; None where the thresholds decide."""
    json_place: tuple[int, int] = (0, 0)
    """Offset and length of its json in the shard."""
    npy_place: tuple[int, int] = (0, 0)
    """The same of its landmarks."""
    mask_place: tuple[int, int] | None = None
    """The same of its masks; None where it holds none."""


def read_samples(data: Path) -> list[Sample]:
    """Every sample of the data set in key order, bad clips included.

    Raises LongdanceError if there is no data set, DataError if it holds no sample, or `captions.csv` is not as it
    should be.
    """
    with open_catalog(DataFolder.built(data).catalog, read_only=True) as catalog:
        rows = catalog.execute(
            "SELECT s.sample_key, s.clip_id, c.source_id, s.shard, h.sha256, s.mp4_offset, s.mp4_length, "
            "c.verdict = 'ok', NULL, s.mp4_sha256, s.picture, c.decision, s.json_offset, s.json_length, s.npy_offset, "
            "s.npy_length, s.mask_offset, s.mask_length FROM samples s JOIN clips c USING (clip_id) "
            "JOIN shards h ON h.shard = s.shard "
            "ORDER BY s.sample_key"
        ).fetchall()
        clips = dict(catalog.execute("SELECT clip_id, source_id FROM clips").fetchall())
    if not rows:
        raise DataError(f"The data set in {data} holds no samples: run `longdance build` on videos with dancers.")
    captions = read_captions(DataFolder(data).captions, clips)
    return [replace(sample, caption=captions.get(sample.clip_id)) for sample in (_sample(*row) for row in rows)]


def _sample(*row: Any) -> Sample:
    *fields, json_at, json_length, npy_at, npy_length, mask_at, mask_length = row
    sample = replace(Sample(*fields), json_place=(json_at, json_length), npy_place=(npy_at, npy_length))
    if mask_at is not None:
        sample = replace(sample, mask_place=(mask_at, mask_length))
    if sample.picture is None:
        return sample
    return replace(sample, picture=tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in json.loads(str(sample.picture))))


def stored_frames(data: Path) -> int:
    """Frames of all stored samples of a built data set, bad clips included."""
    with open_catalog(DataFolder(data).catalog, read_only=True) as catalog:
        counted = catalog.execute("SELECT sum(frames) FROM samples JOIN clips USING (clip_id)").fetchone()
    return int(counted[0] or 0) if counted else 0


def frame_rate(data: Path, clip_id: str | None = None) -> Fraction | None:
    """Frames a second of a stored clip, or of most stored ones; None where that is not known."""
    with open_catalog(DataFolder(data).catalog, read_only=True) as catalog:
        row = catalog.execute(
            "SELECT fps FROM samples JOIN clips USING (clip_id) WHERE fps > 0 AND coalesce(clip_id = $1, true) "
            "GROUP BY fps ORDER BY count(*) DESC, fps LIMIT 1",
            [clip_id],
        ).fetchone()
    return rate_of(row[0]) if row else None


def rate_of(fps: float) -> Fraction:
    """The rate that a number means: 29.97 is 30000/1001."""
    return Fraction(fps).limit_denominator(1001)


def holdout_sources(sources: Sequence[str], fraction: float) -> frozenset[str]:
    """The sources that are never trained on: those with the lowest hashes, so that a source stays on its side
    as the data set grows by others. At least one when `fraction` > 0 and there are two or more; never all."""
    unique = sorted(set(sources), key=lambda source: hashlib.sha256(f"holdout/{source}".encode()).digest())
    if fraction == 0 or len(unique) < 2:
        return frozenset()
    limit = int(fraction * 2**64)
    below = [s for s in unique if int.from_bytes(hashlib.sha256(f"holdout/{s}".encode()).digest()[:8]) < limit]
    return frozenset((below or unique[:1])[: len(unique) - 1])

"""The samples that an export takes along, with all that any target wants to know about one."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from model.data.dataset import ChosenSamples, choose_samples
from model.data.landmarks import FIRST_SIZE
from model.data.samples import FPS, Sample, rate_of
from model.errors import DataError
from model.exports.config import ExportConfig
from pipeline.batches.rights import FIELDS, Rights
from pipeline.clips.fill import Rectangle
from pipeline.picture_size import PictureSize
from pipeline.shards.tar import read_member

Split = Literal["train", "validation"]
MemberPlace = tuple[int, int]
"""Offset and length in a shard."""


@dataclass(frozen=True)
class ExportItem:
    """One sample on its way out."""

    key: str
    clip_id: str
    source_id: str
    split: Split
    caption: str
    own_caption: bool
    """Whether the caption is the clip's own, and not the prompt that stands in for it."""
    weight: float
    fps: Fraction
    frames: int
    size: PictureSize
    shard: Path
    sha256: str
    """Of the mp4."""
    mp4: MemberPlace
    npy: MemberPlace
    flac: MemberPlace | None
    dancer: MemberPlace | None
    """The dancer's masks of every frame, as one picture (`pipeline.shards.masks`)."""
    meta: dict[str, Any]
    """Its json as it is stored."""
    picture: tuple[Rectangle, ...] | None
    rights: Rights
    """What `sources.csv` says of its source."""

    def member(self, place: MemberPlace) -> bytes:
        """One stored member. Raises DataError where the shard is cut short or gone."""
        try:
            return read_member(self.shard, *place)
        except (EOFError, FileNotFoundError) as error:
            raise DataError(
                f"Sample {self.key} cannot be read ({error}): rebuild its shard with `longdance build`."
            ) from error

    @property
    def caption_line(self) -> str:
        """The caption in one line, for files that keep a caption a line."""
        return " ".join(self.caption.split())


def export_items(data: Path, config: ExportConfig) -> tuple[list[ExportItem], ChosenSamples]:
    """The samples of the version in key order, the hold-out as validation.

    Raises LongdanceError (no data set, no such version, no sample left).
    """
    chosen = choose_samples(data, config.holdout, config.version, config.captions)
    kept = [sample for sample in chosen.good if sample.key in chosen.train | chosen.holdout]
    licences = config.licences or policy_licences(chosen)
    if licences:
        kept = [sample for sample in kept if sample.licence in licences]
        if not kept:
            there = ", ".join(sorted({sample.licence or "none on record" for sample in chosen.good}))
            raise DataError(f"No sample has the licence {' or '.join(licences)}; there are: {there} (sources.csv).")
    with open_catalog(DataFolder(data).catalog, read_only=True) as con:
        rows = con.execute(
            "SELECT sample_key, coalesce(c.fps, $1), c.frames, flac_offset, flac_length, mask_offset, mask_length, "
            "r.licence, r.consent, r.url, r.creator, r.note "
            "FROM samples JOIN clips c USING (clip_id) LEFT JOIN sources r USING (source_id)",
            [float(FPS)],
        ).fetchall()
    known = {key: more for key, *more in rows}
    return [_item(data, sample, chosen, config, known[sample.key]) for sample in kept], chosen


def policy_licences(chosen: ChosenSamples) -> tuple[str, ...]:
    """The licences that a version's policy asked for; none where it took any."""
    policy = chosen.version.policy.get("config", {}) if chosen.version else {}
    return tuple(policy.get("licences", ()))


def _item(data: Path, sample: Sample, chosen: ChosenSamples, config: ExportConfig, more: Sequence[Any]) -> ExportItem:
    fps, frames, flac_offset, flac_length, mask_offset, mask_length, *rights = more
    shard = DataFolder(data).shards / sample.shard
    if sample.mp4_sha256 is None:
        raise DataError(f"Sample {sample.key} has no checksum on record: run `longdance catalog rebuild`.")
    try:
        meta = json.loads(read_member(shard, *sample.json_place))
    except (OSError, EOFError, ValueError) as error:
        raise DataError(
            f"Sample {sample.key} cannot be read ({error}): rebuild its shard with `longdance build`."
        ) from error
    return ExportItem(
        key=sample.key,
        clip_id=sample.clip_id,
        source_id=sample.source_id,
        split="train" if sample.key in chosen.train else "validation",
        caption=sample.caption or config.prompt,
        own_caption=sample.caption is not None,
        weight=chosen.weights.get(sample.key, 1.0),
        fps=Fraction(meta["fps"]) if "fps" in meta else rate_of(fps),
        frames=frames,
        size=PictureSize(*meta.get("size", FIRST_SIZE)),
        shard=shard,
        sha256=sample.mp4_sha256,
        mp4=(sample.mp4_offset, sample.mp4_length),
        npy=sample.npy_place,
        flac=(flac_offset, flac_length) if config.sound and flac_offset is not None else None,
        dancer=None if mask_offset is None else (mask_offset, mask_length),
        meta=meta,
        picture=sample.picture,
        rights={name: text for name, text in zip(FIELDS, rights, strict=True) if text},
    )


def mask_png(item: ExportItem) -> bytes:
    """A grey PNG of the clip's size: white where the source's picture lies in every frame, black where it is filled."""
    mask = np.zeros((item.size.height, item.size.width), np.uint8)
    x0, y0, x1, y1 = 0, 0, item.size.width, item.size.height
    for left, top, right, bottom in item.picture or ():
        x0, y0, x1, y1 = max(x0, left), max(y0, top), min(x1, right), min(y1, bottom)
    mask[y0:y1, x0:x1] = 255
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "png")
    return buffer.getvalue()

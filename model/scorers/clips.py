"""The clips as a scorer is given them: what the catalog says of each, and its members as files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_catalog.base.files import sha256_json
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.report_rows import rows_of
from data_catalog.views import score_columns
from model.data.samples import Sample, read_samples
from model.errors import DataError
from pipeline.shards.tar import read_member


@dataclass(frozen=True)
class ClipToScore:
    """A stored clip: its plainest sample, and the row of `clips`."""

    sample: Sample
    row: dict[str, Any]

    def told(self, folder: Path, data: Path) -> dict[str, Any]:
        """What the scorer reads; its video and its landmarks are written into the folder."""
        shard = DataFolder(data).shards / self.sample.shard
        places = {"mp4": (self.sample.mp4_offset, self.sample.mp4_length), "npy": self.sample.npy_place}
        paths = {}
        for kind, place in places.items():
            path = folder / f"{self.sample.clip_id}.{kind}"
            try:
                path.write_bytes(read_member(shard, *place))
            except (EOFError, FileNotFoundError) as error:
                raise DataError(
                    f"Sample {self.sample.key} cannot be read ({error}): rebuild its shard with `longdance build`."
                ) from error
            paths[kind] = str(path)
        return {**self.row, **paths}


def clips_to_score(data: Path, without: str) -> list[ClipToScore]:
    """Every stored clip, good or bad, by its id; the columns of the scorer `without` are no input of its own."""
    plainest: dict[str, Sample] = {}
    for sample in read_samples(data):
        plainest.setdefault(sample.clip_id, sample)
    with open_catalog(DataFolder(data).catalog, read_only=True) as con:
        mine = con.execute("SELECT DISTINCT column_name FROM measure_rows WHERE scorer = ?", [without]).fetchall()
        own = {name for (name,) in mine}
        names = [name for name in score_columns(con) if name not in own]
        numbers = "".join(f', "{name}"' for name in names)
        rows = rows_of(con, f"SELECT clip_id, source_id, fps, frames, verdict, decision{numbers} FROM clips")
    found = []
    for row in rows:
        if row["clip_id"] in plainest:
            scores = {name: row.pop(name) if name not in ("fps", "frames") else row[name] for name in names}
            sample = plainest[row["clip_id"]]
            found.append(ClipToScore(sample, {**row, "caption": sample.caption, "scores": scores}))
    return sorted(found, key=lambda clip: clip.sample.clip_id)


def content_of(clips: Sequence[ClipToScore], all_at_once: bool) -> dict[str, str]:
    """Clip id to the hash of all that its numbers follow from: its video, or, of a scorer that compares clips, all of
    them with what is known and was decided of each."""
    if not all_at_once:
        return {clip.sample.clip_id: str(clip.sample.mp4_sha256) for clip in clips}
    whole = sha256_json([[clip.sample.mp4_sha256, json.dumps(clip.row, sort_keys=True)] for clip in clips])
    return {clip.sample.clip_id: whole for clip in clips}

"""Captions: what a data set's clips show, in a file that people write, `DATA/captions.csv`.

Its header has a column `caption` and a column `clip_id` or `source_id`, or both; others are passed over. A source's
caption is that of all its clips, unless a clip has one of its own.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from model.errors import DataError

NAME = "captions.csv"


def read_captions(path: Path, clips: Mapping[str, str]) -> dict[str, str]:
    """Clip id to caption, for clips that have one; `clips` names the source of every clip of the data set.

    Without the file there are none. Raises DataError for a file that is not as said above, that names a clip or a
    source which does not exist, or one of them twice.
    """
    if not path.is_file():
        return {}
    of_clips: dict[str, str] = {}
    of_sources: dict[str, str] = {}
    sources = set(clips.values())
    for line, row in _rows(path):
        clip, source, caption = ((row.get(name) or "").strip() for name in ("clip_id", "source_id", "caption"))
        known, table, name = (clips, of_clips, clip) if clip else (sources, of_sources, source)
        if name not in known:
            kind = "clip" if clip else "source"
            raise DataError(
                f"{path}, line {line}: this data set has no {kind} {name!r}: fix the id or remove the line."
            )
        if name in table:
            raise DataError(f"{path}, line {line}: {name!r} has a caption already: keep one of the two.")
        table[name] = caption
    captions = {clip: of_clips.get(clip) or of_sources.get(source, "") for clip, source in clips.items()}
    return {clip: caption for clip, caption in captions.items() if caption}


def _rows(path: Path) -> list[tuple[int, dict[str, str | None]]]:
    """The rows with their line numbers. A byte order mark, as spreadsheets write it, is not part of the header."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            header = list(reader.fieldnames or [])
            rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is no CSV file in UTF-8 ({error}): save it as one.") from error
    if "caption" not in header or not {"clip_id", "source_id"} & set(header):
        raise DataError(
            f"{path} has the columns {', '.join(header) or 'none'}: expected 'caption', and 'clip_id' or 'source_id'."
        )
    if len(set(header)) < len(header):
        raise DataError(f"{path} has a column twice ({', '.join(header)}): keep one of the two.")
    for line, row in rows:
        if None in row or "\0" in "".join(value or "" for value in row.values()):
            raise DataError(
                f"{path}, line {line}: more values than the header has columns, or one that is not text: put quotes "
                "around a caption with commas."
            )
    return rows

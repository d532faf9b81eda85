"""Sets of captions that a model wrote: `DATA/captions/SET/CLIP.json`, the truth behind the catalog's `captions`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import read_sealed, write_sealed
from data_catalog.base.paths import DataFolder
from model.errors import DataError

_FIELDS = ("clip_id", "source_id", "mp4_sha256", "caption", "model", "prompt", "created")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def caption_path(data: Path, name: str, clip_id: str) -> Path:
    """Where the caption of a clip lies. Raises DataError for a name that is not a plain file name."""
    for one in (name, clip_id):
        if not _FILE.fullmatch(one):
            raise DataError(f"{one!r} names no set of captions and no clip: use letters, digits, dots and dashes.")
    return DataFolder(data).caption_sets / name / f"{clip_id}.json"


def write_caption(data: Path, name: str, record: dict[str, Any]) -> None:
    """Keep a caption, whole or not at all."""
    write_sealed(caption_path(data, name, record["clip_id"]), record)


def set_names(data: Path) -> list[str]:
    """The sets that there are."""
    return sorted(path.name for path in DataFolder(data).caption_sets.glob("[!.]*") if path.is_dir())


def stored_captions(data: Path, name: str) -> dict[str, dict[str, Any]]:
    """Clip id to record of a set; a damaged one counts as not there: it is asked for again."""
    found = {}
    for path in sorted(caption_path(data, name, "x").parent.glob("[!.]*.json")):
        try:
            record = read_sealed(path)
        except LongdanceError:
            continue
        if all(isinstance(record.get(field), str) for field in _FIELDS):
            found[path.stem] = record
    return found


def captions_of_set(data: Path, name: str | None) -> dict[str, str]:
    """Clip id to caption; of no set none. Raises DataError for a set that is not there."""
    if name is None:
        return {}
    if name not in set_names(data):
        known = ", ".join(set_names(data)) or "none yet: `longdance caption` makes them"
        raise DataError(f"Unknown set of captions {name!r}; there are: {known}.")
    return {clip: record["caption"] for clip, record in stored_captions(data, name).items()}

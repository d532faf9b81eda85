"""What scorers said, on disk: `DATA/measures/NAME/VERSION/CLIP.json`, and which version counts, in `scorer.json`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import read_sealed, write_sealed
from data_catalog.base.paths import DataFolder

logger = logging.getLogger(__name__)
RECORD = "scorer.json"


def scorer_path(data: Path, name: str) -> Path:
    """How a scorer is called, and its version that counts."""
    return DataFolder(data).measures / name / RECORD


def measure_path(data: Path, name: str, version: str, clip_id: str) -> Path:
    """What one version of a scorer said of a clip."""
    return DataFolder(data).measures / name / version / f"{clip_id}.json"


def scorers(data: Path) -> dict[str, dict[str, Any]]:
    """The scorers of a data set by name; a damaged record is passed over with a warning."""
    found = {}
    for path in sorted(DataFolder(data).measures.glob(f"*/{RECORD}")):
        try:
            found[path.parent.name] = read_sealed(path)
        except LongdanceError as error:
            logger.warning("Scorer %s is passed over: %s", path.parent.name, error)
    return found


def write_scorer(data: Path, name: str, record: dict[str, Any]) -> None:
    """Remember how a scorer is called, and which version counts from now on."""
    write_sealed(scorer_path(data, name), record)


def write_measure(data: Path, name: str, version: str, clip_id: str, content: str, columns: dict[str, Any]) -> None:
    """Keep what was said of a clip whose content has that hash."""
    record = {"clip_id": clip_id, "content": content, "columns": columns}
    write_sealed(measure_path(data, name, version, clip_id), record)


def stored_measures(data: Path, name: str, version: str) -> dict[str, dict[str, Any]]:
    """Clip id to record; a damaged one counts as not there: it is measured again."""
    found = {}
    for path in sorted(measure_path(data, name, version, "x").parent.glob("[!.]*.json")):
        try:
            found[path.stem] = read_sealed(path)
        except LongdanceError:
            continue
    return found

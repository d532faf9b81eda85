"""Which samples went where: a file for each export in `DATA/exports`, the truth behind the catalog's `exports`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import read_sealed, sha256_json, write_sealed
from data_catalog.base.paths import DataFolder
from model.exports.items import ExportItem


def keep_record(data: Path, out: Path, said: dict[str, Any], items: Sequence[ExportItem]) -> Path:
    """Write down what goes where; the same export again is the same file."""
    about = {
        "target": said["target"],
        "folder": str(out),
        "version": said["version"]["name"],
        "version_hash": said["version"]["hash"],
        "samples": sorted(item.key for item in items),
        "sources": sorted({item.source_id for item in items}),
    }
    path = DataFolder(data).exports / f"{sha256_json(about)[:16]}.json"
    if not path.is_file():
        now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
        write_sealed(path, {**about, "created": now.isoformat()})
    return path


def export_records(data: Path, warn: Any = lambda said: None) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, record) of every export of a data set; what is damaged is passed over with a warning."""
    for path in sorted(DataFolder(data).exports.glob("[!.]*.json")):
        try:
            yield path.stem, read_sealed(path)
        except LongdanceError as error:
            warn(f"{path} is passed over: {error}")

"""Sources that were taken back: the record that the build refuses them by, and that says what had seen them."""

from pathlib import Path

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import read_sealed
from data_catalog.base.paths import DataFolder


def record_path(data: DataFolder, source_id: str) -> Path:
    """The record of a source."""
    return data.forgotten / f"{source_id}.json"


def forgotten_sources(data: DataFolder) -> dict[str, str]:
    """Source id to the sentence that refuses it. Raises LongdanceError for a damaged
    record, and for a source that is half forgotten."""
    found = {}
    for path in sorted(data.forgotten.glob("[!.]*.json")):
        record = read_sealed(path)
        if record["stage"] != "done":
            raise LongdanceError(
                f"Taking source {record['source_id'][:12]} back was stopped: run `longdance forget "
                f"{record['source_id'][:12]} --data {data.root} --why ...` again first."
            )
        when = str(record["forgotten"])[:10]
        found[str(record["source_id"])] = f"It was taken back on {when} ({record['why']}): remove it from this folder."
    return found

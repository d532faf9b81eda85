"""RAW and DATA as they are given: folders, or addresses in object storage."""

from pathlib import Path

from data_catalog.base.paths import DataFolder
from data_catalog.base.store import Store, is_url
from pipeline.batches.sources import SourceFile, require_objects, require_videos


def place_of(given: Path | str) -> Path | Store:
    """An absolute folder, or a store. Raises LongdanceError for an address that is none."""
    return Store.at(str(given)) if is_url(given) else Path(given).expanduser().absolute()


def name_of(given: Path | str) -> str:
    """The last part of a folder or an address, for people."""
    return str(given).rstrip("/").rpartition("/")[2]


def find_sources(raw: Path | Store, data: Path | Store) -> list[SourceFile]:
    """All files or objects below RAW but those of DATA.

    Raises:
        LongdanceError: there is none, or it cannot be listed.
    """
    if isinstance(raw, Store):
        return require_objects(raw, str(data))
    return require_videos(raw, DataFolder.at(data).root if isinstance(data, Path) else None)

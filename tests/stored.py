"""A data set of a folder in object storage, for tests."""

import shutil
from collections.abc import Callable
from pathlib import Path

from data_catalog.base.mirror import Mirror
from data_catalog.base.store import Store


def put_folder(data: Path, store: Store, wanted: Callable[[Path], bool] = lambda path: True) -> None:
    """Put the files of a folder whose paths below it are wanted; no hidden ones, and no catalog."""
    for path in sorted(path for path in data.rglob("*") if path.is_file()):
        key = path.relative_to(data)
        if wanted(key) and not key.name.startswith((".", "catalog.duckdb")):
            assert store.create(str(key), path)


def mirror_with_catalog(store: Store, folder: Path, data: Path) -> Mirror:
    """A mirror with the catalog of the folder that the store was filled from."""
    mirror = Mirror(store, folder)
    mirror.pull()
    shutil.copy(data / "catalog.duckdb", folder / "catalog.duckdb")
    return mirror


def objects_below(store: Store, folder: str) -> dict[str, bytes]:
    """Key to bytes."""
    return {info.key: store.read(info.key)[0] for info in store.listed(folder)}


def files_below(data: Path, folder: str) -> dict[str, bytes]:
    """The same of a folder; no hidden files."""
    files = (path for path in (data / folder).rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(data)): path.read_bytes() for path in files}

"""RAW and DATA as they are given: folders, or addresses in object storage."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_catalog.base.errors import LongdanceError
from data_catalog.base.mirror import SNAPSHOT, mirror_of
from data_catalog.base.paths import DataFolder
from data_catalog.base.store import MissingError, Store, is_url


def place_of(given: Path | str) -> Path | Store:
    """An absolute folder, or a store. Raises LongdanceError for an address that is none."""
    return Store.at(str(given)) if is_url(given) else Path(given).expanduser().absolute()


def name_of(given: Path | str) -> str:
    """The last part of a folder or an address, for people."""
    return str(given).rstrip("/").rpartition("/")[2]


def folder_of(data: Path | Store) -> DataFolder:
    """The data set's folder, or this host's mirror of it."""
    return DataFolder.at(data if isinstance(data, Path) else mirror_of(data.url))


@contextmanager
def catalog_of(data: Path | Store) -> Iterator[Path]:
    """The catalog to ask: the folder's, or a copy of the one that the last step put into the store.

    Raises:
        LongdanceError: nothing was built there, or the store cannot be asked.
    """
    if isinstance(data, Path):
        yield DataFolder.at(data).catalog
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / SNAPSHOT
        try:
            data.fetch(SNAPSHOT, copy)
        except MissingError:
            raise no_set(data) from None
        yield copy


def no_set(data: Store) -> LongdanceError:
    """What is said of an address at which nothing was built."""
    return LongdanceError(f"{data} holds no data set: run `longdance build RAW --data {data}` first.")

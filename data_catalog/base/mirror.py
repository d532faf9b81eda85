"""A data set in object storage and its mirror here: records lie in both, large files in the store alone.

The names are the same in both. A folder of the mirror says in `.elsewhere` which of its files the store alone has.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from data_catalog.base.files import TEMP_MARK, write_json
from data_catalog.base.lease import KEY
from data_catalog.base.store import MissingError, ObjectInfo, Store

ELSEWHERE = ".elsewhere"
RECORDS = (".json", ".csv", ".parquet")
"""What is read to make a catalog; anything else stays in the store."""
MUTABLE = ("build.json", "last_run.json", "paths.json", "rights.json", "captions.csv", "contact_sheet.jpg")
"""Files of a data set that change; all others are written once."""
SNAPSHOT = "catalog.duckdb"
BULK = ("analysis", "sound", "latents", "work")
"""Folders whose files only workers read."""
AT_ONCE = 16  # requests in flight


@dataclass(frozen=True)
class Mirror:
    """A store and the folder beside it."""

    store: Store
    folder: Path

    def pull(self) -> bool:
        """Bring the folder's records up to date with the store; whether any was not."""
        there = {info.key: info for info in self.store.listed() if info.key not in (KEY, SNAPSHOT)}
        records = {key for key in there if _is_record(key)}
        here = set(self._records_here())
        for key in here - records:
            (self.folder / key).unlink()
        wanted = {key for key in records if key not in here or key in MUTABLE}
        changed = {key for key in wanted if key not in MUTABLE} | (here - records)
        self.fetch(wanted)
        self._say_elsewhere(info for key, info in there.items() if key not in records)
        return bool(changed)

    def fetch(self, keys: Iterable[str]) -> None:
        """Copy objects into the folder; those that are not there are passed over."""

        def one(key: str) -> None:
            try:
                self.store.fetch(key, self.folder / key)
            except MissingError:
                return

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(one, keys))

    def push(self) -> None:
        """Put what this host wrote: records that the store lacks, and all that change."""
        there = {info.key for info in self.store.listed()}

        def one(key: str) -> None:
            path = self.folder / key
            if key in MUTABLE:
                self.store.replace(key, path)
            elif key not in there:
                self.store.create(key, path)

        keys = [*self._records_here(), *(name for name in MUTABLE if not name.endswith(RECORDS))]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(one, (key for key in keys if (self.folder / key).is_file())))

    def _records_here(self) -> list[str]:
        files = (path for path in self.folder.rglob("*") if path.suffix in RECORDS and path.is_file())
        keys = (str(path.relative_to(self.folder)) for path in files if not path.name.startswith(TEMP_MARK))
        return [key for key in keys if _is_record(key)]

    def _say_elsewhere(self, objects: Iterable[ObjectInfo]) -> None:
        sizes: dict[str, dict[str, int]] = defaultdict(dict)
        for info in objects:
            folder, _, name = info.key.rpartition("/")
            sizes[folder][name] = info.size
        for stale in self.folder.rglob(ELSEWHERE):
            if str(stale.parent.relative_to(self.folder)) not in sizes:
                stale.unlink()
        for folder, names in sizes.items():
            write_json(self.folder / folder / ELSEWHERE, {"store": f"{self.store.url}/{folder}", "sizes": names})


def _is_record(key: str) -> bool:
    return key.endswith(RECORDS) and key.partition("/")[0] not in BULK


def size_of(path: Path) -> int:
    """Bytes of a file, be it here or in the store that its folder mirrors. Raises FileNotFoundError."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        said = _elsewhere(path)
        if said is None:
            raise
        return said[1]


def read_part(path: Path, offset: int, length: int) -> bytes | None:
    """A part of a file that the store alone has; None for any other."""
    said = _elsewhere(path)
    return Store.at(said[0]).read_range(path.name, offset, length) if said else None


def _elsewhere(path: Path) -> tuple[str, int] | None:
    """(store, bytes) of a file that lies in no folder here."""
    marker = path.parent / ELSEWHERE
    if not marker.is_file():
        return None
    said = json.loads(marker.read_bytes())
    return (said["store"], said["sizes"][path.name]) if path.name in said["sizes"] else None

"""A data set in object storage and its mirror here: records lie in both, large files in the store alone.

The names are the same in both; `large_files.py` reads what the store alone has.
"""

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from data_catalog.base.files import TEMP_MARK, sha256_file
from data_catalog.base.large_files import say_elsewhere
from data_catalog.base.lease import KEY
from data_catalog.base.paths import ROWS, mirrors
from data_catalog.base.store import MissingError, Store

RECORDS = (".json", ".csv", ".parquet", ".safetensors")
"""What a catalog is made of, and codecs and texts, which are small; anything else stays in the store."""
MUTABLE = ("build.json", "last_run.json", "paths.json", "rights.json", "captions.csv", "contact_sheet.jpg")
"""Files of a data set that a build changes; all others are written once, but for those of ROWS."""
FINAL = ("clips", "shards", "latents")
"""Folders whose manifests say that something is finished: they are put last, and stay."""
SNAPSHOT = "catalog.duckdb"
BULK = ("analysis", "sound", "work")
"""Folders whose files only workers read."""
AT_ONCE = 16  # requests in flight


def mirror_of(url: str) -> Path:
    """This user's folder for the records and the catalog of a data set in object storage."""
    return mirrors().resolve() / hashlib.sha256(url.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Mirror:
    """A store and the folder beside it."""

    store: Store
    folder: Path

    def pull(self, stale: Callable[[], None] = lambda: None) -> None:
        """Bring the folder's records up to date with the store; `stale` is called first where any is not."""
        there = {info.key: info for info in self.store.listed() if info.key not in (KEY, SNAPSHOT)}
        records = {key for key in there if _is_record(key)}
        here = set(self._records_here())
        wanted = {key for key in records if key not in here or _changes(key)}
        if here - records or any(not _changes(key) for key in wanted):
            stale()
        for key in here - records:
            (self.folder / key).unlink()
        self.fetch(wanted)
        others = (info for key, info in there.items() if key not in records)
        say_elsewhere(self.folder, self.store.url, others)

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
        """Put what a build wrote: records that the store lacks, and all that it changes."""
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

    def put(self, made: Iterable[Path]) -> None:
        """Put files of the folder that were made here, manifests last; what is finished stays as it is."""
        for path in sorted(made, key=lambda path: (self._rank(path), path)):
            key = str(path.relative_to(self.folder))
            if self.store.create(key, path) or self.store.sha256(key) == sha256_file(path):
                continue
            # A worker that died before its manifest left it, or one whose host was given up: it says the same in other
            # bytes. What has its manifest is finished.
            if self._rank(path) < 2 and not self._has_manifest(path):
                self.store.replace(key, path)

    def _rank(self, path: Path) -> int:
        """In which order files are put."""
        if path.suffix != ".json":
            return 0
        return 2 if path.relative_to(self.folder).parts[0] in FINAL else 1

    def _has_manifest(self, path: Path) -> bool:
        return path.suffix != ".json" and self.store.has(str(path.relative_to(self.folder).with_suffix(".json")))

    def _records_here(self) -> list[str]:
        files = (path for path in self.folder.rglob("*") if path.suffix in RECORDS and path.is_file())
        keys = (str(path.relative_to(self.folder)) for path in files if not path.name.startswith(TEMP_MARK))
        return [key for key in keys if _is_record(key)]


def _is_record(key: str) -> bool:
    return key.endswith(RECORDS) and key.partition("/")[0] not in BULK


def _changes(key: str) -> bool:
    return key in MUTABLE or key.startswith(f"{ROWS}/")

"""Files of an export, each kept once under the hash of what it is made from, and linked to where a loader wants it.

So a second target in the same folder, or a grown version, adds names and not bytes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from data_catalog.base.disk import explain_disk_error
from data_catalog.base.files import TEMP_MARK, atomic, make_folder, read_json, remove_temps, write_bytes, write_json
from model.errors import DataError

OBJECTS = "objects"


@dataclass(frozen=True)
class Stored:
    """A file that is kept under `name`, and made by `make` where it is not there yet."""

    name: str
    make: Callable[[], bytes]


Content = Stored | bytes
Layout = Mapping[PurePosixPath, Content]
"""What a target's folder is to hold, by path below it."""


class ExportFolder:
    """The folder that somebody takes along: `TARGET/`, a record for each target, and the objects they share."""

    def __init__(self, root: Path, target: str) -> None:
        self.root, self.target = root, target
        self._objects = root / OBJECTS
        self._record = root / f"{target}.export.json"

    def check(self) -> None:
        """Make the folder. Raises DataError where that cannot be, or it holds what no export wrote."""
        try:
            str(self.root).encode()
            make_folder(self.root)
            there = {path.name for path in self.root.iterdir() if not path.name.startswith(TEMP_MARK)}
        except UnicodeEncodeError as error:
            raise DataError(f"{self.root} is no name in UTF-8, as config files need: name another folder.") from error
        except OSError as error:
            if explain_disk_error(error, self.root):
                raise
            raise DataError(f"{self.root} cannot be made a folder ({error.strerror}): name another one.") from error
        if there and not any(name.endswith(".export.json") for name in there):
            raise DataError(f"{self.root} holds other files: name an empty folder, or one that was exported into.")
        if not os.access(self.root, os.W_OK):
            raise DataError(f"{self.root} cannot be written into: change its permissions or name another folder.")

    def write(self, layout: Layout, said: Mapping[str, object], on_file: Callable[[int, int], None]) -> int:
        """Make the target's folder hold exactly this; returns how many files are new or have changed.

        Names are on record before they are there, so that what a killed export left is known to the next.
        """
        make_folder(self.root)
        remove_temps(self.root)
        names = {str(path): content.name if isinstance(content, Stored) else None for path, content in layout.items()}
        before = self._names(self._record)
        write_json(self._record, {**said, "finished": False, "files": {**before, **names}})
        new = 0
        for number, (path, content) in enumerate(layout.items(), start=1):
            new += self._place(self.root / self.target / path, content)
            on_file(number, len(layout))
        for gone in before.keys() - names.keys():
            (self.root / self.target / gone).unlink(missing_ok=True)
        write_json(self._record, {**said, "finished": True, "files": names})
        self._sweep()
        return new

    def _place(self, path: Path, content: Content) -> bool:
        if isinstance(content, bytes):
            if path.is_file() and path.read_bytes() == content:
                return False
            write_bytes(path, content)
            return True
        kept = self._objects / content.name[:2] / content.name
        if not kept.is_file():
            write_bytes(kept, content.make())
        if path.is_file() and (path.samefile(kept) or path.read_bytes() == kept.read_bytes()):
            return False
        link_or_copy(kept, path)
        return True

    def _sweep(self) -> None:
        """Remove the objects that no target of this folder names any more."""
        wanted = {name for record in self.root.glob("*.export.json") for name in self._names(record).values() if name}
        for kept in self._objects.glob("*/*"):
            if kept.name not in wanted:
                kept.unlink()

    def _names(self, record: Path) -> dict[str, str | None]:
        if not record.is_file():
            return {}
        try:
            return dict(read_json(record)["files"])
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{record} is damaged: export into another folder.") from error


def link_or_copy(kept: Path, path: Path) -> None:
    """Give a file a second name; a copy of it where the file system knows no second names."""
    with atomic(path) as temp:
        try:
            os.link(kept, temp)
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                raise
            shutil.copyfile(kept, temp)

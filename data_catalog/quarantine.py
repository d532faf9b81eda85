"""A damaged catalog is moved aside, never deleted, and a mark says that a rebuild is due.

The files on disk are the truth and the catalog is made from them, so damage costs a rebuild and no
data. The mark is a file beside the catalog, written before anything is moved: whenever a process
dies, either nothing was lost or the mark is there.
"""

import os
from pathlib import Path

from data_catalog.base.files import fsync_path

_DAMAGED_WAL = "Failure while replaying WAL"
_DAMAGED_FILE = (
    "Corrupt database file",
    "it is not a valid DuckDB database file",
    "Could not read enough bytes",
)


def wal_path(path: Path) -> Path:
    """DuckDB's write-ahead log beside the catalog; there only after a writer was killed, or inside one."""
    return path.with_name(path.name + ".wal")


def mark_path(path: Path) -> Path:
    """The file that says, in one sentence, why a rebuild is due."""
    return path.with_name(path.name + ".needs-rebuild")


def is_damage(error: Exception) -> bool:
    """Whether DuckDB's error says that bytes on disk are not what it wrote."""
    return any(sign in str(error) for sign in (_DAMAGED_WAL, *_DAMAGED_FILE))


def quarantine(path: Path, error: Exception) -> list[Path]:
    """Move what `error` calls damaged aside and mark the catalog; return the new names.

    A damaged log goes alone; with a damaged database goes its log, which fits no other.
    """
    only_wal = _DAMAGED_WAL in str(error)
    damaged = [file for file in (wal_path(path), None if only_wal else path) if file and file.exists()]
    what = "log" if only_wal else "file"
    set_mark(path, f"The catalog's {what} was damaged and moved aside.")
    moved = []
    for file in damaged:
        aside = _free_name(file)
        file.rename(aside)
        moved.append(aside)
    fsync_path(path.parent)
    return moved


def _free_name(file: Path) -> Path:
    number = 1
    while (aside := file.with_name(f"{file.name}.damaged-{number}")).exists():
        number += 1
    return aside


def set_mark(path: Path, sentence: str) -> None:
    """Leave the mark, durably."""
    with mark_path(path).open("w", encoding="utf-8") as file:
        file.write(sentence + "\n")
        file.flush()
        os.fsync(file.fileno())
    fsync_path(path.parent)


def read_mark(path: Path) -> str | None:
    """The mark's sentence, or None."""
    try:
        return mark_path(path).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None


def clear_mark(path: Path) -> None:
    """Take the mark away once the rebuilt rows are on disk."""
    mark_path(path).unlink(missing_ok=True)
    fsync_path(path.parent)

"""Finding raw files: names are bytes, links and devices are refused, the id is the sha256 of the bytes."""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import LongdanceError, RejectedError
from pipeline.ffmpeg import open_source


@dataclass(frozen=True)
class SourceFile:
    """A directory entry. `path` is what `os.fsencode` gives: any bytes that the file system allows."""

    path: bytes
    size: int
    mtime_ns: int
    inode: int
    regular: bool

    @property
    def shown(self) -> str:
        """The path as text for people: undecodable bytes as \\xNN."""
        return self.path.decode("utf-8", "backslashreplace")


def walk(root: Path, exclude: Path | None = None) -> Iterator[SourceFile]:
    """Every entry below `root` that is no folder, in byte order; `exclude` (the data folder) is passed over.

    Raises:
        LongdanceError: `root` is missing or no folder.
    """
    if not root.is_dir():
        raise LongdanceError(f"{str(root)!r} is not a folder: give the folder that holds your raw videos.")
    skip = os.path.realpath(os.fsencode(exclude)) if exclude else None
    for folder, folders, names in os.walk(os.fsencode(root)):
        paths = {name: os.path.join(folder, name) for name in sorted([*folders, *names])}  # noqa: PTH118
        folders[:] = [
            name
            for name in sorted(folders)
            if not os.path.islink(paths[name]) and os.path.realpath(paths[name]) != skip  # noqa: PTH114
        ]
        for path in paths.values():
            info = os.lstat(path)
            if not stat.S_ISDIR(info.st_mode):
                yield SourceFile(path, info.st_size, info.st_mtime_ns, info.st_ino, stat.S_ISREG(info.st_mode))


def hash_source(file: SourceFile) -> str:
    """Hex sha256 of the file's bytes: the source id.

    Raises:
        RejectedError: `not_regular` or `unreadable`.
    """
    if not file.regular:
        raise RejectedError("not_regular", "A regular file was expected; links, folders and devices are refused.")
    descriptor = open_source(file.path)
    with os.fdopen(descriptor, "rb") as stream:
        try:
            return hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise RejectedError("unreadable", f"The file cannot be read ({error.strerror}).") from error


def nameless_id(path: bytes) -> str:
    """The id of a file whose bytes cannot be had: a hash of its name, marked as such."""
    return "path-" + hashlib.sha256(path).hexdigest()[:59]

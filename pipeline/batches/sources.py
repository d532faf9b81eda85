"""Finding raw files: names are bytes, links and devices are refused, the id is the sha256 of the bytes."""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data_catalog.base.errors import LongdanceError, RejectedError
from data_catalog.base.paths import DataFolder
from data_catalog.base.store import Store, is_url
from pipeline.video.ffmpeg import open_source
from pipeline.video.raw_source import hash_object

# What lies beside videos and is none: passed over, not rejected.
SIDECARS = tuple(b".json .txt .md .srt .vtt .ass .nfo .xml .csv .jpg .jpeg .png .webp .part .thm .lrv .ini .db".split())
_NAMELESS = "path-"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A directory entry; `path` is what `os.fsencode` gives: any bytes that the file system allows.

    Or an object: `path` is its address, and `inode` stands for its tag.
    """

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
    """Every entry below `root` that is not a folder, in byte order, but for SIDECARS, dot files and dot folders, the
    folder `exclude` and other data sets (folders with a catalog), whose shards are no footage.

    A folder that cannot be listed is an entry itself: opening it will say why not.

    Raises:
        LongdanceError: `root` is missing, no folder, or cannot be listed.
    """
    if not root.is_dir():
        raise LongdanceError(f"{str(root)!r} is not a folder: give the folder that holds your raw videos.")
    skip = os.path.realpath(os.fsencode(exclude)) if exclude else None
    closed: list[OSError] = []
    catalog = os.fsencode(DataFolder(Path()).catalog)
    for folder, folders, names in os.walk(os.fsencode(root), onerror=closed.append):
        paths = {name: os.path.join(folder, name) for name in sorted([*folders, *names])}  # noqa: PTH118
        folders[:] = [
            name
            for name in sorted(folders)
            if not name.startswith(b".")
            and not os.path.islink(paths[name])  # noqa: PTH114
            and os.path.realpath(paths[name]) != skip
            and not os.path.isfile(os.path.join(paths[name], catalog))  # noqa: PTH113, PTH118
        ]
        for name, path in paths.items():
            if name.startswith(b"."):  # .DS_Store, and what a Mac leaves beside every video on a foreign disk
                continue
            if not path.lower().endswith(SIDECARS) and (entry := _entry(path)):
                yield entry
    for error in closed:
        if os.fsencode(error.filename) == os.fsencode(root):
            raise LongdanceError(f"{str(root)!r} cannot be listed ({error.strerror}): give yourself access to it.")
        yield SourceFile(os.fsencode(error.filename), 0, 0, 0, regular=True)


def _entry(path: bytes) -> SourceFile | None:
    """What a name stands for, links not followed; None for a folder, and where it has gone since it was listed.

    What may not even be looked at counts as regular: opening it will say why not.
    """
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return None
    except PermissionError:
        return SourceFile(path, 0, 0, 0, regular=True)
    if stat.S_ISDIR(info.st_mode):
        return None
    return SourceFile(path, info.st_size, info.st_mtime_ns, info.st_ino, stat.S_ISREG(info.st_mode))


def require_videos(root: Path, exclude: Path | None = None) -> list[SourceFile]:
    """All files below `root`, by path.

    Raises:
        LongdanceError: the folder is missing or holds no file.
    """
    files = sorted(walk(root, exclude), key=lambda file: file.path)
    if not files:
        raise LongdanceError(f"{str(root)!r} holds no file: give the folder that holds your raw videos.")
    return files


def require_objects(raw: Store, exclude: str) -> list[SourceFile]:
    """All objects below an address, by name, but for SIDECARS, dot files and data sets, `exclude` among them.

    Raises:
        LongdanceError: there is none, or the store cannot be listed.
    """
    catalog = DataFolder(Path()).catalog.name
    found = [info for info in raw.listed() if info.size or not info.key.endswith("/")]
    sets = {info.key.rpartition("/")[0] for info in found if info.key.rpartition("/")[2] == catalog}
    closed = tuple(f"{raw.url}/{folder}/" if folder else f"{raw.url}/" for folder in sets)
    files = []
    for info in found:
        url = f"{raw.url}/{info.key}"
        hidden = any(part.startswith(".") for part in info.key.split("/"))
        inside = url.startswith((exclude + "/", *closed))
        if hidden or inside or url.lower().encode().endswith(SIDECARS):
            continue
        tag = int.from_bytes(hashlib.sha256(info.tag.encode()).digest()[:6], "big")
        files.append(SourceFile(url.encode(), info.size, info.modified_ns, tag, regular=True))
    if not files:
        raise LongdanceError(f"{raw.url} holds no file: give the address of your raw videos.")
    return sorted(files, key=lambda file: file.path)


def hash_source(file: SourceFile) -> str:
    """Hex sha256 of the file's bytes: the source id.

    Raises:
        RejectedError: `not_regular` or `unreadable`.
    """
    if is_url(file.path):
        return hash_object(file.path)
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
    return _NAMELESS + hashlib.sha256(path).hexdigest()[:59]


def is_nameless(source_id: str) -> bool:
    """Whether an id is a name's, and not that of bytes."""
    return source_id.startswith(_NAMELESS)


def find_sources(raw: Path | Store, data: Path | Store) -> list[SourceFile]:
    """All files or objects below RAW but those of DATA.

    Raises:
        LongdanceError: there is none, or it cannot be listed.
    """
    if isinstance(raw, Store):
        return require_objects(raw, str(data))
    return require_videos(raw, DataFolder.at(data).root if isinstance(data, Path) else None)

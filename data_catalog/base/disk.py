"""Where no more can be written: a disk or shared memory that is full or read-only, each in a sentence of its own."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from data_catalog.base.errors import LongdanceError

SHARED_MEMORY = Path("/dev/shm")
"""Where Linux keeps the locks and queues between processes."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_SHARING = ("multiprocessing.synchronize", "multiprocessing.heap", "multiprocessing.shared_memory")
_IN_TEXT = re.compile(r"\b(?:Errno|os error) (\d+)")


def free_gib(path: Path) -> float:
    """Room on the disk that holds `path`, or will."""
    nearest = next(folder for folder in (path, *path.parents) if folder.is_dir())
    return shutil.disk_usage(nearest).free / 2**30


def explain_disk_error(error: BaseException, folder: Path | None = None, resumes: str = "") -> str | None:
    """One sentence for an error that says that nothing more can be written; None for any other.

    folder: what was being written to, if that is known. resumes: where the same command continues afterwards.
    """
    number = _number(error)
    if number is None or isinstance(error, LongdanceError):
        return None
    again = f"run the same command again{', ' if resumes else ''}{resumes}."
    cause = os.strerror(number)
    if _in_shared_memory(error):
        return (
            f"Shared memory ({SHARED_MEMORY}), which processes need to talk to each other, cannot be used ({cause}): "
            f"mount it writable and with some room (`mount -o remount,rw,size=1g {SHARED_MEMORY}`; in a container "
            f"`docker run --shm-size=1g`), then {again}"
        )
    place = folder or _folder_of(error)
    if number in _FULL:
        where, free = (f" of {place}", f", {free_gib(place):.2f} GiB free") if place else ("", "")
        return f"The disk{where} is full ({cause}{free}): make room and {again}"
    if number == errno.EROFS:
        where = f" of {place}" if place else ""
        return f"The disk{where} takes no files ({cause}): mount it writable or name another place, then {again}"
    return None


@contextmanager
def disk_errors(folder: Path, kind: type[LongdanceError], resumes: str = "") -> Iterator[None]:
    """Raise `kind`, with its sentence, where `folder` takes no more; all other errors pass as they are."""
    try:
        yield
    except Exception as error:
        sentence = explain_disk_error(error, folder, resumes)
        if sentence is None:
            raise
        raise kind(sentence) from error


def raise_if_told_full(words: str) -> None:
    """Raise the OSError of a full disk if that is what another program, ffmpeg for one, ended with saying."""
    for number in (errno.ENOSPC, errno.EDQUOT):
        if os.strerror(number) in words:
            raise OSError(number, os.strerror(number))


def _number(error: BaseException) -> int | None:
    """The system's error number. Libraries written in Rust, safetensors among them, tell it in their text alone."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    told = _IN_TEXT.search(str(error))
    return int(told[1]) if told else None


def _folder_of(error: BaseException) -> Path | None:
    name = getattr(error, "filename2", None) or getattr(error, "filename", None)
    return Path(os.fsdecode(name)).absolute().parent if isinstance(name, str | bytes) else None


def _in_shared_memory(error: BaseException) -> bool:
    """Whether it was a semaphore or a block of shared memory that could not be made: those errors name no file."""
    if str(SHARED_MEMORY) in str(error):
        return True
    return isinstance(error, OSError) and _innermost_module(error.__traceback__) in _SHARING


def _innermost_module(traceback: TracebackType | None) -> str:
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return str(traceback.tb_frame.f_globals.get("__name__", "")) if traceback else ""

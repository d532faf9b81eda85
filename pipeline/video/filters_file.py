"""Filters that are too long for a command line, which those of a long steadied clip are: a place for every frame."""

import contextlib
import os
from collections.abc import Iterator, Sequence

MAX_ARGUMENT = 100_000
"""Bytes: Linux takes no argument of 128 KiB."""


@contextlib.contextmanager
def filters_from_file(command: Sequence[str]) -> Iterator[tuple[list[str], list[int]]]:
    """An ffmpeg command, and the descriptors that it wants: long filters lie in a file in memory (ffmpeg 7.1 on)."""
    place = command.index("-filter_complex") + 1 if "-filter_complex" in command else 0
    filters = os.fsencode(command[place])
    if not place or len(filters) < MAX_ARGUMENT:
        yield list(command), []
        return
    with os.fdopen(os.memfd_create("filters"), "wb", buffering=0) as file:
        file.write(filters)
        file.seek(0)
        descriptor = file.fileno()
        named = ["-/filter_complex", f"/dev/fd/{descriptor}"]
        yield [*command[: place - 1], *named, *command[place + 1 :]], [descriptor]

"""What must be the same on every host that works on a data set: versions of what decides bytes, and files."""

import functools
import importlib.metadata
import os
import platform
import stat
import subprocess
import time
from pathlib import Path

from data_catalog.base.files import sha256_file, sha256_json
from pipeline.video.ffmpeg import ffmpeg_exe

LIBRARIES = ("longdance", "av", "diffusers", "librosa", "mediapipe", "numpy", "opencv-python", "scipy", "torch")
"""Packages that decide what a build and latents are made of."""
CODE = ("model", "pipeline", "data_catalog")
SEEN_S = 10.0  # a network file system may show a new file late
Facts = dict[str, str]
SizedPath = tuple[bytes, int]
"""A file's path and size; a folder's size counts as 0."""


def facts_here() -> Facts:
    """Name to version, of this host."""
    # Without what torch says of the kind of GPU that it was made for.
    versions = {name: importlib.metadata.version(name).partition("+")[0] for name in LIBRARIES}
    return {"Python": platform.python_version(), **versions, "code": _code_hash(), "ffmpeg": _ffmpeg_version()}


def difference(host: str, facts: Facts) -> str | None:
    """The sentence that refuses a host, None for one that is as this one."""
    here = facts_here()
    for name, version in here.items():
        if facts.get(name) != version:
            return (
                f"Host {host} has {name} {facts.get(name, 'none')}, here it is {version}: install the same longdance "
                "on every host."
            )
    return None


def places(files: list[Path]) -> list[SizedPath]:
    """Files and folders as this host sees them."""
    return [(os.fsencode(file), _size(os.fsencode(file))) for file in files]


def unseen(wanted: list[SizedPath]) -> str | None:
    """The first of these places that this host does not see so, as text; waits a while for it."""
    deadline = time.monotonic() + SEEN_S
    for path, size in wanted:
        while _size(path) != size:
            if time.monotonic() >= deadline:
                return path.decode("utf-8", "backslashreplace")
            time.sleep(0.2)
    return None


def _size(path: bytes) -> int:
    """Of a file; 0 of a folder, -1 where there is nothing."""
    try:
        info = os.stat(path)  # noqa: PTH116 (a name is bytes)
    except OSError:
        return -1
    return info.st_size if stat.S_ISREG(info.st_mode) else 0


@functools.cache
def _code_hash() -> str:
    """A short hash of the code that works on sources, so that an edited copy is no longer the same version."""
    root = Path(__file__).parents[2]
    files = sorted(path for package in CODE for path in (root / package).rglob("*.py"))
    return sha256_json([[str(path.relative_to(root)), sha256_file(path)] for path in files])[:12]


@functools.cache
def _ffmpeg_version() -> str:
    done = subprocess.run([ffmpeg_exe(), "-version"], capture_output=True, text=True, check=False)
    return done.stdout.partition("Copyright")[0].strip()

"""What `--with` names: a scorer that comes along, a Python function, or a program; and the version of its code."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_catalog.base.files import sha256_file, sha256_json
from model.errors import ScorerError

SHIPPED = {
    "aesthetic": "model.scorers.aesthetic:score",
    "embeddings": "model.scorers.embeddings:score",
    "learnt": "model.scorers.learnt:score",
}
"""Scorers that come along, by the name that `--with` takes."""


@dataclass(frozen=True)
class Entrypoint:
    """A scorer that was found: how it is started, and what its code and settings hash to."""

    named: str
    command: tuple[str, ...]
    code: str

    def version(self, settings: dict[str, Any]) -> str:
        """16 hex digits of its code, its settings, and the files or folders that settings name."""
        return sha256_json([self.code, settings, *filter(None, map(_files_at, settings.values()))])[:16]


def _files_at(value: Any) -> list[tuple[str, int, int]]:
    """(name, bytes, time of change) of each file at a path; empty for a value that is none."""
    if not isinstance(value, str) or not value or "\0" in value:
        return []
    place = Path(value).expanduser()
    files = sorted(place.iterdir()) if place.is_dir() else [place] if place.is_file() else []
    return [(one.name, one.stat().st_size, one.stat().st_mtime_ns) for one in files if one.is_file()]


def find_entrypoint(named: str) -> Entrypoint:
    """The scorer of that name. Raises ScorerError where there is none."""
    module, separator, function = SHIPPED.get(named, named).rpartition(":")
    if separator:
        path = Path(module).expanduser().resolve() if module.endswith(".py") else _of_module(module)
        if path is None or not path.is_file():
            raise ScorerError(f"--with {named!r}: there is no Python file {module!r}: give FILE.py:FUNCTION.")
        where = str(path) if module.endswith(".py") else module
        command = (sys.executable, "-P", "-m", "model.scorers.child", where, function)
        return Entrypoint(named, command, hashlib.sha256(path.read_bytes() + function.encode()).hexdigest())
    asked = Path(named).expanduser()
    program = shutil.which(str(asked.absolute()) if "/" in named else named)
    if program is None:
        known = ", ".join(SHIPPED)
        raise ScorerError(f"--with {named!r} is no program that can be run: give one, FILE.py:FUNCTION, or {known}.")
    path = Path(program).resolve()
    return Entrypoint(named, (str(path),), sha256_file(path))


def _of_module(name: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec is not None and spec.origin else None

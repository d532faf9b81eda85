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
        """16 hex digits of its code and its settings."""
        return sha256_json([self.code, settings])[:16]


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
    program = shutil.which(str(Path(named).expanduser()))
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

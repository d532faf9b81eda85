"""What code a program runs: its own modules, found by following their imports into any room, and a hash of each."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from data_catalog.base.files import sha256_file, sha256_json

_ROOT = Path(__file__).parents[2]
_PACKAGES = frozenset({"data_catalog", "pipeline", "model", "flows"})


def imported_modules(entry: str, root: Path = _ROOT) -> dict[str, Path]:
    """Every module of ours that running `entry` ("model.training.train") may import, late imports too, with its file.

    Imports are read, not run: what stands under `if TYPE_CHECKING` is left out, the packages on the way are in.
    """
    found: dict[str, Path] = {}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        path = _file_of(name, root)
        if name in found or path is None:
            continue
        found[name] = path
        waiting += [".".join(name.split(".")[:depth]) for depth in range(1, name.count(".") + 1)]
        waiting += _imports(ast.parse(path.read_bytes()))
    return dict(sorted(found.items()))


def _file_of(name: str, root: Path) -> Path | None:
    """The file of a module or package of ours; None for anybody else's, and for a name inside a module."""
    if name.split(".")[0] not in _PACKAGES:
        return None
    base = root.joinpath(*name.split("."))
    files = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in files if path.is_file()), None)


def _imports(node: ast.AST) -> Iterator[str]:
    """Names that a tree imports when it runs; a name imported from a package may be a module of it."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in {getattr(node.test, key, None) for key in ("id", "attr")}:
        for statement in node.orelse:
            yield from _imports(statement)
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from _imports(child)


@cache  # the code of a process does not change
def code_of(entry: str) -> dict[str, str]:
    """The sha256 of each module that running `entry` may import."""
    return {name: sha256_file(path) for name, path in imported_modules(entry).items()}


def code_hash(entry: str) -> str:
    """One name for the code that running `entry` means."""
    return sha256_json(code_of(entry))


def code_changes(before: Any, now: dict[str, str]) -> list[str]:
    """One sentence part for code that differs, naming its modules; nothing if none does.

    `before` is what a record holds: until longdance 0.2 one hash of the whole, which names no module.
    """
    if not isinstance(before, dict):
        return ["it was begun by another code, that of longdance 0.1"]
    changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    return [f"the code of {', '.join(changed)} is another one now"] if changed else []

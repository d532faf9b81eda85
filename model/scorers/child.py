"""A Python function as a scorer, in a process of its own: clips in, rows out, as a program would do it.

usage: python -m model.scorers.child FILE.py|MODULE FUNCTION < clips.jsonl > rows.jsonl

The function takes a list of clips (dicts, as docs/scorers.md lists them) and its settings as keywords, and returns or
yields a dict of numbers for each clip, in their order. What it prints goes to standard error.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

SETTINGS = "LONGDANCE_SCORER_SETTINGS"
"""Environment variable with the scorer's settings as JSON."""


def load(where: str, function: str) -> Callable[..., Any]:
    """The function of a file or of a module."""
    if where.endswith(".py"):
        sys.path.append(str(Path(where).parent))  # for modules that lie beside it
        spec = importlib.util.spec_from_file_location(Path(where).stem, where)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(where)
    found: Callable[..., Any] = getattr(module, function)
    return found


def main() -> None:
    """Score what comes in."""
    rows = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # a library that prints must not end up among the rows
    clips = [json.loads(line) for line in sys.stdin]
    settings = json.loads(os.environ.get(SETTINGS, "{}"))
    made = iter(load(sys.argv[1], sys.argv[2])(clips, **settings))
    for clip, columns in zip(clips, made):
        print(json.dumps({"clip_id": clip["clip_id"], **columns}, default=_number), file=rows, flush=True)
    if next(made, None) is not None:
        sys.exit(f"gave more rows than the {len(clips)} clips")


def _number(value: Any) -> Any:
    """A number of numpy's or torch's."""
    return value.item()


if __name__ == "__main__":
    main()

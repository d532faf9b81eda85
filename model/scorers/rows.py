"""What a scorer said, checked: a number for each clip and column, under names that SQL can hold."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_COLUMN = re.compile(r"[a-z][a-z0-9_]{0,40}")
NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")


@dataclass
class ScorerRows:
    """What could be read of an answer, and in a sentence each what could not."""

    values: dict[str, dict[str, float | None]] = field(default_factory=dict)
    """Clip id to column to number; None: the scorer gave no number (NaN)."""
    wrong: list[str] = field(default_factory=list)


def read_rows(text: str, wanted: Sequence[str]) -> ScorerRows:
    """The rows of an answer, a JSON object a line.

    A line that is no such row, names another clip or gives another type than a number is left out and counted; the
    columns are those of the first row.
    """
    found, missing, not_numbers, bad = ScorerRows(), set(wanted), 0, []
    columns: list[str] | None = None
    for line in text.splitlines():
        row = _row(line)
        if row is None:
            bad.append(f"a line that is no JSON object ({line[:60]!r})")
            continue
        clip = row.pop("clip_id", None)
        problem = _problem(row, columns)
        if not isinstance(clip, str) or clip not in missing or problem:
            again = "a second time" if isinstance(clip, str) and clip in found.values else "which was not asked for"
            bad.append(problem or f"a row of clip {str(clip)[:40]!r}, {again}")
            continue
        columns = columns or sorted(row)
        missing.discard(clip)
        numbers = {name: float(value) if math.isfinite(value) else None for name, value in row.items()}
        not_numbers += any(value is None for value in numbers.values())
        found.values[clip] = numbers
    if bad:
        found.wrong.append(f"gave {bad[0]}" + (f" and {len(bad) - 1} more like that" if len(bad) > 1 else ""))
    if not_numbers:
        found.wrong.append(f"gave NaN or infinity for {not_numbers} clips, which stay unmeasured there")
    if missing:
        found.wrong.append(f"gave {len(wanted) - len(missing)} rows for {len(wanted)} clips")
    return found


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _problem(row: dict[str, Any], columns: list[str] | None) -> str:
    """What is wrong with the columns of a row; empty if nothing."""
    if not row:
        return "a row without a column"
    for name, value in row.items():
        if not _COLUMN.fullmatch(name):
            return f"a column {name[:40]!r}: use lower-case letters, digits and underscores"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{str(value)[:40]!r} as {name}, where a number is expected"
        if isinstance(value, int) and abs(value) > 2**53:
            return f"{str(value)[:40]} as {name}, which is too large"
    if columns is not None and sorted(row) != columns:
        return f"the columns {', '.join(sorted(row))[:80]} after {', '.join(columns)[:80]}"
    return ""


def column_name(scorer: str, column: str) -> str:
    """A column's name in `clips`: the scorer's for its only meaning, `score`; else both."""
    return scorer if column in ("score", scorer) else f"{scorer}_{column}"

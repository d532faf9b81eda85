"""Rules of a policy about columns that scorers of the user's own have given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.views import score_columns
from model.errors import PolicyError
from pipeline.config import read_rule


def clips_beyond(data: Path, rules: Mapping[str, str]) -> set[str]:
    """The clips that a rule like `aesthetic: <4.5` lets go; one that was not measured stays. Raises PolicyError."""
    found: set[str] = set()
    if not rules:
        return found
    with open_catalog(DataFolder(data).catalog, read_only=True) as con:
        known = score_columns(con)
        for name, rule in rules.items():
            if name not in known:
                raise PolicyError(
                    f"There is no score {name!r} to go by: `longdance measure` makes it, or name another."
                )
            op, value = read_rule(name, rule)
            found |= {
                clip for (clip,) in con.execute(f"SELECT clip_id FROM clips WHERE {name} {op} ?", [value]).fetchall()
            }
    return found

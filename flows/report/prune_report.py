"""What a prune leaves for people: before and after, and how sure the scores are."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect.artifacts import create_markdown_artifact

from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from flows.report.version_diff import mass
from flows.server.outlive import show_in_prefect

COLUMNS = ["version", "samples", "clips", "sources", "hours", "motion"]


def prune_artifact(markdown: str) -> None:
    """Show a prune in Prefect's UI."""
    show_in_prefect(create_markdown_artifact, key="score-and-prune", markdown=markdown, description="Before and after")


def prune_rows(root: Path, versions: Sequence[str], parent: str | None) -> list[tuple[Any, ...]]:
    """Rows of COLUMNS: what was pruned, then what came of it. The share of motion is NULL where there is none."""
    with open_catalog(DataFolder(root).catalog, read_only=True) as con:
        masses = [(parent or "all good clips", mass(con, parent)), *((name, mass(con, name)) for name in versions)]
    whole = masses[0][1]["motion"]
    return [
        (name, now["samples"], now["clips"], now["sources"], now["hours"], now["motion"] / whole if whole else None)
        for name, now in masses
    ]


def shown(value: float | None, form: str) -> str:
    """A number, or that it is unknown, as the reliability of the scores of two samples is."""
    return "unknown" if value is None or math.isnan(value) else format(value, form)


def prune_markdown(
    root: Path, of: str, evidence: Sequence[Any], versions: Sequence[str], parent: str | None, notes: Sequence[str] = ()
) -> str:
    """Tables of before and after, of what went by score, and of reliability; `notes` stand between them. of: the data
    set, for people."""
    lines = [
        f"# Versions of {of}",
        "",
        "| | samples | clips | sources | hours | motion |",
        "|---|---|---|---|---|---|",
    ]
    for name, samples, clips, sources, hours, share in prune_rows(root, versions, parent):
        lines.append(f"| {name} | {samples} | {clips} | {sources} | {hours:.2f} | {shown(share, '.1%')} |")
    lines += [line for note in notes for line in ("", note)]
    lines += ["", "| stage | score | reliability at the default K (Spearman-Brown) |", "|---|---|---|"]
    for one in evidence:
        lines += [
            f"| {one.stage} | {name} | {shown(value, '.3f')} |" for name, value in sorted(one.reliability.items())
        ]
    for one in evidence:
        average = one.losses / max(len(one.keys), 1)
        lines += [
            "",
            f"{one.stage}: reliability around the cut {shown(one.reliability_at_cut, '.3f')} with {len(one.near)} of "
            f"{len(one.keys)} samples near it, at {average:.1f} losses a sample in all runs together.",
        ]
    return "\n".join(lines) + "\n"

"""What one version is missing of another: counts, motion, a picture of the clips that go."""

from pathlib import Path

import duckdb

from data_catalog.arrow import Row
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.errors import CatalogError
from data_catalog.report_rows import rows_of


def mass(con: duckdb.DuckDBPyConnection, version: str | None) -> Row:
    """Samples, clips, sources, hours and motion (joint speed x frames) of a version, or of all good clips."""
    asked = "FROM version_contents SELECT * EXCLUDE (version, parent) WHERE version IS NOT DISTINCT FROM $1"
    [row] = rows_of(con, asked, [version])
    return row


def diff(root: Path, first: str, second: str) -> tuple[list[Row], Path | None, float]:
    """What the second version changes: (counts by what happened, a sheet of the clips that go, motion lost).

    Raises CatalogError if one of the versions is not in the catalog.
    """
    from flows.report.contact_sheet import write_removed  # OpenCV and ffmpeg's libraries, which `mass` does not need

    with open_catalog(DataFolder(root).catalog, read_only=True) as con:
        known = [name for (name,) in con.execute("SELECT version FROM versions ORDER BY version").fetchall()]
        for name in (first, second):
            if name not in known:
                raise CatalogError(
                    f"Unknown version {name!r}: choose one of {', '.join(known) or 'none, there are none'}."
                )
        rows = con.execute(_DIFF, [first, second]).fetchall()
        before, after = mass(con, first), mass(con, second)
        sheet = DataFolder(root).versions / f"{first}--{second}.jpg"
        write_removed(sheet, DataFolder(root), con, _GONE, [first, second])
    names = ("what", "samples", "clips", "sources", "hours", "motion_energy")
    lost = 1 - after["motion"] / before["motion"] if before["motion"] else 0.0
    return [dict(zip(names, row)) for row in rows], sheet if any(row[0] == "goes" for row in rows) else None, lost


_DIFF = """
SELECT CASE WHEN b.sample_key IS NULL THEN 'goes' WHEN a.sample_key IS NULL THEN 'comes'
            WHEN a.weight <> b.weight THEN 'weighs otherwise' ELSE 'stays' END AS what,
       count(*), count(DISTINCT clip_id), count(DISTINCT source_id), round(sum(end_s - start_s) / 3600, 3),
       round(avg(motion_energy), 3)
FROM (SELECT * FROM version_samples WHERE version = $1) a
    FULL JOIN (SELECT * FROM version_samples WHERE version = $2) b USING (sample_key)
    LEFT JOIN samples USING (sample_key) LEFT JOIN clips USING (clip_id)
GROUP BY ALL ORDER BY what
"""
_GONE = "version = $1 AND sample_key NOT IN (SELECT sample_key FROM version_samples WHERE version = $2)"

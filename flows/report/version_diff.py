"""What one version is missing of another: counts, motion, a picture of the clips that go."""

from pathlib import Path

import duckdb

from data_catalog.arrow import Row
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.errors import CatalogError
from flows.report.contact_sheet import write_sheet

MASS = """
SELECT count(*) AS samples, count(DISTINCT clip_id) AS clips, count(DISTINCT source_id) AS sources,
       coalesce(sum(motion_energy * frames), 0) AS motion, coalesce(sum(end_s - start_s), 0) / 3600 AS hours
FROM samples JOIN clips USING (clip_id)
WHERE {which}
"""
OF_VERSION = "sample_key IN (SELECT sample_key FROM version_samples WHERE version = $1)"


def mass(con: duckdb.DuckDBPyConnection, version: str | None) -> Row:
    """Samples, clips, sources, hours and motion (joint speed x frames) of a version, or of all good clips."""
    which, values = (OF_VERSION, [version]) if version else ("verdict = 'ok'", [])
    result = con.execute(MASS.format(which=which), values)
    return dict(zip([column[0] for column in result.description], result.fetchall()[0]))


def diff(root: Path, first: str, second: str) -> tuple[list[Row], Path | None, float]:
    """What the second version changes: (counts by what happened, a sheet of the clips that go, motion lost).

    Raises CatalogError if one of the versions is not in the catalog.
    """
    with open_catalog(DataFolder(root).catalog, read_only=True) as con:
        known = [name for (name,) in con.execute("SELECT version FROM versions ORDER BY version").fetchall()]
        for name in (first, second):
            if name not in known:
                raise CatalogError(
                    f"Unknown version {name!r}: choose one of {', '.join(known) or 'none, there are none'}."
                )
        rows = con.execute(_DIFF, [first, second]).fetchall()
        before, after = mass(con, first), mass(con, second)
        gone = con.execute(_GONE, [first, second]).fetchall()
    names = ("what", "samples", "clips", "sources", "hours", "motion_energy")
    sheet = None
    if gone:
        sheet = DataFolder(root).versions / f"{first}--{second}.jpg"
        tiles = [(DataFolder(root).shards / shard, dict(zip(_PLACES, places))) for shard, *places in gone]
        write_sheet(sheet, tiles)
    lost = 1 - after["motion"] / before["motion"] if before["motion"] else 0.0
    return [dict(zip(names, row)) for row in rows], sheet, lost


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
_PLACES = ("mp4_offset", "mp4_length", "npy_offset", "npy_length")
_GONE = """
SELECT shard, mp4_offset, mp4_length, npy_offset, npy_length
FROM version_samples JOIN samples USING (sample_key)
WHERE version = $1 AND sample_key NOT IN (SELECT sample_key FROM version_samples WHERE version = $2)
ORDER BY sample_key
"""

"""What scoring and pruning leave on disk, as rows of the catalog: ledgers, scores of worth, versions."""

import logging
from collections.abc import Sequence
from pathlib import Path

from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.writes import merge_tables
from flows.catalog.kept_rows import restore_kept
from model.errors import VersionError

logger = logging.getLogger(__name__)


def merge_ledger(root: Path) -> int:
    """Put fragments that the catalog does not have yet into `ledgers` and `losses`; how many fragments."""
    from model.scoring.ledger import catalog_rows, fragments, in_order

    with open_catalog(DataFolder(root).catalog) as con:
        known = {name for (name,) in con.execute("SELECT fragment FROM ledgers").fetchall()}
    fresh = [path for path in fragments(root) if str(path.relative_to(root)) not in known]
    for group in in_order(root, fresh):
        for start in range(0, len(group), 64):  # short transactions: readers get in between
            ledgers, losses = catalog_rows(root, group[start : start + 64], lambda said: logger.warning("%s", said))
            with open_catalog(DataFolder(root).catalog) as con:
                merge_tables(con, {"losses": losses, "ledgers": ledgers})
    return len(fresh)


def merge_version_files(root: Path, names: Sequence[str]) -> None:
    """Put versions into the catalog."""
    from model.data.versions import version_rows

    versions, samples = version_rows(root, names)
    with open_catalog(DataFolder(root).catalog) as con:
        merge_tables(con, {"versions": versions, "version_samples": samples})


def restore_evidence(root: Path) -> None:
    """Bring runs, rollouts, ledgers, scores of worth and versions from the disk into a catalog that was made again."""
    data = DataFolder(root)
    restore_kept(data)
    if not any(folder.is_dir() for folder in (data.ledger, data.scores, data.versions)):
        return
    from model.data.versions import version_names
    from model.scoring.score_table import stored_score_tables

    merge_ledger(root)
    for name in version_names(root):
        try:
            merge_version_files(root, [name])
        except VersionError as error:  # one damaged file costs no other
            logger.warning("%s", error)
    for table in stored_score_tables(root, lambda said: logger.warning("%s", said)):
        with open_catalog(DataFolder(root).catalog) as con:
            merge_tables(con, {"worth": table})

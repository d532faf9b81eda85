"""What scorers of the user's own said, as columns of `clips`."""

import logging

from data_catalog.base.errors import LongdanceError
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.views import replace_measures

logger = logging.getLogger(__name__)


def merge_measures(data: DataFolder, only: str | None = None) -> None:
    """Bring the columns of every scorer, or of one, up to date.

    Raises ThresholdError for that one's name that is taken; of all, such a one is passed over with a warning.
    """
    if not data.measures.is_dir():
        return
    from model.scorers.rows import column_name
    from model.scorers.store import scorers, stored_measures

    for name, about in scorers(data.root).items():
        if only not in (None, name):
            continue
        rows = [
            {"clip_id": clip, "column_name": column_name(name, column), "value": value, "version": about["version"]}
            for clip, record in stored_measures(data.root, name, about["version"]).items()
            for column, value in record["columns"].items()
        ]
        with open_catalog(data.catalog) as con:
            try:
                replace_measures(con, name, rows)
            except LongdanceError as error:
                if only:
                    raise
                logger.warning("Scorer %s is passed over: %s", name, error)

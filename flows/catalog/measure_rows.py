"""What scorers of the user's own said, as columns of `clips`."""

from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.views import replace_measures


def merge_measures(data: DataFolder, only: str | None = None) -> None:
    """Bring the columns of every scorer, or of one, up to date. Raises CatalogError for a name that is taken."""
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
            replace_measures(con, name, rows)

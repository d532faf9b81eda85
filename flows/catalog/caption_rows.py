"""Captions that a model wrote, as rows of the catalog."""

from datetime import datetime

from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.writes import merge_tables

_COLUMNS = ("clip_id", "caption", "model", "prompt")


def merge_captions(data: DataFolder, only: str | None = None) -> None:
    """Put the captions of every set, or of one, into `captions`."""
    if not data.caption_sets.is_dir():
        return
    from model.data.caption_sets import set_names, stored_captions

    rows = [
        {**{name: record[name] for name in _COLUMNS}, "caption_set": name,
         "created": datetime.fromisoformat(record["created"])}
        for name in ([only] if only else set_names(data.root))
        for record in stored_captions(data.root, name).values()
    ]  # fmt: skip
    with open_catalog(data.catalog) as con:
        merge_tables(con, {"captions": rows})

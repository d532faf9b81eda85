"""Records of exports, as rows of the catalog."""

import logging
from datetime import datetime

from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.writes import merge_tables

logger = logging.getLogger(__name__)


def merge_exports(data: DataFolder) -> None:
    """Put every export on record into `exports` and `export_sources`."""
    if not data.exports.is_dir():
        return
    from model.exports.record import export_records

    rows, sources = [], []
    for name, record in export_records(data.root, lambda said: logger.warning("%s", said)):
        about = {column: record[column] for column in ("target", "folder", "version", "version_hash")}
        created = datetime.fromisoformat(record["created"])
        rows.append({"export": name, **about, "samples": len(record["samples"]), "created": created})
        sources += [{"export": name, "source_id": source} for source in record["sources"]]
    with open_catalog(data.catalog) as con:
        merge_tables(con, {"exports": rows, "export_sources": sources})

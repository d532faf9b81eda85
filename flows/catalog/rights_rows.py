"""Rights of sources, and what was forgotten, from their files into the catalog."""

from datetime import datetime

from data_catalog.base.files import read_sealed
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.transactions import transaction
from data_catalog.writes import merge
from pipeline.batches.rights import stored_rights


def merge_rights(data: DataFolder) -> None:
    """Make the catalog say exactly what is on record."""
    rights = [{"source_id": source, **said} for source, said in sorted(stored_rights(data).items())]
    records = [read_sealed(path) for path in sorted(data.forgotten.glob("[!.]*.json"))]
    gone = [
        {**{name: record[name] for name in ("source_id", "why", "seen_by")},
         "forgotten": datetime.fromisoformat(record["forgotten"])}
        for record in records
    ]  # fmt: skip
    with open_catalog(data.catalog) as con, transaction(con):
        con.execute("DELETE FROM right_rows")
        con.execute("DELETE FROM forgotten_rows")
        merge(con, "rights", rights)
        merge(con, "forgotten", gone)

"""What a flow run leaves in Prefect's UI: tables and links."""

from collections.abc import Mapping

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from flows.catalog import manifests
from flows.server.outlive import show_in_prefect


def build_report(folder: DataFolder, counters: Mapping[str, int]) -> None:
    """Counts by verdict and reason, and what this run did."""
    with open_catalog(folder.catalog) as con:
        rows = manifests.reasons(con)
    none = [{"what": "clips", "verdict": "none", "reason": "", "count": 0}]
    about = f"Sources and clips of {folder.root}"
    show_in_prefect(create_table_artifact, key="clips-by-verdict", table=rows or none, description=about)
    lines = "\n".join(f"| {name.replace('_', ' ')} | {count} |" for name, count in sorted(counters.items()))
    markdown = (
        f"# {folder.root.name}\n\n| what | count |\n|---|---|\n{lines}\n\n"
        f"Contact sheet: `{folder.contact_sheet}`\n\nCatalog: `{folder.catalog}`\n"
    )
    about = "What this run did and what the data set holds"
    show_in_prefect(create_markdown_artifact, key="build-counters", markdown=markdown, description=about)

"""What a flow run leaves in Prefect's UI: tables and links."""

from collections.abc import Mapping

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from flows.catalog import manifests


def build_report(folder: DataFolder, counters: Mapping[str, int]) -> None:
    """Counts by verdict and reason, and what this run did."""
    with open_catalog(folder.catalog) as con:
        rows = manifests.reasons(con)
    create_table_artifact(
        key="clips-by-verdict", table=rows or [{"what": "clips", "verdict": "none", "reason": "", "count": 0}],
        description=f"Sources and clips of {folder.root}",
    )  # fmt: skip
    lines = "\n".join(f"| {name.replace('_', ' ')} | {count} |" for name, count in sorted(counters.items()))
    create_markdown_artifact(
        key="build-counters",
        markdown=f"# {folder.root.name}\n\n| what | count |\n|---|---|\n{lines}\n\n"
        f"Contact sheet: `{folder.contact_sheet}`\n\nCatalog: `{folder.catalog}`\n",
        description="What this run did and what the data set holds",
    )

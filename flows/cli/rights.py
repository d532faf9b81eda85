"""Whose footage it is: forget."""

from pathlib import Path
from typing import Any

import click

from flows.cli.shared import FORMATS, Folder, dry_run_option

TAKE_BACK = (
    "copy the data set to a folder with your store's own tool, forget the source there, then let that tool make the "
    "store the same, removing from it what the folder no longer has"
)


@click.command(epilog='Example: longdance forget ~/videos/anna.mp4 --data dance --why "she asked on 3 May"')
@click.argument("source")
@click.option("--data", type=Folder(TAKE_BACK), required=True, help="Folder of the data set.")
@click.option("--why", required=True, help="The reason; it stays on record.")
@click.option("--format", "form", type=FORMATS, default="table", show_default=True)
@dry_run_option
def forget(source: str, data: Path, why: str, form: str, dry_run: bool) -> None:
    """Take SOURCE (its path, or id) back: nothing made of it stays in DATA, and builds refuse it from now on.

    Lists every version, run, checkpoint, rollout and export that has had it. Run it again if it was stopped.
    """
    from data_catalog.base.paths import DataFolder
    from data_catalog.queries import format_rows
    from flows.rights.forget import forget as take_back
    from flows.rights.plan import planned

    folder = DataFolder.at(data)
    record = planned(folder, source, why)[0] if dry_run else take_back(folder, source, why)
    click.echo(format_rows(["what", "name", "now"], list(_report(record)), form), nl=False)
    if form == "table":
        counts = f"{len(record['clips'])} clips, {len(record['samples'])} samples in {len(record['shards'])} shards"
        said = "would take back" if dry_run else "took back"
        click.echo(f"{said} source {record['source_id']}: {counts}")


def _report(record: dict[str, Any]) -> Any:
    """(kind, name, what became of it) of all that has had the source."""
    for kind, names in record["seen_by"].items():
        for name in names:
            now = f"go on with {record['successors'].get(name)}" if kind == "versions" else "has had it"
            if kind in ("runs_unknown", "codecs"):
                now = "may have had it"
            if kind == "versions" and not record["successors"].get(name):
                now = "nothing is left of it"
            yield kind.rstrip("s") if kind != "runs_unknown" else "run", name, now


COMMANDS = (forget,)

"""What there is to look at: report, serve, doctor."""

import os
import sys
from pathlib import Path

import click

from data_catalog.base.paths import DataFolder
from flows.cli.shared import FORMATS, PLACE, data_option, data_place_option


@click.command(epilog="Example: longdance report --data dance --out dance.html")
@data_place_option
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="The page's file [DATA/report.html].")
@click.option("--pictures/--no-pictures", default=True, help="Make posters, previews and frames that are missing.")
@click.option("--workers", type=click.IntRange(1), default=os.cpu_count() or 1, show_default="cores")
def report(data: Path | str, out: Path | None, pictures: bool, workers: int) -> None:
    """Write an HTML page of the whole data set; its pictures lie in a folder beside it. Run it again to resume."""
    from flows.progress import progress_bar
    from flows.report.report import write_report

    folder = _to_read(data, out)
    with progress_bar("pictures") as say:
        page, done = write_report(folder, out, pictures, workers, say)
    failed = done.pop("failed", 0)
    if done:
        click.echo("made " + ", ".join(f"{count} {name}" for name, count in sorted(done.items())), err=True)
    if failed:
        click.echo(f"{failed} pictures could not be made: their sources are gone or damaged.", err=True)
    click.echo(page)


def _to_read(data: Path | str, out: Path | None) -> DataFolder:
    """The folder that a page is made from. Raises click.UsageError for an address without a file for its page."""
    if isinstance(data, Path):
        return DataFolder.built(data)
    if out is None:
        raise click.UsageError("The page of a data set in object storage is a file here: name one with --out.")
    from flows.storage.home import folder_to_read
    from flows.storage.places import place_of

    return folder_to_read(place_of(data))


@click.command(epilog="Example: longdance serve --data dance --port 8700")
@data_option
@click.option("--port", type=click.IntRange(0, 65535), default=8700, show_default=True, help="0 takes a free one.")
@click.option("--who", help="Name under which decisions are stored [your user's].")
def serve(data: Path, port: int, who: str | None) -> None:
    """Show the report live at 127.0.0.1, and let whoever has the printed address mark clips keep or drop."""
    from flows.report.serve import serve as run_server

    run_server(DataFolder.built(data), port, who, lambda address: click.echo(f"Open {address}\nCtrl-C ends it."))


@click.command(epilog="Example: longdance doctor --data dance --format json")
@click.option("--data", type=PLACE, help="Folder or address of a data set, to look at its disk, catalog or storage.")
@click.option("--cluster", is_flag=True, help="Ask every host of the Ray cluster, too.")
@click.option("--format", "form", type=FORMATS, default="table", show_default=True)
def doctor(data: Path | str | None, cluster: bool, form: str) -> None:
    """What is installed, what is missing, how to fix it. Exit code 1 if something needed is missing."""
    from data_catalog.queries import format_rows
    from flows.cli.doctor import COLUMNS, examine, examine_cluster, healthy

    checks = [*examine(data), *(examine_cluster(data) if cluster else [])]
    click.echo(format_rows(COLUMNS, [check.row() for check in checks], form), nl=False)
    sys.exit(0 if healthy(checks) else 1)


COMMANDS = (report, serve, doctor)

"""The commands around generation: plan, generate, calibrate. Heavy imports wait until one of them runs."""

from pathlib import Path

import click

FILE = click.Path(path_type=Path, dir_okay=False)
FORMATS = click.Choice(["table", "json", "csv"])


@click.command(epilog="Example: longdance plan --frames 181 --plan origin --draw plan.png")
@click.option("--frames", type=int, default=181, show_default=True, help="Frames of the video.")
@click.option("--plan", "name", default="origin", show_default=True, help="origin, streaming or tree.")
@click.option("--format", "form", type=FORMATS, default="table", show_default=True)
@click.option("--draw", type=FILE, help="Draw the plan into this PNG.")
def plan(frames: int, name: str, form: str, draw: Path | None) -> None:
    """Which frames each network call is given and which it makes."""
    import json

    from data_catalog.queries import format_rows
    from model.plan import make_plan
    from model.plan_view import plan_cost, plan_json, plan_table, write_plan_picture

    calls = make_plan(name, frames)
    if draw is not None:
        write_plan_picture(draw, calls, frames)
    if form == "json":
        click.echo(json.dumps(plan_json(calls)))
        return
    click.echo(format_rows(*plan_table(calls), form), nl=False)
    if form == "table":
        click.echo(plan_cost(calls, frames).sentence())


COMMANDS = (plan,)

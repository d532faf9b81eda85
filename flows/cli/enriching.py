"""What is said about clips by others' programs: caption, measure."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.cli.shared import data_option, dry_run_option

if TYPE_CHECKING:
    from data_catalog.base.paths import DataFolder
    from model.scorers.measure import ScorerCall


@click.command(epilog="Example: longdance caption --data dance --endpoint http://127.0.0.1:8000/v1 --model qwen3-vl")
@data_option
@click.option("--endpoint", required=True, help="OpenAI-compatible address, up to and with /v1.")
@click.option("--model", required=True, help="Name of a vision model that it serves.")
@click.option("--version", help="Caption the clips of this version [all good clips].")
@click.option("--name", help="Name of the set of captions [from model and question].")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="prompt, frames, parallel, retries, ...")
@click.option("--price", type=(float, float), metavar="OUT BACK", help="Of a million tokens, for --dry-run.")
@dry_run_option
def caption(
    data: Path, endpoint: str, model: str, version: str | None, name: str | None, settings: tuple[str, ...],
    price: tuple[float, float] | None, dry_run: bool,
) -> None:  # fmt: skip
    """Let a vision model write a caption of each clip; run it again to resume. Train on them with
    --set encode.captions=NAME.

    The key is read from LONGDANCE_API_KEY (or OPENAI_API_KEY) and kept nowhere. captions.csv comes before any set.
    """
    from data_catalog.base.paths import DataFolder
    from flows.catalog.caption_rows import merge_captions
    from flows.options import overrides
    from flows.progress import progress_bar
    from model.captioning.caption import caption_clips, estimate
    from model.captioning.config import caption_config
    from model.captioning.endpoint import api_key

    named = {"name": name} if name else {}
    config = caption_config(**{**overrides(settings), "endpoint": endpoint, "model": model, **named})
    built = DataFolder.built(data)
    if dry_run:
        counts = estimate(built.root, config, version)
        asked = f"{counts['clips']} captions, with {counts['pictures']} pictures"
        tokens = f"about {counts['tokens_out']} tokens out and at most {counts['tokens_back']} back"
        click.echo(f"would ask for {asked}, into {config.set_name}\n{tokens}, by OpenAI's count")
        if price:
            cost = (counts["tokens_out"] * price[0] + counts["tokens_back"] * price[1]) / 1e6
            click.echo(f"that costs about {cost:.2f} at {price[0]:g} and {price[1]:g} a million")
        return
    with progress_bar("caption") as say:
        try:
            done = caption_clips(built.root, config, api_key(), version, say)
        finally:  # what was answered before it ended is in the catalog, too
            merge_captions(built, config.set_name)
    for clip, why in sorted(done.failed.items()):
        click.echo(f"{clip}: {why}", err=True)
    click.echo(f"{done.set_name}: {done.made} captions made, {done.there} were there, {len(done.failed)} failed")
    if done.failed:
        click.echo("Run the same command again for those that failed.", err=True)
        sys.exit(1)


@click.command(epilog="Example: longdance measure taste --with learnt --data dance")
@click.argument("name", required=False)
@data_option
@click.option(
    "--with", "entrypoint", help="A program, FILE.py:FUNCTION, MODULE:FUNCTION, or learnt, embeddings, aesthetic."
)
@click.option("--all", "again", is_flag=True, help="Every scorer that the data set has, with what it was given last.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the scorer's own.")
@click.option("--batch", type=click.IntRange(0), help="Clips of one process; 0: all [256].")
@click.option("--timeout", type=float, default=600.0, show_default=True, help="Seconds of one process.")
def measure(
    name: str | None, data: Path, entrypoint: str | None, again: bool, settings: tuple[str, ...], batch: int | None,
    timeout: float,
) -> None:  # fmt: skip
    """Let a scorer of your own give every stored clip numbers: columns NAME... of `clips`, for the page, thresholds
    (build --set thresholds.measured.NAME='<4.5') and policies. What is measured already is not measured again.
    """
    from data_catalog.base.errors import LongdanceError
    from data_catalog.base.paths import DataFolder
    from flows.options import overrides
    from model.scorers.measure import checked_call, plain_settings, remembered_call
    from model.scorers.store import scorers

    built = DataFolder.built(data)
    if (name is not None, entrypoint is not None) != (not again, not again):
        raise click.UsageError("Give a scorer's name and --with ENTRYPOINT, or --all.")
    if again:
        calls = [remembered_call(one, record) for one, record in scorers(built.root).items()]
    else:
        calls = [checked_call(str(name), str(entrypoint), plain_settings(overrides(settings)), batch, timeout)]
    failed = 0
    for call in calls:
        try:
            failed += not _measure_one(built, call)
        except LongdanceError as error:
            if not again:
                raise
            click.echo(f"{call.name}: {error}", err=True)
            failed += 1
    sys.exit(1 if failed else 0)


def _measure_one(built: "DataFolder", call: "ScorerCall") -> bool:
    """Run a scorer and bring its columns into the catalog; whether all went well."""
    from flows.catalog.measure_rows import merge_measures
    from flows.progress import progress_bar
    from model.scorers.measure import measure as run_scorer

    with progress_bar(call.name) as say:
        done = run_scorer(built.root, call, say)
    merge_measures(built, call.name)
    for line in done.said.splitlines() if not done.wrong else []:
        click.echo(line, err=True)
    for sentence in done.wrong:
        click.echo(f"{call.name}: the scorer {sentence}.", err=True)
    click.echo(
        f"{call.name}: {done.made} clips measured, {done.there} were; columns {', '.join(done.columns) or 'none'}"
    )
    return not done.wrong


COMMANDS = (caption, measure)

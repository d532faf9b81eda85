"""Raw videos to a data set, and what asks it: build, synth, sql, verify, catalog, settings, pose-model."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import Any

import click

from data_catalog.base.at_work import building
from data_catalog.base.paths import DataFolder
from flows.cli.shared import (
    FOLDER,
    FORMATS,
    PLACE,
    SETTLED,
    THERE,
    data_option,
    data_place_option,
    exit_on_sigint,
    looked_at,
    prefect_settings,
)  # fmt: skip


@click.command(epilog="Example: longdance build ~/videos --data ~/dance --variants 1 --set crop.margin=0.05")
@click.argument("raw", type=PLACE)
@data_place_option
@click.option("--frames", type=int, help="Frames of a clip [181].")
@click.option("--fps", help="Resample to this rate [the source's own, or its k-th frame].")
@click.option("--crop", type=click.Choice(["static", "follow"]), help="One crop per clip, or a moving window.")
@click.option("--variants", type=click.IntRange(0, 2), help="Augmented variants of each clip [2].")
@click.option("--keep-bad/--drop-bad", default=None, help="Store clips whose verdict is bad, too [drop].")
@click.option("--workers", type=click.IntRange(0), help="Worker processes [one per core].")
@click.option("--config", "file", type=THERE, help="JSON file of settings.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any setting; `longdance settings` lists them."
)
@click.option("--format", "form", type=FORMATS, default="table", show_default=True)
@click.option("--dry-run", is_flag=True, help="Print the config, the files found and what would run, and stop.")
def build(
    raw: Path | str, data: Path | str, frames: int | None, fps: str | None, crop: str | None, variants: int | None,
    keep_bad: bool | None, workers: int | None, file: Path | None, settings: tuple[str, ...], form: str, dry_run: bool,
) -> None:  # fmt: skip
    """Cut raw videos into pose-aligned clips, in shards. Run it again to resume or to add videos."""
    from flows.options import resolve
    from pipeline.config import BuildConfig

    flags = {
        "clips.frames": frames, "clips.fps": fps, "crop.mode": crop, "variants.count": variants,
        "shards.keep_bad": keep_bad, "workers": workers,
    }  # fmt: skip
    config = resolve(BuildConfig, file, flags, settings)
    from flows.storage.places import folder_of, place_of
    from pipeline.batches.sources import find_sources

    source, place = place_of(raw), place_of(data)
    files = find_sources(source, place)
    if dry_run:
        folder = DataFolder.at(looked_at(data))
        from flows.cli.build_dry_run import build_lines

        would, resolved = build_lines(folder, config, files), config.model_dump(mode="json")
        program = form == "json"
        click.echo(json.dumps({**resolved, "would": would} if program else resolved, indent=1))
        if not program:
            click.echo("\n".join(would))
        return
    if isinstance(place, Path):
        building(DataFolder.at(place)).check()
    prefect_settings()
    from flows.build_dataset import build_dataset
    from flows.server.outlive import outlive

    counters = outlive(build_dataset, raw, data, config)
    show_build(folder_of(place).root, counters, form, None if isinstance(place, Path) else place.url)


def show_build(data: Path, counters: dict[str, int], form: str, url: str | None = None) -> None:
    """What a build did and where to look; for a program only the table goes to standard output."""
    from data_catalog.connection import open_catalog
    from data_catalog.queries import format_rows
    from flows.catalog import manifests

    folder = DataFolder.at(data)
    with open_catalog(folder.catalog, read_only=True) as con:
        rows = [tuple(row.values()) for row in manifests.reasons(con)]
    click.echo(format_rows(["what", "verdict", "reason", "count"], rows, form), nl=False)
    aside = form != "table"
    click.echo(
        "this run: " + ", ".join(f"{k}={v}" for k, v in sorted(counters.items()) if not k.startswith("total")),
        err=aside,
    )
    click.echo(
        "data set: " + ", ".join(f"{k[6:]}={v}" for k, v in counters.items() if k.startswith("total")), err=aside
    )
    lines = [f"all of it is in {url}"] if url else what_next(folder, counters, rows)
    click.echo("\n".join(lines), err=aside)


def what_next(folder: DataFolder, counters: dict[str, int], rows: Sequence[tuple[Any, ...]]) -> list[str]:
    """What a build left to look at, and what to type next. rows: (what, verdict, reason, count)."""
    from data_catalog.connection import open_catalog

    place = quote(str(folder.root))
    if not counters.get("total_clips"):
        why = "SELECT path, reason, detail FROM sources"
        return [f'no clip came of it; why: longdance sql "{why}" --data {place}']
    lines = [f"look at {folder.contact_sheet}, or: longdance report --data {place}"]
    with open_catalog(folder.catalog, read_only=True) as con:
        found = con.execute("SELECT count(*), avg(filled) FROM clips WHERE filled > 0.4").fetchone()
    if found and found[0]:
        lines.append(
            f"{found[0]} clips lie outside of their pictures by {found[1]:.0%} on average: another shape may fit them "
            "better (docs/shapes.md)"
        )
    if any(what == "clip" and verdict == "ok" for what, verdict, *_ in rows):
        lines.append(f"next: longdance train starter --data {place} --run RUN")
    return lines


@click.command(epilog="Example: longdance synth raw --videos 8 --seed 1")
@click.argument("out", type=FOLDER)
@click.option("--videos", type=click.IntRange(1), default=8, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--workers", type=click.IntRange(1), default=os.cpu_count() or 1, show_default="cores")
def synth(out: Path, videos: int, seed: int, workers: int) -> None:
    """Draw raw videos of synthetic dancers, with the truth in a JSON beside each."""
    from pipeline.synthetic.synth import synth as draw

    for path in draw(out, videos, seed, workers):
        click.echo(path)


@click.command(
    context_settings={"ignore_unknown_options": True},  # a query may begin with a comment, "-- like this"
    epilog="Example: longdance sql 'SELECT reason, count(*) FROM clips GROUP BY ALL' --data dance --format csv",
)
@click.argument("query")
@data_place_option
@click.option("--format", "form", type=FORMATS, default="table", show_default=True)
def sql(query: str, data: Path | str, form: str) -> None:
    """Ask the catalog: SQL over its views (docs/queries.md), or the name of an example there, as worst-camera."""
    from data_catalog.examples import named_query
    from data_catalog.queries import stream_query

    exit_on_sigint()
    from flows.storage.places import catalog_of, place_of

    with catalog_of(place_of(data)) as catalog:
        for text in stream_query(catalog, named_query(query), form):
            # Left alone: in a pipe click would cut what looks like a colour out of a file's name.
            click.echo(text, nl=False, color=True)


@click.command(epilog="Example: longdance verify --data dance")
@data_place_option
@click.option("--quick", is_flag=True, help="Checksums only, nothing is decoded.")
def verify(data: Path | str, quick: bool) -> None:
    """Check every shard's bytes and members, decode every clip, check all latents. Exit code 1 if anything is wrong."""
    from flows.progress import progress_bar
    from flows.storage.places import place_of
    from flows.storage.verify import count_checks, verified

    place, problems = place_of(data), 0
    shards, latents = count_checks(place)
    with progress_bar("verify") as say:
        for count, (name, wrong) in enumerate(verified(place, decode=not quick), start=1):
            say(count, shards + latents)
            for sentence in wrong:
                problems += 1
                click.echo(f"{name}: {sentence}")
    what = f"{shards} shard{'s' * (shards != 1)} and {latents} of latents"
    click.echo(f"{what} checked, {problems} problem{'s' * (problems != 1)}.")
    if problems:
        click.echo(
            "Remove what is named above, with its json, and run `longdance build`, or `encode`, again.", err=True
        )
    sys.exit(1 if problems else 0)


@click.group(epilog="Example: longdance catalog rebuild --data dance")
def catalog() -> None:
    """Look after the catalog."""


@catalog.command(epilog="Example: longdance catalog rebuild --data dance")
@data_option
def rebuild(data: Path) -> None:
    """Make the catalog again, from the shards and manifests on disk."""
    from flows.catalog import manifests

    counts = manifests.rebuild_from_record(DataFolder.at(data))
    click.echo(", ".join(f"{count} {name}" for name, count in counts.items()))


@click.command(epilog="Example: longdance settings train")
@click.argument("command", type=click.Choice(SETTLED), default="build")
@click.option("--format", "form", type=FORMATS, default="table", show_default=True)
def settings(command: str, form: str) -> None:
    """Every setting that `--set NAME=VALUE` of COMMAND takes [build], its default and its meaning."""
    from data_catalog.queries import format_rows
    from flows.options import settings_of

    click.echo(format_rows(["name", "default", "meaning"], settings_of(command), form), nl=False)


@click.command("pose-model", epilog="Example: longdance pose-model")
def pose_model() -> None:
    """Get the models of pose, hands and text, if they are not there, and print their paths."""
    from pipeline.analysis.editing.text_model import text_model_path
    from pipeline.analysis.hands.hand_model import hand_model_path
    from pipeline.analysis.pose_model import pose_model_path

    click.echo(pose_model_path(keep=True))
    click.echo(hand_model_path(keep=True))
    click.echo(text_model_path(keep=True))


COMMANDS = (build, synth, sql, verify, catalog, settings, pose_model)

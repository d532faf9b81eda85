"""Losses, versions and what they are worth: score, prune, experiment, versions, diff."""

import json
from pathlib import Path
from shlex import quote
from typing import Any

import click

from data_catalog.base.at_work import scoring
from data_catalog.base.paths import DataFolder
from flows.cli.shared import (
    FOLDER,
    FORMATS,
    data_place_option,
    dry_run_option,
    looked_at,
    prefect_settings,
)  # fmt: skip


@click.command(epilog="Example: longdance score --run runs/starter --data dance --k 8 --processes 2")
@data_place_option
@click.option("--run", type=FOLDER, required=True, help="Trained run whose losses are measured.")
@click.option("--k", type=int, help="Losses per sample, an even number [8].")
@click.option("--unseen", is_flag=True, help="Only samples of sources that the run was not trained on.")
@click.option(
    "--processes", type=click.IntRange(1), default=1, show_default=True, help="Processes that measure losses."
)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any setting of scoring, as bank.seed=1.")
@dry_run_option
def score(
    data: Path | str, run: Path, k: int | None, unseen: bool, processes: int, settings: tuple[str, ...], dry_run: bool
) -> None:  # fmt: skip
    """Measure a run's losses for every sample, under a fixed bank of noise. Run it again to resume."""
    from flows.options import overrides
    from model.scoring.policy import score_config

    config = score_config(**overrides(settings), **({} if k is None else {"k": k}))
    if dry_run:
        from flows.cli.dry_runs import score_lines

        click.echo("\n".join(score_lines(looked_at(data), run.expanduser().resolve(), config, unseen)))
        return
    if isinstance(data, Path):
        scoring(DataFolder.at(data).root).check()
    prefect_settings()
    from flows.score_and_prune import score_only
    from flows.server.outlive import outlive

    count = outlive(score_only, data, run, config, "unseen" if unseen else "all", processes)
    click.echo(f"{count} samples scored; ask: longdance sql 'FROM losses LIMIT 20' --data {quote(str(data))}")


@click.command(epilog="Example: longdance prune --run runs/starter --data dance --score rho --fraction 0.1")
@data_place_option
@click.option(
    "--run",
    "runs",
    type=FOLDER,
    multiple=True,
    required=True,
    help="Trained run whose losses decide; give one for each stage.",
)
@click.option(
    "--score", "worth", type=click.Choice(["unlearnable", "rho", "high_loss", "learnt", "random", "flags"]),
    help="Score by which samples are dropped [random].",
)  # fmt: skip
@click.option("--fraction", type=float, help="Share of the samples (variants, not clips) that goes [0.1].")
@click.option("--irreducible", type=FOLDER, multiple=True, help="Runs trained on other sources [two are trained].")
@click.option("--parent", help="Version that is pruned further [all good clips].")
@click.option("--name", help="Name of the new version [made of policy and hash].")
@click.option(
    "--processes", type=click.IntRange(1), default=1, show_default=True, help="Processes that measure losses."
)
@click.option("--then-train", is_flag=True, help="Fork each run onto its version and train it on.")
@click.option("--then-steps", type=click.IntRange(1), help="Steps of --then-train [as many as the run has had].")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any setting of `longdance settings prune`."
)
@click.option("--format", "form", type=FORMATS, default="table", show_default=True, help="table: in Markdown.")
@dry_run_option
def prune(
    worth: str | None, fraction: float | None, settings: tuple[str, ...], form: str, dry_run: bool, **others: Any
) -> None:
    """Make a version without the samples that a policy drops. Nothing is deleted. Run it again to resume."""
    from flows.options import overrides, sections
    from model.scoring.request import prune_request

    given = sections(overrides(settings), ("policy", "scoring", "fit"))
    flags = {"score": worth, "fraction": fraction}
    policy = given["policy"] | {key: value for key, value in flags.items() if value is not None}
    request = prune_request(**{**given, **others, "policy": policy})
    if dry_run:
        from flows.cli.dry_runs import prune_lines

        looked_at(request.data)
        lines, configs = prune_lines(request), request.model_dump(mode="json", include={"policy", "scoring"})
        both = [json.dumps(configs, indent=1), *lines]
        click.echo(json.dumps(configs | {"would": lines}, indent=1) if form == "json" else "\n".join(both))
        return
    if isinstance(request.data, Path):
        scoring(DataFolder.at(request.data).root).check()
    prefect_settings()
    from flows.score_and_prune import score_and_prune
    from flows.server.outlive import outlive

    show_prune(request.data, outlive(score_and_prune, request), request.parent, form)


def show_prune(data: Path | str, made: dict[str, Any], parent: str | None, form: str) -> None:
    """Before and after; for a program only the first table, and only that on standard output."""
    from data_catalog.queries import format_rows
    from flows.report.prune_report import COLUMNS, prune_rows

    if form == "table":
        click.echo(made["markdown"])
    else:
        from flows.storage.places import folder_of, place_of

        root = folder_of(place_of(data)).root
        click.echo(format_rows(COLUMNS, prune_rows(root, made["versions"], parent), form), nl=False)
    version = quote(made["versions"][0])
    said = f"made {', '.join(made['versions'])}; next: longdance train {made['stage']} --data {quote(str(data))} "
    said += f"--run RUN --version {version}"
    click.echo(said, err=form != "table")


@click.group(epilog="Example: longdance experiment prune --run runs/starter --data dance --out runs/x")
def experiment() -> None:
    """Measure what a choice is worth."""


@experiment.command("prune", epilog="Example: longdance experiment prune --run runs/starter --data dance --out runs/x")
@data_place_option
@click.option("--run", type=FOLDER, required=True, help="Run that every training continues from.")
@click.option("--out", type=FOLDER, required=True, help="Folder of the trainings and the result.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--steps", type=click.IntRange(1), default=100, show_default=True, help="Steps of each training.")
@click.option("--fraction", type=float, default=0.1, show_default=True, help="Share of the variants that go.")
@dry_run_option
def experiment_of_prune(
    data: Path | str, run: Path, out: Path, seeds: int, steps: int, fraction: float, dry_run: bool
) -> None:  # fmt: skip
    """Does pruning help? Trains on the full data, and without 10 % by chance, by loss, by rho; judges the hold-out."""
    if dry_run:
        from flows.cli.dry_runs import experiment_lines
        from flows.folds import COMPARED
        from model.scoring.request import prune_request

        request = prune_request(data=looked_at(data), runs=[run], policy={"score": "rho", "fraction": fraction})
        click.echo("\n".join(experiment_lines(request, seeds, steps, COMPARED)))
        return
    if isinstance(data, Path):
        scoring(DataFolder.at(data).root).check()
    prefect_settings()
    from flows.experiment import experiment_prune
    from flows.server.outlive import outlive

    click.echo(outlive(experiment_prune, data, run, out, seeds, steps, fraction))


@click.command(epilog="Example: longdance versions --data dance")
@data_place_option
@click.option("--format", "form", type=FORMATS, default="table", show_default=True)
def versions(data: Path | str, form: str) -> None:
    """The data set's versions: named sets of samples, what made them, how many samples."""
    from data_catalog.queries import format_rows, run_query
    from flows.storage.places import catalog_of, place_of

    found = """SELECT version, parent, samples, policy ->> '$.config.score' AS score,
        CAST(policy ->> '$.config.fraction' AS DOUBLE) AS fraction, left(hash, 12) AS hash, created
        FROM versions ORDER BY created, version"""
    with catalog_of(place_of(data)) as catalog:
        columns, rows = run_query(catalog, found)
    click.echo(format_rows(columns, rows, form), nl=False)


@click.command(epilog="Example: longdance diff starter-random-1f3a9c2e starter-rho-88d2b1aa --data dance")
@click.argument("first")
@click.argument("second")
@data_place_option
@click.option("--format", "form", type=FORMATS, default="table", show_default=True)
def diff(first: str, second: str, data: Path | str, form: str) -> None:
    """What version SECOND changes over FIRST, motion lost, and a picture of the clips that go."""
    from data_catalog.queries import format_rows
    from flows.report.version_diff import diff as compare
    from flows.storage.home import folder_to_read
    from flows.storage.places import place_of

    folder = DataFolder.at(data) if isinstance(data, Path) else folder_to_read(place_of(data))
    rows, sheet, lost = compare(folder.root, first, second)
    names = list(rows[0]) if rows else ["what", "samples"]
    click.echo(format_rows(names, [tuple(row.values()) for row in rows], form), nl=False)
    if form == "table":
        click.echo(f"motion lost: {lost:.1%}" + (f"; what goes: {sheet}" if sheet else ""))


COMMANDS = (score, prune, experiment, versions, diff)

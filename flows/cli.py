"""`longdance`: one sub-command per flow, plus sql, verify, synth. Heavy imports wait until a command runs."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import click

from flows.generating import COMMANDS

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


def prefect_settings() -> None:
    """Defaults for Prefect that a user may override in the environment; set before it is imported."""
    for name, value in {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "pipeline,model,data_catalog",
        "PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL": "WARNING",
        "PREFECT_LOGGING_LOGGERS_PREFECT_LEVEL": "WARNING",
    }.items():
        os.environ.setdefault(name, value)
    from flows.runners import quiet_exit, stop_on_ctrl_c

    quiet_exit()
    stop_on_ctrl_c()


class Group(click.Group):
    """Turns a user's mistake into one sentence on stderr and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; only what is longdance's own fault keeps its traceback."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            click.echo("\nStopped. Run the same command again to go on.", err=True)
            ctx.exit(130)
        except Exception as error:
            sentence = explain(error)
            if sentence is None:
                raise
            click.echo(f"longdance: {sentence}", err=True)
            ctx.exit(2)


def explain(error: BaseException) -> str | None:
    """The sentence for an error that the user can mend, or None for a fault of our own."""
    from data_catalog.errors import CatalogError
    from pipeline.errors import LongdanceError

    if isinstance(error, LongdanceError | CatalogError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (28, 30, 122):
        return f"The disk is full or cannot be written ({error}): make room and run the same command again."
    if type(error).__module__.startswith("httpx") or "Failed to reach API" in str(error):
        server = os.environ.get("PREFECT_API_URL", "its configured address")
        return f"Prefect's server at {server} does not answer: start it, or unset PREFECT_API_URL, and run this again."
    return None


@click.group(cls=Group, context_settings=CONTEXT)
@click.version_option(package_name="longdance")
def main() -> None:
    """Train long-video generation on your own dance footage, on your own GPU.

    \b
    longdance build RAW --data DATA         raw videos to training-ready shards
    longdance train STAGE --data DATA --run RUN   train starter, extrapolation, interpolation
    longdance generate --runs RUN... --image P.png --out F.mp4   a long video and its drift
    longdance prune --run RUN --data DATA   a version without what teaches nothing
    longdance sql "SELECT ..." --data DATA  ask the catalog
    longdance report --data DATA            a page of it all, as a file
    longdance serve --data DATA             the same page live; mark clips keep or drop
    longdance doctor                        what is installed, what is missing, how to mend it
    longdance synth OUT --videos 8          draw synthetic dancers to try it on
    """


def data_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--data DATA`, the data set's folder."""
    return click.option("--data", type=FOLDER, required=True, help="Folder of the data set.")(command)


@main.command(epilog="Example: longdance build ~/videos --data ~/dance --variants 1 --set crop.margin=0.05")
@click.argument("raw", type=FOLDER)
@data_option
@click.option("--frames", type=int, help="Frames of a clip [181].")
@click.option("--fps", help="Resample to this rate [the source's own, or its k-th frame].")
@click.option("--crop", type=click.Choice(["static", "follow"]), help="One crop per clip, or a moving window.")
@click.option("--variants", type=click.IntRange(0, 2), help="Augmented variants of each clip [2].")
@click.option("--keep-bad/--drop-bad", default=None, help="Store clips whose verdict is bad, too [drop].")
@click.option("--workers", type=click.IntRange(0), help="Worker processes [one per core].")
@click.option("--config", "file", type=FILE, help="JSON file of settings.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any setting; `longdance settings` lists them."
)
@click.option("--dry-run", is_flag=True, help="Print the resolved config and stop.")
def build(
    raw: Path, data: Path, frames: int | None, fps: str | None, crop: str | None, variants: int | None,
    keep_bad: bool | None, workers: int | None, file: Path | None, settings: tuple[str, ...], dry_run: bool,
) -> None:  # fmt: skip
    """Cut raw videos into pose-aligned clips, in shards. Run it again to go on or to add videos."""
    from flows.options import resolve
    from pipeline.config import BuildConfig

    flags = {
        "clips.frames": frames, "clips.fps": fps, "crop.mode": crop, "variants.count": variants,
        "shards.keep_bad": keep_bad, "workers": workers,
    }  # fmt: skip
    config = resolve(BuildConfig, file, flags, settings)
    if dry_run:
        click.echo(config.model_dump_json(indent=1))
        return
    from pipeline.sources import require_videos

    require_videos(raw, data)
    prefect_settings()
    from flows.build_dataset import build_dataset

    counters = build_dataset(raw, data, config)
    show_build(data, counters)


def show_build(data: Path, counters: dict[str, int]) -> None:
    """What a build did and where to look."""
    from data_catalog.connection import open_catalog
    from data_catalog.queries import format_rows
    from flows import registry

    folder = registry.data_folder(data)
    with open_catalog(folder.catalog, read_only=True) as con:
        rows = [tuple(row.values()) for row in registry.reasons(con)]
    click.echo(format_rows(["what", "verdict", "reason", "count"], rows, "table"), nl=False)
    click.echo("this run: " + ", ".join(f"{k}={v}" for k, v in sorted(counters.items()) if not k.startswith("total")))
    click.echo("data set: " + ", ".join(f"{k[6:]}={v}" for k, v in counters.items() if k.startswith("total")))
    click.echo(f"look at {folder.contact_sheet}, or: longdance sql 'FROM clips' --data {data}")


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--preset` and `--set`, which `encode` and `train` share."""
    preset = click.option("--preset", type=click.Choice(["tiny", "sd15"]), default="tiny", show_default=True)
    setting = click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any setting of training.")
    return preset(setting(command))


@main.command(epilog="Example: longdance encode --data dance --preset tiny --set encode.picture=64")
@data_option
@training_options
def encode(data: Path, preset: str, settings: tuple[str, ...]) -> None:
    """Make latents of every stored sample, once; `train` does it by itself where they are missing."""
    from flows.options import overrides

    prefect_settings()
    from flows.train_stage import Preset, encode_only

    counted = encode_only(data, cast(Preset, preset), overrides(settings))
    click.echo(", ".join(f"{name}={count}" for name, count in counted.items()))


@main.command(epilog="Example: longdance train starter --data dance --run runs/starter --preset tiny --set steps=2000")
@click.argument("stage")
@data_option
@click.option("--run", type=FOLDER, required=True, help="Folder of the run; the same command again goes on.")
@training_options
@click.option("--version", help="Named set of samples to train on [all good clips].")
@click.option("--fork", type=FOLDER, help="Run that this new one goes on from, under other settings.")
@click.option("--processes", type=click.IntRange(1), default=1, show_default=True, help="Of `accelerate launch`.")
@click.option("--dry-run", is_flag=True, help="Print the resolved config and stop.")
def train(
    stage: str, data: Path, run: Path, preset: str, settings: tuple[str, ...], version: str | None,
    fork: Path | None, processes: int, dry_run: bool,
) -> None:  # fmt: skip
    """Train STAGE: starter, extrapolation, interpolation, or any (all of them in one). Run it again to go on."""
    from flows.options import overrides

    values = overrides(settings) | ({"version": version} if version else {})
    if dry_run:
        from model.config import train_config

        click.echo(train_config(stage, preset, **values).model_dump_json(indent=1))
        return
    prefect_settings()
    from flows.train_stage import Preset, Stage, check_stage, train_stage

    check_stage(stage, preset, values)
    ended = train_stage(cast(Stage, stage), data, run, cast(Preset, preset), values, processes, fork)
    click.echo(f"{ended['status']} at step {ended['step']}; look at {run}/samples, or: tensorboard --logdir {run}")


@main.command(epilog="Example: longdance score --run runs/starter --data dance --k 8 --processes 2")
@data_option
@click.option("--run", type=FOLDER, required=True, help="Trained run whose losses are measured.")
@click.option("--k", type=int, help="Losses per sample, an even number [8].")
@click.option("--unseen", is_flag=True, help="Only samples of sources that the run was not trained on.")
@click.option("--processes", type=click.IntRange(1), default=1, show_default=True, help="Of `accelerate launch`.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any setting of scoring, as bank.seed=1.")
def score(
    data: Path, run: Path, k: int | None, unseen: bool, processes: int, settings: tuple[str, ...]
) -> None:  # fmt: skip
    """Measure a run's losses for every sample, under a fixed bank of noise. Run it again to go on."""
    from flows.options import overrides
    from model.policy import score_config

    config = score_config(**overrides(settings), **({} if k is None else {"k": k}))
    prefect_settings()
    from flows.score_and_prune import score_only

    count = score_only(data, run, config, "unseen" if unseen else "all", processes)
    click.echo(f"{count} samples scored; ask: longdance sql 'FROM losses LIMIT 20' --data {data}")


@main.command(epilog="Example: longdance prune --run runs/starter --data dance --score rho --fraction 0.1")
@data_option
@click.option("--run", "runs", type=FOLDER, multiple=True, required=True, help="Trained run; one a stage.")
@click.option(
    "--score", "worth", type=click.Choice(["unlearnable", "rho", "high_loss", "learnt", "random", "flags"]),
    help="What goes [random].",
)  # fmt: skip
@click.option("--fraction", type=float, help="Share of the samples that goes [0.1].")
@click.option("--irreducible", type=FOLDER, multiple=True, help="Runs trained on other sources [two are trained].")
@click.option("--parent", help="Version that is pruned further [all good clips].")
@click.option("--name", help="Name of the new version [made of policy and hash].")
@click.option("--processes", type=click.IntRange(1), default=1, show_default=True, help="That score.")
@click.option("--then-train", is_flag=True, help="Fork each run onto its version and train it on.")
@click.option("--then-steps", type=click.IntRange(1), help="Steps of that [as many as the run has had].")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any setting: policy., scoring., fit.")
def prune(
    data: Path, runs: tuple[Path, ...], worth: str | None, fraction: float | None, irreducible: tuple[Path, ...],
    parent: str | None, name: str | None, processes: int, then_train: bool, then_steps: int | None,
    settings: tuple[str, ...],
) -> None:  # fmt: skip
    """Make a version without the samples that a policy drops. Nothing is deleted. Run it again to go on."""
    from flows.options import overrides, sections
    from model.policy import policy, score_config

    given = sections(overrides(settings), ("policy", "scoring", "fit"))
    flags = {"score": worth, "fraction": fraction}
    chosen = policy(**given["policy"] | {key: value for key, value in flags.items() if value is not None})
    scoring = score_config(**given["scoring"])
    prefect_settings()
    from flows.score_and_prune import score_and_prune

    made = score_and_prune(
        data, list(runs), chosen, scoring, list(irreducible) or None, given["fit"], parent, name, processes,
        then_train, then_steps,
    )  # fmt: skip
    click.echo(made["markdown"])
    click.echo(f"made {', '.join(made['versions'])}; train on it: longdance train ... --version {made['versions'][0]}")


@main.group()
def experiment() -> None:
    """Measure what a choice is worth."""


@experiment.command("prune", epilog="Example: longdance experiment prune --run runs/starter --data dance --out runs/x")
@data_option
@click.option("--run", type=FOLDER, required=True, help="Run that every training goes on from.")
@click.option("--out", type=FOLDER, required=True, help="Folder of the trainings and the result.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--steps", type=click.IntRange(1), default=100, show_default=True, help="Of each training.")
@click.option("--fraction", type=float, default=0.1, show_default=True, help="Share that each policy drops.")
def experiment_of_prune(data: Path, run: Path, out: Path, seeds: int, steps: int, fraction: float) -> None:
    """Does pruning help? Trains on the full data, and without 10 % by chance, by loss, by rho; judges the hold-out."""
    from model.policy import policy

    policy(fraction=fraction)
    prefect_settings()
    from flows.experiment import experiment_prune

    click.echo(experiment_prune(data, run, out, seeds, steps, fraction))


@main.command(epilog="Example: longdance versions --data dance")
@data_option
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
def versions(data: Path, form: str) -> None:
    """The data set's versions: named sets of samples, what made them, how many samples."""
    from data_catalog.queries import format_rows, run_query
    from flows import registry

    found = """SELECT version, parent, samples, policy ->> '$.config.score' AS score,
        CAST(policy ->> '$.config.fraction' AS DOUBLE) AS fraction, left(hash, 12) AS hash, created
        FROM versions ORDER BY created, version"""
    columns, rows = run_query(registry.data_folder(data).catalog, found)
    click.echo(format_rows(columns, rows, form), nl=False)


@main.command(epilog="Example: longdance diff starter-random-1f3a9c2e starter-rho-88d2b1aa --data dance")
@click.argument("first")
@click.argument("second")
@data_option
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
def diff(first: str, second: str, data: Path, form: str) -> None:
    """What version SECOND changes over FIRST, motion lost, and a picture of the clips that go."""
    from data_catalog.queries import format_rows
    from flows import registry
    from flows.version_diff import diff as compare

    rows, sheet, lost = compare(registry.data_folder(data).root, first, second)
    names = list(rows[0]) if rows else ["what", "samples"]
    click.echo(format_rows(names, [tuple(row.values()) for row in rows], form), nl=False)
    if form == "table":
        click.echo(f"motion lost: {lost:.1%}" + (f"; what goes: {sheet}" if sheet else ""))


@main.command(epilog="Example: longdance synth raw --videos 8 --seed 1")
@click.argument("out", type=FOLDER)
@click.option("--videos", type=click.IntRange(1), default=8, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--workers", type=click.IntRange(1), default=os.cpu_count() or 1, show_default="cores")
def synth(out: Path, videos: int, seed: int, workers: int) -> None:
    """Draw raw videos of synthetic dancers, with the truth in a JSON beside each."""
    from pipeline.synthetic import synth as draw

    for path in draw(out, videos, seed, workers):
        click.echo(path)


@main.command(
    epilog="Example: longdance sql 'SELECT reason, count(*) FROM clips GROUP BY ALL' --data dance --format csv"
)
@click.argument("query")
@data_option
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
def sql(query: str, data: Path, form: str) -> None:
    """Ask the catalog. Views: sources, clips, samples, shards, versions, losses, runs, checkpoints, rollouts."""
    from data_catalog.queries import format_rows, run_query
    from pipeline.layout import DataFolder

    columns, rows = run_query(DataFolder(data.expanduser().resolve()).catalog, query)
    # Left alone: in a pipe click would cut what looks like a colour out of a file's name.
    click.echo(format_rows(columns, rows, form), nl=False, color=True)


@main.command(epilog="Example: longdance report --data dance --out dance.html")
@data_option
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="The page's file [DATA/report.html].")
@click.option("--pictures/--no-pictures", default=True, help="Make posters, previews and frames that are missing.")
@click.option("--workers", type=click.IntRange(1), default=os.cpu_count() or 1, show_default="cores")
def report(data: Path, out: Path | None, pictures: bool, workers: int) -> None:
    """Write an HTML page of the whole data set; its pictures lie in a folder beside it. Run it again to go on."""
    from flows.progress_line import progress_line
    from flows.report import write_report
    from pipeline.layout import DataFolder

    with progress_line("pictures") as say:
        page, done = write_report(DataFolder(data.expanduser().resolve()), out, pictures, workers, say)
    failed = done.pop("failed", 0)
    if done:
        click.echo("made " + ", ".join(f"{count} {name}" for name, count in sorted(done.items())), err=True)
    if failed:
        click.echo(f"{failed} pictures could not be made: their sources are gone or damaged.", err=True)
    click.echo(page)


@main.command(epilog="Example: longdance serve --data dance --port 8700")
@data_option
@click.option("--port", type=click.IntRange(0, 65535), default=8700, show_default=True, help="0 takes a free one.")
@click.option("--who", help="Name under which decisions are stored [your user's].")
def serve(data: Path, port: int, who: str | None) -> None:
    """Show the report live at 127.0.0.1, and let whoever has the printed address mark clips keep or drop."""
    from flows.report import require_built
    from flows.serve import serve as run_server
    from pipeline.layout import DataFolder

    folder = DataFolder(data.expanduser().resolve())
    require_built(folder)
    run_server(folder, port, who, lambda address: click.echo(f"Open {address}\nCtrl-C ends it."))


@main.command(epilog="Example: longdance doctor --data dance --format json")
@click.option("--data", type=FOLDER, help="Folder of a data set, to look at its disk and catalog.")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
def doctor(data: Path | None, form: str) -> None:
    """What is installed, what is missing, how to mend it. Exit code 1 if something needed is missing."""
    from data_catalog.queries import format_rows
    from flows.doctor import COLUMNS, examine, healthy

    checks = examine(data)
    click.echo(format_rows(COLUMNS, [check.row() for check in checks], form), nl=False)
    sys.exit(0 if healthy(checks) else 1)


@main.command(epilog="Example: longdance verify --data dance")
@data_option
@click.option("--quick", is_flag=True, help="Checksums only, nothing is decoded.")
def verify(data: Path, quick: bool) -> None:
    """Check every shard's bytes and members, and decode every clip. Exit code 1 if anything is wrong."""
    from flows import registry
    from pipeline.verify import verify_shards

    problems = 0
    count = 0
    for count, (shard, wrong) in enumerate(verify_shards(registry.data_folder(data).shards, decode=not quick), start=1):  # noqa: B007
        for sentence in wrong:
            problems += 1
            click.echo(f"{shard}: {sentence}")
    click.echo(f"{count} shards checked, {problems} problems.")
    sys.exit(1 if problems else 0)


@main.group()
def catalog() -> None:
    """Look after the catalog."""


@catalog.command(epilog="Example: longdance catalog rebuild --data dance")
@data_option
def rebuild(data: Path) -> None:
    """Make the catalog again, from the shards and manifests on disk."""
    from flows import registry

    counts = registry.rebuild_from_record(registry.data_folder(data))
    click.echo(", ".join(f"{count} {name}" for name, count in counts.items()))


@main.command(epilog="Example: longdance settings")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
def settings(form: str) -> None:
    """Every setting of `build`, its default and its meaning."""
    from data_catalog.queries import format_rows
    from flows.options import defaults_table
    from pipeline.config import BuildConfig

    click.echo(format_rows(["name", "default", "meaning"], defaults_table(BuildConfig), form), nl=False)


@main.command("pose-model", epilog="Example: longdance pose-model")
def pose_model() -> None:
    """Get the pose model, if it is not there, and print its path."""
    from pipeline.pose_model import pose_model_path

    click.echo(pose_model_path())


for command in COMMANDS:
    main.add_command(command)

if __name__ == "__main__":
    main()

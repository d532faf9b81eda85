"""Latents and training: encode, train."""

from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Any, cast, get_args

import click

from data_catalog.base.at_work import training
from flows.cli.shared import FOLDER, data_place_option, dry_run_option, looked_at, prefect_settings


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--preset` and `--set`, which `encode` and `train` share."""
    preset = click.option("--preset", type=click.Choice(["tiny", "sd15"]), default="tiny", show_default=True)
    setting = click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any setting of training.")
    return preset(setting(command))


@click.command(epilog="Example: longdance encode --data dance --preset tiny --set encode.picture=192")
@data_place_option
@training_options
@dry_run_option
def encode(data: Path | str, preset: str, settings: tuple[str, ...], dry_run: bool) -> None:
    """Make latents of every stored sample, once; `train` does it by itself where they are missing."""
    from flows.options import overrides
    from model.config import absolute_folders

    if dry_run:
        from flows.cli.dry_runs import encode_lines
        from model.config import train_config

        config = train_config("starter", preset, **absolute_folders(overrides(settings)))
        click.echo("\n".join(encode_lines(looked_at(data), config.encode)))
        return
    prefect_settings()
    from flows.server.outlive import outlive
    from flows.train_stage import encode_only
    from model.presets import Preset

    counted = outlive(encode_only, data, cast(Preset, preset), overrides(settings))
    click.echo(", ".join(f"{name}={count}" for name, count in counted.items()))


def _stages(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """For the shell's completion."""
    from model.config import StageName
    from model.loop_config import CHOREOGRAPHER

    return [name for name in (*get_args(StageName), CHOREOGRAPHER) if name.startswith(typed)]


@click.command(epilog="Example: longdance train starter --data dance --run runs/starter --preset tiny --set steps=2000")
@click.argument("stage", shell_complete=_stages)
@data_place_option
@click.option("--run", type=FOLDER, required=True, help="Folder of the run; the same command again resumes.")
@training_options
@click.option("--vram-gib", type=float, help="Enforced cap on the GPU's memory [24].")
@click.option("--version", help="Named set of samples to train on [all good clips].")
@click.option("--fork", type=FOLDER, help="Run that this new one continues from, under other settings.")
@click.option("--until", type=click.IntRange(1), help="Stop at this step; the same command without it continues.")
@click.option(
    "--processes", type=click.IntRange(1), default=1, show_default=True, help="Processes that train together."
)
@click.option("--dry-run", is_flag=True, help="Print the config, parameters, memory and disk, and stop.")
def train(
    stage: str, data: Path | str, run: Path, preset: str, settings: tuple[str, ...], vram_gib: float | None,
    version: str | None, fork: Path | None, until: int | None, processes: int, dry_run: bool,
) -> None:  # fmt: skip
    """Train STAGE: starter, extrapolation, interpolation, any, star (told a dance) or choreographer (makes one)."""
    from flows.options import overrides
    from model.config import absolute_folders

    named = {"version": version, "vram_gib": vram_gib}
    values = absolute_folders(overrides(settings)) | {name: value for name, value in named.items() if value is not None}
    if dry_run and stage == "choreographer":
        from model.choreography.config import choreographer_config

        click.echo(choreographer_config(**values).model_dump_json(indent=1))
        return
    if dry_run:
        from model.config import train_config
        from model.runs.open_run import check_fork
        from model.runs.run import run_checkpoint
        from model.training.dry_run import dry_run as what_it_takes

        config = train_config(stage, preset, **values)
        if fork:
            parent = fork.expanduser().resolve()
            check_fork(parent, run_checkpoint(parent), config.model_dump(mode="json"))
        click.echo(config.model_dump_json(indent=1))
        click.echo("\n".join(what_it_takes(looked_at(data), config, processes).lines()))
        return
    training(run.expanduser().resolve()).check()
    if isinstance(data, Path):
        check_samples(data.expanduser().resolve())
    prefect_settings()
    from flows.server.outlive import outlive
    from flows.train_stage import LearntStage, check_stage, train_stage
    from model.presets import Preset

    check_stage(stage, preset, values)
    named_run = (cast(LearntStage, stage), data, run, cast(Preset, preset))
    ended = outlive(train_stage, *named_run, values, processes, fork, until)
    click.echo(f"{ended['status']} at step {ended['step']}; {where_to_look(run)}")
    click.echo(f"next: {next_command(ended['status'], stage, data, run, preset)}")


def check_samples(data: Path) -> None:
    """Raise LongdanceError where there is nothing to train on yet, before anything slow begins."""
    from data_catalog.base.at_work import building
    from data_catalog.base.errors import LongdanceError
    from data_catalog.base.paths import DataFolder
    from data_catalog.connection import open_catalog

    folder = DataFolder.at(data)
    if not folder.catalog.is_file():
        return  # what reads it says so
    with open_catalog(folder.catalog, read_only=True) as con:
        if con.execute("SELECT 1 FROM samples LIMIT 1").fetchone():
            return
    building(folder).check()  # it may be making the first ones
    raise LongdanceError(f"The data set in {data} holds no samples: run `longdance build` on videos with dancers.")


def where_to_look(run: Path) -> str:
    """What a training has left to look at; its samples, where there are any yet."""
    from data_catalog.base.paths import RunFolder

    samples = RunFolder(run.expanduser()).samples
    named = f"look at {samples}, or: " if samples.is_dir() else ""
    return f"{named}tensorboard --logdir {quote(str(run))}"


FOLLOWS = {"starter": "extrapolation", "extrapolation": "interpolation"}
"""The stage that is trained after a stage."""


def next_command(status: str, stage: str, data: Path | str, run: Path, preset: str = "tiny") -> str:
    """What to type after a training: the same again if it was stopped, the next stage, or a generation."""
    if status != "finished":
        return "the same command again, without --until, goes on from there"
    if follows := FOLLOWS.get(stage):
        child = run.with_name(f"{run.name}-{follows}")
        begins = f"--set {quote(f'init=run:{run.expanduser().resolve()}')}"
        begins = begins if preset == "tiny" else f"--preset {preset} {begins}"
        return f"longdance train {follows} --data {quote(str(data))} --run {quote(str(child))} {begins}"
    if stage == "choreographer":
        return f"longdance choreograph --run {quote(str(run))} --image PICTURE.png --frames 724 --out dance.npy"
    if stage == "star":
        return f"longdance generate --runs {quote(str(run))} --image PICTURE.png --pose DANCE.mp4 --out dance.mp4"
    others = "STARTER_RUN EXTRAPOLATION_RUN " if stage == "interpolation" else ""
    return f"longdance generate --runs {others}{quote(str(run))} --image PICTURE.png --out dance.mp4"


COMMANDS = (encode, train)

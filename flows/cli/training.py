"""Latents and training: encode, train."""

from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Any, cast, get_args

import click

from data_catalog.base.at_work import training
from flows.cli.shared import FOLDER, data_option, dry_run_option, prefect_settings


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--preset` and `--set`, which `encode` and `train` share."""
    preset = click.option("--preset", type=click.Choice(["tiny", "sd15"]), default="tiny", show_default=True)
    setting = click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any setting of training.")
    return preset(setting(command))


@click.command(epilog="Example: longdance encode --data dance --preset tiny --set encode.picture=192")
@data_option
@training_options
@dry_run_option
def encode(data: Path, preset: str, settings: tuple[str, ...], dry_run: bool) -> None:
    """Make latents of every stored sample, once; `train` does it by itself where they are missing."""
    from flows.options import overrides
    from model.config import absolute_folders

    if dry_run:
        from flows.cli.dry_runs import encode_lines
        from model.config import train_config

        config = train_config("starter", preset, **absolute_folders(overrides(settings)))
        click.echo("\n".join(encode_lines(data.expanduser().resolve(), config.encode)))
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

    return [name for name in get_args(StageName) if name.startswith(typed)]


@click.command(epilog="Example: longdance train starter --data dance --run runs/starter --preset tiny --set steps=2000")
@click.argument("stage", shell_complete=_stages)
@data_option
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
    stage: str, data: Path, run: Path, preset: str, settings: tuple[str, ...], vram_gib: float | None,
    version: str | None, fork: Path | None, until: int | None, processes: int, dry_run: bool,
) -> None:  # fmt: skip
    """Train STAGE: starter, extrapolation, interpolation, any, or star (told a dance). Run it again to resume."""
    from flows.options import overrides
    from model.config import absolute_folders

    named = {"version": version, "vram_gib": vram_gib}
    values = absolute_folders(overrides(settings)) | {name: value for name, value in named.items() if value is not None}
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
        click.echo("\n".join(what_it_takes(data.expanduser().resolve(), config, processes).lines()))
        return
    training(run.expanduser().resolve()).check()
    prefect_settings()
    from flows.server.outlive import outlive
    from flows.train_stage import check_stage, train_stage
    from model.config import StageName
    from model.presets import Preset

    check_stage(stage, preset, values)
    named_run = (cast(StageName, stage), data, run, cast(Preset, preset))
    ended = outlive(train_stage, *named_run, values, processes, fork, until)
    click.echo(f"{ended['status']} at step {ended['step']}; {where_to_look(run)}")
    click.echo(f"next: {next_command(ended['status'], stage, data, run, preset)}")


def where_to_look(run: Path) -> str:
    """What a training has left to look at; its samples, where there are any yet."""
    from data_catalog.base.paths import RunFolder

    samples = RunFolder(run.expanduser()).samples
    named = f"look at {samples}, or: " if samples.is_dir() else ""
    return f"{named}tensorboard --logdir {quote(str(run))}"


FOLLOWS = {"starter": "extrapolation", "extrapolation": "interpolation"}
"""The stage that is trained after a stage."""


def next_command(status: str, stage: str, data: Path, run: Path, preset: str = "tiny") -> str:
    """What to type after a training: the same again if it was stopped, the next stage, or a generation."""
    if status != "finished":
        return "the same command again, without --until, goes on from there"
    if follows := FOLLOWS.get(stage):
        child = run.with_name(f"{run.name}-{follows}")
        begins = f"--set {quote(f'init=run:{run.expanduser().resolve()}')}"
        begins = begins if preset == "tiny" else f"--preset {preset} {begins}"
        return f"longdance train {follows} --data {quote(str(data))} --run {quote(str(child))} {begins}"
    if stage == "star":
        return f"longdance generate --runs {quote(str(run))} --image PICTURE.png --pose DANCE.mp4 --out dance.mp4"
    others = "STARTER_RUN EXTRAPOLATION_RUN " if stage == "interpolation" else ""
    return f"longdance generate --runs {others}{quote(str(run))} --image PICTURE.png --out dance.mp4"


@click.command(epilog="Example: longdance export --run runs/any --out weights/any --half")
@click.option("--run", type=FOLDER, required=True, help="A trained run.")
@click.option("--out", type=FOLDER, required=True, help="A new folder.")
@click.option("--half", is_flag=True, help="float16, half the size: enough to start a training from.")
def export(run: Path, out: Path, half: bool) -> None:
    """Write a run's averaged weights and codec, in diffusers' format, for `train --set init=OUT`."""
    from model.runs.export import WEIGHTS, export_run

    made = export_run(run.expanduser().resolve(), out.expanduser().resolve(), half)
    size = (out.expanduser().resolve() / WEIGHTS).stat().st_size
    click.echo(f"{out}: {size / 1e6:.1f} MB, step {made['steps']}, sha256 {made['weights_sha256']}")


COMMANDS = (encode, train, export)

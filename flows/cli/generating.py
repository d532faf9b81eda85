"""The commands around generation: plan, generate, calibrate. Heavy imports wait until one of them runs."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from data_catalog.base.at_work import generating
from flows.cli.shared import FILE, FOLDER, FORMATS, PLACE, prefect_settings

if TYPE_CHECKING:
    from flows.generate_request import GenerateRequest


@click.command(epilog="Example: longdance plan --frames 181 --plan origin --draw plan.png")
@click.option("--frames", type=int, default=181, show_default=True, help="Frames of the video.")
@click.option("--plan", "name", default="origin", show_default=True, help="origin, streaming, tree or star.")
@click.option("--format", "form", type=FORMATS, default="table", show_default=True)
@click.option("--draw", type=FILE, help="Draw the plan into this PNG.")
def plan(frames: int, name: str, form: str, draw: Path | None) -> None:
    """Which frames each network call is given and which it makes."""
    import json

    from data_catalog.queries import format_rows
    from model.plans.plan import make_plan
    from model.plans.view import plan_cost, plan_json, plan_table, write_plan_picture

    calls = make_plan(name, frames)
    if draw is not None:
        write_plan_picture(draw, calls, frames)
    if form == "json":
        click.echo(json.dumps(plan_json(calls)))
        return
    click.echo(format_rows(*plan_table(calls), form), nl=False)
    if form == "table":
        click.echo(plan_cost(calls, frames).sentence())


def sampling_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The sampling settings that have names of their own, and `--set` for the others."""
    for option in (
        click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any sampling setting."),
        click.option("--steps", type=click.IntRange(1), help="Steps of the sampler [20]."),
        click.option("--temperature", type=click.FloatRange(0, 2), help="Scale of the noise that it begins with [1]."),
        click.option("--sampler", type=click.Choice(["ddim", "dpm++", "euler"]), help="Sampler [ddim]."),
        click.option("--seed", type=click.IntRange(0), help="Seed of all noise [0]."),
    ):
        command = option(command)
    return command


def sampling_values(
    seed: int | None, sampler: str | None, steps: int | None, temperature: float | None, texts: tuple[str, ...]
) -> dict[str, Any]:
    """What was given, as nested values of `model.rollout.config.SamplingConfig`."""
    from flows.options import overrides

    given = {"seed": seed, "sampler": sampler, "steps": steps, "temperature": temperature}
    return {**overrides(texts), **{name: value for name, value in given.items() if value is not None}}


@click.command(
    epilog="Example: longdance generate --runs runs/starter runs/extrapolation runs/interpolation --image me.png "
    "--frames 181 --out dance.mp4"
)
@click.option("--runs", "run", type=FOLDER, required=True, metavar="RUN...", help="Trained runs, one after the other.")
@click.argument("more_runs", type=FOLDER, nargs=-1, metavar="")
@click.option("--image", type=FILE, help="The picture that the video begins with.")
@click.option("--clip", help="Clip of --data to begin with.")
@click.option("--data", type=PLACE, help="Data set of clips to compare with, or its address.")
@click.option("--frames", type=int, default=181, show_default=True, help="Frames of the video.")
@click.option("--plan", "name", help="origin, streaming, tree, star [best].")
@click.option("--pose", metavar="CLIP|VIDEO|FILE.npy", help="The dance: a clip, video or landmarks.")
@click.option("--dance", type=click.Choice(["auto", "new"]), help="One of --data, or a new one, by --seed.")
@click.option("--choreographer", type=FOLDER, help="The run that makes a new dance.")
@click.option("--music", type=FILE, help="A song for a new dance, which the video plays.")
@click.option("--speed", type=click.FloatRange(0.1, 10), default=1.0, show_default=True, help="Of the dance.")
@click.option("--mirror", "mirrored", is_flag=True, help="Exchange the dance's left and right.")
@click.option("--out", type=FILE, required=True, help="The mp4; the same command again resumes.")
@click.option("--fps", type=float, help="Frames a second [as the dance or the clips].")
@sampling_options
@click.option("--no-align", is_flag=True, help="Take the picture's middle as it is.")
@click.option("--redo", metavar="START:STOP", help="Make these and what depends on them again.")
@click.option("--overwrite", is_flag=True, help="Start over where --out holds another rollout.")
@click.option("--gif-mb", type=float, default=8.0, show_default=True, help="Most MB of the GIF; 0: none.")
@click.option("--pngs", is_flag=True, help="Write every frame as a PNG, too.")
@click.option("--fvd", type=FILE, help="TorchScript weights of an I3D network.")
@click.option("--lpips", type=FILE, help="TorchScript weights of an LPIPS network.")
@click.option("--dry-run", is_flag=True, help="Check the runs, print the settings and stop.")
def generate(
    run: Path, more_runs: tuple[Path, ...], name: str | None, seed: int | None, sampler: str | None, steps: int | None,
    temperature: float | None, settings: tuple[str, ...], no_align: bool, dry_run: bool, **others: Any,
) -> None:  # fmt: skip
    """Generate a long video from one picture, and measure its drift. Run it again to resume."""
    from flows.generate_request import generate_request, open_request

    request = generate_request(
        runs=[run, *more_runs], sampling=sampling_values(seed, sampler, steps, temperature, settings),
        plan=name, align=not no_align, **others,
    )  # fmt: skip
    if dry_run:
        click.echo(_checked(request))
        return
    generating(request.out).check()
    prefect_settings()
    from flows.generate import drift_table
    from flows.generate import generate as generate_flow
    from flows.server.outlive import outlive

    open_request(request)
    made = outlive(generate_flow, request)
    click.echo(drift_table(made["metrics"]), nl=False)
    click.echo(f"video {made['video']}; look at {made['page']}")


def _checked(request: "GenerateRequest") -> str:
    from flows.generate_request import open_runs
    from model.plans.view import plan_cost

    prepared = open_runs(request)
    serving = [f"{stage}: {run.path} (step {run.checkpoint.step})" for stage, run in prepared.serving.items()]
    cost = plan_cost(prepared.request.calls(), request.frames).sentence()
    return "\n".join([prepared.request.sampling.model_dump_json(indent=1), *serving, cost])


@click.command(epilog="Example: longdance calibrate --run runs/extrapolation --data dance --clips 4")
@click.option("--run", type=FOLDER, required=True, help="A trained run; the best is written into its defaults.")
@click.option("--data", type=FOLDER, help="Data set with held-out clips [where the run was trained].")
@click.option("--clips", type=click.IntRange(1), default=4, show_default=True, help="Clips that are tried on.")
@sampling_options
@click.option("--format", "form", type=FORMATS, default="table", show_default=True)
def calibrate(
    run: Path, data: Path | None, clips: int, seed: int | None, sampler: str | None, steps: int | None,
    temperature: float | None, settings: tuple[str, ...], form: str,
) -> None:  # fmt: skip
    """Find how much noise and guidance over hints a run likes best, on held-out clips."""
    from data_catalog.queries import format_rows
    from model.rollout.calibrate import calibrate as sweep
    from model.rollout.calibrate import trial_rows
    from model.rollout.config import sampling_config

    config = sampling_config([], sampling_values(seed, sampler, steps, temperature, settings))

    def say(stage: str, trial: Any) -> None:
        noise, guidance = f"noise {trial.hint_noise:g}", f"guidance {trial.hint_guidance:g}"
        click.echo(f"{stage}: {noise}, {guidance}: error {trial.error:.3f}, motion {trial.motion:.2f}", err=True)

    record = sweep(run, data, clips, config, say=say)
    if not record["held_out"]:
        click.echo("No clip is held out: tried on clips that the run was trained on, which flatters.", err=True)
    columns = ["stage", "hint_noise", "hint_guidance", "error", "motion", "chosen"]
    click.echo(format_rows(columns, trial_rows(record), form), nl=False)


@click.command(epilog="Example: longdance warp --image me.png --pose CLIP_ID --data dance --out warped.mp4")
@click.option("--pose", required=True, metavar="CLIP|VIDEO|FILE.npy", help="The dance: a clip, a video, landmarks.")
@click.option("--image", type=FILE, help="The picture that dances, cropped as clips are.")
@click.option("--clip", help="Clip of --data instead of a picture: its first frame.")
@click.option("--data", type=FOLDER, help="Data set of the clips.")
@click.option("--frames", type=click.IntRange(1, 10_000), default=181, show_default=True, help="Frames of the video.")
@click.option("--speed", type=click.FloatRange(0.1, 10), default=1.0, show_default=True, help="Of the dance.")
@click.option("--mirror", "mirrored", is_flag=True, help="Exchange left and right.")
@click.option("--size", default="512x512", show_default=True, help="Width x height of the video, in pixels.")
@click.option("--fps", type=click.FloatRange(1, 120), help="Frames a second [the clip's, or 30].")
@click.option("--out", type=FILE, required=True, help="The mp4.")
def warp(size: str, out: Path, **given: Any) -> None:
    """Let a picture dance without any network: its parts are moved to each pose. What a network has to beat."""
    from flows.dancing.warp_dance import WarpRequest, warp_dance
    from model.errors import PoseError
    from pipeline.picture_size import PictureSize

    try:
        pixels = PictureSize.parse(size)
    except ValueError as error:
        raise PoseError(f"--size is {size!r} ({error}): write WIDTHxHEIGHT, as 512x512.") from error
    total, request = given["frames"], WarpRequest(size=pixels, out=out, **given)
    warp_dance(request, lambda done: click.echo(f"frame {done} of {total}", err=True))
    click.echo(f"video {out}")


COMMANDS = (plan, generate, calibrate, warp)

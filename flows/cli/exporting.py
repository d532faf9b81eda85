"""What is taken elsewhere: export, of a run's weights and of a version's clips; and how it compares: bench."""

from pathlib import Path

import click

from flows.cli.shared import FOLDER, FORMATS, data_place_option

TARGETS = ("diffusion-pipe", "musubi", "finetrainers", "hf", "webdataset")


@click.group(invoke_without_command=True, epilog="Example: longdance export --run runs/any --out weights/any --half")
@click.option("--run", type=FOLDER, help="A trained run.")
@click.option("--out", type=FOLDER, help="A new folder.")
@click.option("--half", is_flag=True, help="float16, half the size: enough to start a training from.")
@click.pass_context
def export(context: click.Context, run: Path | None, out: Path | None, half: bool) -> None:
    """Write a run's averaged weights and codec, in diffusers' format, for `train --set init=OUT`.

    A run that learnt LoRA gives its factors, too, in peft's and in diffusers' keys; a choreographer's folder is what
    `choreograph --run` takes. `export data` writes clips.
    """
    if context.invoked_subcommand is not None:
        if run or out or half:
            raise click.UsageError("--run, --out and --half are of weights: leave them out, or leave out `data`.")
        return
    if run is None or out is None:
        raise click.UsageError("Give a run and a new folder: longdance export --run RUN --out OUT.")
    from model.choreography.choreographer import export_choreographer
    from model.loop_config import CHOREOGRAPHER
    from model.runs.export import export_run
    from model.runs.record import read_record
    from model.runs.run import run_checkpoint

    run, folder = run.expanduser().resolve(), out.expanduser().resolve()
    run_checkpoint(run)
    dances = read_record(run)["identity"]["config"]["stage"] == CHOREOGRAPHER
    made = export_choreographer(run, folder, half) if dances else export_run(run, folder, half)
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    if made.get("lora"):
        click.echo(f"{out / 'lora'}: its LoRA factors, in peft's and in diffusers' keys")
    click.echo(f"{out}: {size / 1e6:.1f} MB, step {made['steps']}, sha256 {made['weights_sha256']}")


@export.command("data", epilog="Example: longdance export data ~/takeaway --to hf --data dance --version lean")
@click.argument("folder", type=FOLDER)
@data_place_option
@click.option("--to", type=click.Choice(TARGETS), required=True, help="Whose loader is to read it.")
@click.option("--version", help="Named set of samples [all good clips].")
@click.option("--holdout", type=float, help="Share of the sources that becomes its validation [as in a training].")
@click.option("--captions", help="Set of captions by `longdance caption`; captions.csv comes before it.")
@click.option("--prompt", help="Caption of clips that have none [as in a training].")
@click.option("--licence", "licences", multiple=True, help="Take sources of this licence alone; may be given again.")
@click.option("--model-fps", type=float, help="Frame rate of the model to be trained, for diffusion-pipe [16].")
@click.option("--silent", is_flag=True, help="Leave the sound out.")
def export_data(
    folder: Path, data: Path | str, to: str, version: str | None, holdout: float | None, captions: str | None,
    prompt: str | None, licences: tuple[str, ...], model_fps: float | None, silent: bool,
) -> None:  # fmt: skip
    """Write a version's clips, captions, masks and sound as another trainer's loader reads them, with its config.

    Run it again to resume, or to add what the version has grown by; several targets in one FOLDER share their files.
    """
    from flows.catalog.export_rows import merge_exports
    from flows.progress import progress_bar
    from flows.storage.home import built_home
    from flows.storage.places import place_of
    from model.exports.config import export_config
    from model.exports.export_data import export_data as write

    named = {
        "version": version, "holdout": holdout, "captions": captions, "prompt": prompt, "model_fps": model_fps,
        "licences": licences,
    }  # fmt: skip
    config = export_config(to=to, sound=not silent, **{name: one for name, one in named.items() if one is not None})
    with built_home(place_of(data)) as home:
        with progress_bar("export") as say:
            made = write(home.folder.root, folder.expanduser().resolve(), config, say, home.refresh)
        merge_exports(home.folder)
        home.keep()
    for split, counts in made["counts"].items():
        click.echo(f"{split}: " + ", ".join(f"{name}={count}" for name, count in counts.items()))
    place = folder / to
    click.echo(f"{made['files']} files in {place}, {made['new']} new or changed; how to read it: {place}/README.md")


@click.command(epilog="Example: longdance bench other-tool/videos --against dance")
@click.argument("place", type=click.Path(path_type=Path))
@click.option("--against", type=FOLDER, required=True, help="Real ones: a folder of videos, or a data set.")
@click.option("--data", type=FOLDER, help="Data set that knows the rollouts of a run [that of --against].")
@click.option("--most", type=click.IntRange(1), default=64, show_default=True, help="Videos of each side at most.")
@click.option("--weights", multiple=True, metavar="NAME=FILE", help="TorchScript network for fvd or lpips.")
@click.option("--format", "form", type=FORMATS, default="table", show_default=True, help="json: every video, too.")
def bench(place: Path, against: Path, data: Path | None, most: int, weights: tuple[str, ...], form: str) -> None:
    """Measure videos of any tool, or a run's rollouts, beside real ones: drift, dynamics, distances, with the protocol.

    PLACE is a folder of videos or of folders of pictures, or a run. Videos and real ones of one name are compared frame
    by frame.
    """
    import json

    from data_catalog.base.errors import LongdanceError
    from data_catalog.queries import format_rows
    from flows.progress import progress_bar
    from model.bench.bench import COLUMNS
    from model.bench.bench import bench as compare
    from pipeline.analysis.pose_metrics import DancerFinder
    from pipeline.analysis.pose_model import pose_model_path

    networks = dict(text.partition("=")[::2] for text in weights)
    if unknown := sorted(networks.keys() - {"fvd", "lpips"}):
        raise LongdanceError(f"--weights {unknown[0]!r}: expected fvd=FILE or lpips=FILE.")
    named = {name: Path(file).expanduser() for name, file in networks.items()}
    finder = DancerFinder(pose_model_path())
    try:
        places = place.expanduser().resolve(), against.expanduser().resolve()
        with progress_bar("bench") as say:
            made = compare(*places, finder, named, most, say, data.expanduser().resolve() if data else None)
    finally:
        finder.close()
    if form == "json":
        click.echo(json.dumps(made, indent=1))
        return
    rows = [tuple(float(f"{cell:.4g}") if isinstance(cell, float) else cell for cell in row) for row in made["rows"]]
    click.echo(format_rows(list(COLUMNS), rows, form), nl=False)
    for name, distance in made["between"].items():
        said = "too few windows" if distance is None else f"{distance['value']:.4g}"
        click.echo(f"{name}: {said}", err=form != "table")
    click.echo("\n".join(made["protocol"]), err=form != "table")


COMMANDS = (export, bench)

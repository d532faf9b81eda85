"""A dance that nobody danced: choreograph."""

from pathlib import Path
from shlex import quote
from typing import Any

import click

from flows.cli.shared import FILE, FOLDER


@click.command(
    epilog="Example: longdance choreograph --run runs/choreographer --image me.png --music song.mp3 --out dance.npy"
)
@click.option("--run", type=FOLDER, required=True, help="A run of `longdance train choreographer`.")
@click.option("--image", type=FILE, help="The picture that it begins with, cropped as clips are.")
@click.option("--clip", help="Clip of --data instead: its first pose.")
@click.option("--pose-start", type=FILE, help="A .npy of (33, 4) landmarks instead, in pixels of --size.")
@click.option("--music", type=FILE, help="A song to dance to, to its end or to --frames.")
@click.option("--frames", type=click.IntRange(2, 100_000), help="Frames of the dance [the song's, or 724].")
@click.option("--style", metavar="CLIP", help="Clip of --data to dance like.")
@click.option("--data", type=FOLDER, help="Data set of the clips.")
@click.option("--fps", type=click.FloatRange(1, 120), help="Frames a second [the clip's, or 30].")
@click.option("--size", default="512x512", show_default=True, help="Width x height of the picture, in pixels.")
@click.option("--seed", type=click.IntRange(0), help="Another seed, another dance [0].")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any setting of dances.")
@click.option("--out", type=FILE, required=True, help="The dance, .npy; numbers and a page lie beside it.")
def choreograph(
    run: Path, music: Path | None, frames: int | None, style: str | None, data: Path | None, size: str,
    seed: int | None, settings: tuple[str, ...], **given: Any,
) -> None:  # fmt: skip
    """Make a dance: landmarks for any number of frames, from a pose and a song. `generate --pose` paints it."""
    from flows.choreography.choreograph import ChoreographRequest
    from flows.choreography.choreograph import choreograph as make
    from flows.dancing.new_dance import NewDance
    from flows.options import overrides
    from model.errors import PoseError
    from pipeline.picture_size import PictureSize

    try:
        pixels = PictureSize.parse(size)
    except ValueError as error:
        raise PoseError(f"--size is {size!r} ({error}): write WIDTHxHEIGHT, as 512x512.") from error
    values = overrides(settings) | ({} if seed is None else {"seed": seed})
    wanted = NewDance(run, frames, music, style, data, values)
    _, numbers = make(ChoreographRequest(wanted=wanted, size=pixels, **given))
    out = given["out"]
    click.echo(", ".join(f"{name}={value}" for name, value in numbers.items() if value is not None))
    click.echo(f"dance {out}; look at {out.with_suffix('.html')}")
    click.echo(f"next: longdance generate --runs RUN --image PICTURE.png --pose {quote(str(out))} --out dance.mp4")


COMMANDS = (choreograph,)

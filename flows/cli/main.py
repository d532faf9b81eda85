"""`longdance`: its help, and how an error reads. The commands lie beside it in flows/cli."""

import contextlib
import os
import sys
from typing import Any

import click
import psutil

from flows.cli import choreographing, data, enriching, exporting, generating, looking, pruning, rights, training

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


class Group(click.Group):
    """Turns a user's mistake into one sentence on stderr and exit code 2."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """End without a wait for what Prefect would still tell a server that is gone."""
        try:
            return super().main(*args, **kwargs)
        except SystemExit as end:
            outlive = sys.modules.get("flows.server.outlive")
            if outlive is not None and outlive.lost:
                leave(end.code)
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; only what is longdance's own fault keeps its traceback."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            click.echo("\nStopped. Run the same command again to resume.", err=True)
            ctx.exit(130)
        except Exception as error:
            sentence = explain(error)
            if sentence is None:
                raise
            click.echo(f"longdance: {sentence}", err=True)
            ctx.exit(2)


def explain(error: BaseException) -> str | None:
    """The sentence for an error that the user can fix, or None for a fault of our own."""
    from data_catalog.base.disk import explain_disk_error
    from data_catalog.base.errors import LongdanceError

    if isinstance(error, LongdanceError):
        return str(error)
    if sentence := explain_disk_error(error):
        return sentence
    if isinstance(error, PermissionError | NotADirectoryError) and error.filename:
        return f"{error.filename} cannot be used ({error.strerror}): name another place, or change its rights."
    if type(error).__module__.startswith("httpx") or "Failed to reach API" in str(error):
        return "Prefect's server was lost as the run began: run the same command again."
    return None


def leave(code: str | int | None) -> None:
    """Exit at once, as `sys.exit` would but for what waits to be sent by threads."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    for child in psutil.Process().children():
        child.kill()
    if "flows.server.choose" in sys.modules:
        sys.modules["flows.server.choose"].forget_private()
    os._exit(code if isinstance(code, int) else bool(code))


@click.group(cls=Group, context_settings=CONTEXT)
@click.version_option(package_name="longdance")
def main() -> None:
    """Train long-video generation on your own dance footage, on your own GPU.

    \b
    longdance build RAW --data DATA         raw videos to training-ready shards
    longdance train STAGE --data DATA --run RUN   train starter, extrapolation, interpolation or any
    longdance generate --runs RUN... --image P.png --out F.mp4   a long video and its drift
    """


for part in (data, training, pruning, generating, choreographing, looking, exporting, enriching, rights):
    for command in part.COMMANDS:
        main.add_command(command)

"""What the commands share: kinds of parameters, and Prefect's settings."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


class Folder(click.Path):
    """A folder of this machine; an address in object storage is no such thing."""

    def __init__(self, instead: str = "copy the data set to a folder with your store's own tool, name that") -> None:
        """instead: what to do with a data set in object storage."""
        super().__init__(path_type=Path, file_okay=False)
        self.instead = instead

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The folder. Raises click.BadParameter."""
        from data_catalog.base.store import is_url

        if is_url(value) and param is not None and param.name != "data":
            self.fail("this is kept in a folder of the machine that the command runs on: name one", param, ctx)
        if is_url(value):
            self.fail(
                f"this command takes no address in object storage: {self.instead} (docs/operations.md has what does)",
                param,
                ctx,
            )
        return super().convert(value, param, ctx)


class FolderOrUrl(Folder):
    """A folder, or an address in object storage, which stays text."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The folder, or the address. Raises LongdanceError for an address that is none."""
        from data_catalog.base.store import Store, is_url

        return Store.at(str(value)).url if is_url(value) else super().convert(value, param, ctx)


FOLDER, PLACE = Folder(), FolderOrUrl()
FILE = click.Path(path_type=Path, dir_okay=False)
THERE = click.Path(path_type=Path, dir_okay=False, exists=True)
FORMATS = click.Choice(["table", "json", "csv"])
SETTLED = ("build", "encode", "train", "train choreographer", "score", "prune", "generate", "choreograph")
"""Commands that take `--set`."""


def prefect_settings() -> None:
    """Settle, before flows are imported, how Prefect runs: defaults that the environment overrides, and its server."""
    for name, value in {
        "PREFECT_LOGGING_EXTRA_LOGGERS": "pipeline,model,data_catalog,flows",
        "PREFECT_CLIENT_MAX_RETRIES": "4",  # half a minute: a server that is being restarted is back then
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",  # the terminal has bars; a server keeps every line
    }.items():
        os.environ.setdefault(name, value)
    from flows.server.choose import choose_home

    choose_home()
    from flows.runners import mute_stderr_at_exit, raise_on_sigint, short_tracebacks
    from flows.server.outlive import be_quiet

    mute_stderr_at_exit()
    short_tracebacks()
    raise_on_sigint()
    be_quiet()


def exit_on_sigint() -> None:
    """End on Ctrl-C without waiting for DuckDB, which lets Python's own handler in only now and then. Only for a
    command that reads: nothing is tidied up."""

    def wait() -> None:
        signal.sigwait({signal.SIGINT})
        os.write(2, b"\nStopped.\n")
        os._exit(130)

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # every thread's: the one that waits gets it
    threading.Thread(target=wait, daemon=True).start()


def data_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--data DATA`, the data set's folder."""
    return click.option("--data", type=FOLDER, required=True, help="Folder of the data set.")(command)


def data_place_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--data DATA`, the data set's folder or address."""
    what = "Folder of the data set, or its s3://, gs:// or az:// address."
    return click.option("--data", type=PLACE, required=True, help=what)(command)


def looked_at(data: Path | str) -> Path:
    """The folder that a dry run looks at. Raises click.UsageError for an address."""
    if isinstance(data, str):
        raise click.UsageError("--dry-run looks at a data set in a folder: leave it out for one in object storage.")
    return data.expanduser().resolve()


def dry_run_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--dry-run`, for what would take long."""
    return click.option("--dry-run", is_flag=True, help="Print what would be done and stop.")(command)

"""A progress bar on a terminal for what runs outside Prefect; silence in a pipe."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress_line(name: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that takes how much is done, and of how much."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as bars:
        bar = bars.add_task(name, total=None)

        def show(done: int, total: int) -> None:
            bars.update(bar, completed=done, total=total)

        yield show

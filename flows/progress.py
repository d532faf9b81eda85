"""Progress where people look: bars on a terminal, lines elsewhere; a flow's steps are in Prefect's UI as well."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import cast
from uuid import UUID

from rich import progress as rich
from rich.console import Console

from data_catalog.base.progress_lines import progress_lines

EVERY_S = 10.0  # between two log lines or artifact updates of one step


def terminal_bars(transient: bool = False) -> rich.Progress:
    """Bars on standard error where that is a terminal; `transient` ones are gone when they are done."""
    columns = (
        rich.TextColumn("{task.description:>9}"), rich.BarColumn(), rich.MofNCompleteColumn(), rich.TimeElapsedColumn(),
        rich.TimeRemainingColumn(),
    )  # fmt: skip
    return rich.Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=transient)


@contextmanager
def progress_bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """One bar for what runs outside Prefect: yield a function that takes how much is done, and of how much."""
    with terminal_bars(transient=True) as bars, progress_lines(name) as say:
        bar = bars.add_task(name, total=None)

        def show(done: int, total: int) -> None:
            bars.update(bar, completed=done, total=total)
            say(done, total)

        yield show


class Progress:
    """Steps of a flow run; each counts up to its total."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.seconds: dict[str, float] = {}
        self.bars = terminal_bars()

    def __enter__(self) -> "Progress":
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    @contextmanager
    def step(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        """Yield a function that counts work done; a step without work shows nothing."""
        if not total:
            yield lambda done: None
            return
        done = 0
        with self.growing(name) as show:
            show(0, total)

            def advance(count: int) -> None:
                nonlocal done
                done += count
                show(done, total)

            yield advance

    @contextmanager
    def growing(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """Yield a function that takes how much is done, and of how much, from time to time."""
        from prefect import get_run_logger  # seconds of import; in a flow run it is there already
        from prefect.artifacts import create_progress_artifact, update_progress_artifact

        from flows.server.outlive import show_in_prefect

        about = f"{self.title}: {name}"
        artifact = cast(UUID | None, show_in_prefect(create_progress_artifact, 0.0, description=about))
        bar = self.bars.add_task(name, total=None)
        logger, started = get_run_logger(), time.monotonic()
        first, told = -1, started

        def show(done: int, total: int) -> None:
            nonlocal first, told
            first = done if first < 0 else first  # a run that continues does not begin at 0
            self.bars.update(bar, completed=done, total=total)
            now = time.monotonic()
            if done < total and now - told < EVERY_S:
                return
            told = now
            if artifact is not None:
                show_in_prefect(update_progress_artifact, artifact, 100.0 * done / max(total, 1))
            rate = (done - first) / (now - started)
            left = f"{(total - done) / rate:.0f} s left" if rate else "no rate yet"
            logger.info("%s: %d of %d, %.3g a second, %s", name, done, total, rate, left)

        try:
            with progress_lines(name) as say:

                def tell(done: int, total: int) -> None:
                    say(done, total)
                    show(done, total)

                yield tell
        finally:
            self.seconds[name] = round(time.monotonic() - started, 2)

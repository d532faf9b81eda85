"""Progress in both places where people look: rich bars on a terminal, an artifact in Prefect's UI."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import cast
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

EVERY_S = 10.0  # between two log lines or artifact updates of one step


class Progress:
    """Steps of a flow run; each counts up to its total."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.seconds: dict[str, float] = {}
        self.bars = RichProgress(
            TextColumn("{task.description:>9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True), disable=not sys.stderr.isatty(),
        )  # fmt: skip

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
        artifact = cast(UUID, create_progress_artifact(0.0, description=f"{self.title}: {name}"))
        bar = self.bars.add_task(name, total=None)
        logger, started = get_run_logger(), time.monotonic()
        first, told = -1, started

        def show(done: int, total: int) -> None:
            nonlocal first, told
            first = done if first < 0 else first  # a run that goes on does not begin at 0
            self.bars.update(bar, completed=done, total=total)
            now = time.monotonic()
            if done < total and now - told < EVERY_S:
                return
            told = now
            update_progress_artifact(artifact, 100.0 * done / max(total, 1))
            rate = (done - first) / (now - started)
            left = f"{(total - done) / rate:.0f} s left" if rate else "no rate yet"
            logger.info("%s: %d of %d, %.3g a second, %s", name, done, total, rate, left)

        try:
            yield show
        finally:
            self.seconds[name] = round(time.monotonic() - started, 2)

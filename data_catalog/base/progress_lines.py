"""Progress into a file or a pipe: a line as work gets done, not too often, and one a minute whatever happens."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

EVERY_S = 10.0
"""Between two lines of one step, but for its first and last."""
SILENT_S = 60.0
"""Longest silence of a step."""


@contextmanager
def progress_lines(
    name: str, out: TextIO | None = None, every_s: float = EVERY_S, silent_s: float = SILENT_S
) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that takes how much of a step is done, and of how much. On a terminal, which has bars, nothing
    is written."""
    out = out or sys.stderr
    if out.isatty():
        yield lambda done, total: None
        return
    lines, ended = _Lines(name, out, every_s), threading.Event()

    def beat() -> None:
        while not ended.wait(lines.quiet_for(silent_s)):
            lines.say_unless_heard(silent_s)

    beats = threading.Thread(target=beat, daemon=True, name=f"progress of {name}")
    beats.start()
    try:
        yield lines.show
    finally:
        ended.set()
        beats.join()


class _Lines:
    def __init__(self, name: str, out: TextIO, every_s: float) -> None:
        self.name, self.out, self.every_s = name, out, every_s
        self.began = self.told = time.monotonic()
        self.first = self.done = self.said = -1
        self.total = 0
        self.lock = threading.Lock()

    def show(self, done: int, total: int) -> None:
        with self.lock:
            self.first = done if self.first < 0 else self.first  # what continues does not begin at 0
            self.done, self.total = done, total
            due = self.said < 0 or time.monotonic() - self.told >= self.every_s
            if done != self.said and (due or done >= total):
                self._say()

    def quiet_for(self, silent_s: float) -> float:
        """How long silence may last from now on."""
        with self.lock:
            return max(0.01, self.told + silent_s - time.monotonic())

    def say_unless_heard(self, silent_s: float) -> None:
        with self.lock:
            if time.monotonic() - self.told >= silent_s:
                self._say()

    def _say(self) -> None:
        self.told, self.said = time.monotonic(), self.done
        seconds = self.told - self.began
        counted = f"{self.done} of {self.total}" if self.total else "at work"
        rate = (self.done - self.first) / seconds if seconds >= 1 else 0.0
        left = f", about {(self.total - self.done) / rate:.0f} s left" if rate and self.done < self.total else ""
        after = f" after {seconds:.0f} s" if seconds >= 1 else ""
        print(f"{self.name}: {counted}{after}{left}", file=self.out, flush=True)

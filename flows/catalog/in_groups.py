"""What comes piece by piece, done in groups: a transaction costs as much for one manifest as for hundreds."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

_Item = TypeVar("_Item")
EVERY_S = 1.0
"""How long what came may wait: nobody who looks notices."""


class InGroups(Generic[_Item]):
    """Keeps items until it is time for the group of them."""

    def __init__(self, act: Callable[[list[_Item]], None], every_s: float = EVERY_S) -> None:
        self._act, self._every_s = act, every_s
        self._kept: list[_Item] = []
        self._since = time.monotonic()

    def add(self, items: Iterable[_Item]) -> None:
        """Keep them; act on all that is kept where the last time is long ago."""
        self._kept += items
        if time.monotonic() - self._since >= self._every_s:
            self.flush()

    def flush(self) -> None:
        """Act on all that is kept."""
        kept, self._kept = self._kept, []
        if kept:
            self._act(kept)
        self._since = time.monotonic()


@contextmanager
def in_groups(act: Callable[[list[_Item]], None], every_s: float = EVERY_S) -> Iterator[InGroups[_Item]]:
    """Groups within the block; the last one at its end, but not where an error ends it."""
    groups = InGroups(act, every_s)
    yield groups
    groups.flush()

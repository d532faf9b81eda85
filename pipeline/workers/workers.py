"""What every kind of workers can do, and how batches go through them: as results come, with bounded work in flight.

`local.py` has processes of this machine, `ray_cluster.py` actors of a Ray cluster.
"""

import contextvars
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar, cast

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_Batch = TypeVar("_Batch")
HOSTS_LOST = 5  # that one batch may lose before its sources are suspected
logger = logging.getLogger(__name__)


class WorkerDiedError(Exception):
    """A worker ended while it was at work: killed, out of memory, or crashed by what it read."""


class HostLostError(WorkerDiedError):
    """A worker's host was lost, or the way to it, which says nothing about what the worker had in hand."""


class ClosedError(Exception):
    """The workers were closed while work was in flight."""


class Workers(ABC):
    """Some worker processes, each with one piece of work at a time."""

    count: int
    """How many pieces of work are done at the same time."""

    @abstractmethod
    def run(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """What `work` gives back or raises, in a worker that is or becomes free; callable from any thread.

        Raises:
            WorkerDiedError: the worker ended; another has taken its place.
            LongdanceError: no worker is left.
        """

    @abstractmethod
    def close(self) -> None:
        """End all workers at once: whatever they write is whole or not there. Safe to call twice."""


@dataclass(frozen=True)
class Worked(Generic[_Item, _Result]):
    """What became of a batch."""

    results: list[_Result]
    """One of the batch, or one of each item that was tried alone."""
    killers: list[_Item]
    """Items whose worker died twice."""


def work_through(
    workers: Workers, work: Callable[..., _Result], items: Sequence[_Item], *more: Any
) -> Worked[_Item, _Result]:
    """`work(items, *more)` in a worker; where that dies, each item alone, and what kills its worker again is named.

    Work is repeated, so it must be safe to repeat.
    """
    try:
        return Worked([on_any_host(workers, work, list(items), *more)], [])
    except WorkerDiedError as error:
        logger.warning("A worker died (%s): what it had in hand, %d, is tried again one by one.", error, len(items))
    return one_by_one(workers, work, items, *more)


def one_by_one(
    workers: Workers, work: Callable[..., _Result], items: Sequence[_Item], *more: Any
) -> Worked[_Item, _Result]:
    """`work([item], *more)` of each item; what kills its worker is named."""
    results, killers = [], []
    for item in items:
        try:
            results.append(on_any_host(workers, work, [item], *more))
        except WorkerDiedError as error:
            logger.warning("A worker died again (%s): what it had in hand is left out.", error)
            killers.append(item)
    return Worked(results, killers)


def on_any_host(workers: Workers, work: Callable[..., _Result], *arguments: Any) -> _Result:
    """The work's result, on another host where hosts are lost. Raises WorkerDiedError."""
    for _ in range(HOSTS_LOST):
        try:
            return cast(_Result, workers.run(work, *arguments))
        except HostLostError as error:
            logger.warning("A host was lost (%s): its work is given to another.", error)
    return cast(_Result, workers.run(work, *arguments))


def as_completed(
    call: Callable[[_Batch], _Result], batches: Iterable[_Batch], at_once: int
) -> Iterator[tuple[_Batch, _Result]]:
    """(batch, call(batch)) in order of completion; `at_once` calls run, each in a thread, and as many wait to.

    Batches are taken from their iterable only as calls end. The first error ends it; calls that run then end with
    the workers that they wait for, so close those.
    """
    coming = iter(batches)
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="batch")
    waiting: dict[Future[_Result], _Batch] = {}
    try:
        while True:
            for batch in islice(coming, 2 * at_once - len(waiting)):
                # As a thread's own the context knows the flow that runs here.
                waiting[pool.submit(contextvars.copy_context().run, call, batch)] = batch
            if not waiting:
                return
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield waiting.pop(future), future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)

"""Workers on a Ray cluster: an actor each, on any host, with longdance installed there as it is here."""

import logging
import os
import queue
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import ActorUnavailableError, GetTimeoutError, OutOfMemoryError, RayActorError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from data_catalog.base.errors import LongdanceError
from pipeline.workers.hosts import Facts, SizedPath, difference, facts_here, places, unseen
from pipeline.workers.process import Answer, answer, set_up
from pipeline.workers.workers import ClosedError, HostLostError, WorkerDiedError, Workers

MEMORY = 1 << 30
"""Bytes that Ray sets aside for each worker, which takes up to 0.8 GiB with its ffmpeg (bench/build.py)."""
NODE_DIED = "its node has died"
"""What Ray says of an actor that was lost with its host."""
START_S = 300.0
"""How long a host may take to start its workers, and how long all may be lost before that ends a command."""
RETRY_S = 5.0
logger = logging.getLogger(__name__)


class Worker:
    """One worker process; its life is an actor's."""

    def __init__(self) -> None:
        set_up()

    def about(self) -> tuple[str, Facts]:
        """(host, what is installed there)."""
        return ray.util.get_node_ip_address(), facts_here()

    def unseen(self, wanted: list[SizedPath]) -> tuple[str, str | None]:
        """(host, the first of these places that is not there as it is at the head)."""
        return ray.util.get_node_ip_address(), unseen(wanted)

    def alive(self) -> bool:
        """Say so."""
        return True

    def run(self, work: Callable[..., Any], arguments: tuple[Any, ...]) -> Answer:
        """See `answer`."""
        return answer(work, arguments)


class RayWorkers(Workers):
    """Actors over all hosts that Ray knows of; one that dies is replaced wherever there is room, as soon as there is.

    The cluster is $RAY_ADDRESS's, or the one that was started on this machine, or one of this process alone.
    """

    def __init__(self, count: int, shared: list[Path], gpus: int = 0) -> None:
        """Start them and look at their hosts.

        Args:
            count: How many; 0 for as many as there are cores, and memory and GPUs for.
            shared: Files that every host must see as this one does.
            gpus: How many each has for itself.

        Raises:
            LongdanceError: no cluster answers, or a host has other versions, or does not see the same files.
        """
        self._empty = tempfile.TemporaryDirectory()
        connect(self._empty.name)
        self._gpus = gpus
        room = sum(room_of(node, gpus) for node in ray.nodes() if node["Alive"])
        self.count = min(count or room, room)
        self._free: queue.Queue[ActorHandle[Worker]] = queue.Queue()
        self._closed = threading.Event()
        self._busy, self._counting = 0, threading.Lock()
        try:
            if not self.count:
                what = "GPU beside a CPU" if gpus else "CPU"
                raise LongdanceError(f"The Ray cluster has no {what} with 1 GiB of memory: wait, or add a host.")
            self._check([self._add() for _ in range(self.count)], places(shared))
        except BaseException:
            self.close()
            raise

    def run(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """See `Workers.run`."""
        actor = self._take()
        try:
            done: Answer = ray.get(actor.run.remote(work, arguments))
            self._free.put(actor)
        except (RayActorError, OutOfMemoryError) as error:
            if self._closed.is_set():
                raise ClosedError from error
            ray.kill(actor)
            self._add()
            lost = isinstance(error, ActorUnavailableError) or NODE_DIED in str(error)
            raise (HostLostError if lost else WorkerDiedError)(cause(error)) from error
        finally:
            with self._counting:
                self._busy -= 1
        return done.result()

    def close(self) -> None:
        """See `Workers.close`."""
        if not self._closed.is_set():
            self._closed.set()
            ray.shutdown()
            self._empty.cleanup()

    def _take(self) -> "ActorHandle[Worker]":
        """A free worker; waits while others are at work, and for a while where all are lost."""
        since = time.monotonic()
        while True:
            if self._closed.is_set():
                raise ClosedError
            try:
                actor = self._free.get(timeout=1)
            except queue.Empty:
                if self._busy:
                    since = time.monotonic()
                elif time.monotonic() - since > START_S:
                    raise LongdanceError(
                        f"Every worker of the Ray cluster was lost and none came back for {START_S:.0f} s: see `ray "
                        "status`, then run the same command again."
                    ) from None
                continue
            if self._is_alive(actor):
                with self._counting:
                    self._busy += 1
                return actor

    def _is_alive(self, actor: "ActorHandle[Worker]") -> bool:
        """Whether a worker answers; another takes the place of one that died with nothing in hand, which is no fault of
        what it would have been given."""
        try:
            return ray.get(actor.alive.remote())
        except RayActorError:
            if not self._closed.is_set():
                ray.kill(actor)
                self._add()
            return False

    def _add(self) -> "Future[tuple[str, Facts]]":
        """Ask for a worker, which is free once its host, if it is the same as this one, has started it."""
        options = {"num_cpus": 1, "num_gpus": self._gpus, "memory": MEMORY, "max_restarts": 0}
        actor = ray.remote(Worker).options(**options, scheduling_strategy="SPREAD").remote()
        ready: Future[tuple[str, Facts]] = actor.about.remote().future()

        def begin(told: "Future[tuple[str, Facts]]") -> None:
            if told.exception() is not None:  # its host was lost as it began, or this command ends
                again = threading.Timer(RETRY_S, lambda: self._closed.is_set() or self._add())
                again.daemon = True
                again.start()
                return
            if sentence := difference(*told.result()):
                logger.warning("%s It is left out.", sentence)
            else:
                self._free.put(actor)

        ready.add_done_callback(begin)
        return ready

    def _check(self, ready: "list[Future[tuple[str, Facts]]]", wanted: list[SizedPath]) -> None:
        """Raise LongdanceError for the first host that differs from this one."""
        try:
            for told in ready:
                if sentence := difference(*told.result(START_S)):
                    raise LongdanceError(sentence)
            for actor in list(self._free.queue):
                host, missing = ray.get(actor.unseen.remote(wanted), timeout=START_S)
                if missing:
                    raise LongdanceError(
                        f"Host {host} does not see {missing!r} as this one does: RAW and DATA must lie on storage that "
                        "all hosts share, under the same names."
                    )
        except (TimeoutError, GetTimeoutError, RayError) as error:
            raise LongdanceError(
                f"The Ray cluster did not start its workers ({cause(error)}): see `ray status`."
            ) from error


def ask_hosts(question: Callable[..., Any], *arguments: Any) -> list[tuple[str, Any]]:
    """(host, what a function gives back there) of every host that Ray knows of; a RayError where one cannot say.

    Raises:
        LongdanceError: no cluster answers.
    """
    with tempfile.TemporaryDirectory() as empty:
        connect(empty)
        try:
            ask = ray.remote(num_cpus=0, max_retries=0)(question)
            asked = []
            for node in ray.nodes():
                if node["Alive"]:
                    there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                    answer = ask.options(scheduling_strategy=there).remote(*arguments)
                    asked.append((str(node["NodeManagerAddress"]), answer))
            return [(host, _told(answer)) for host, answer in asked]
        finally:
            ray.shutdown()


def _told(answer: Any) -> Any:
    try:
        return ray.get(answer, timeout=START_S)
    except RayError as error:
        return error


def connect(empty: str) -> None:
    """Join the cluster as its driver. Without a directory of its own Ray puts this one, whatever is in it, first on
    its workers' path."""
    try:
        ray.init(
            address=os.environ.get("RAY_ADDRESS"), runtime_env={"working_dir": empty}, log_to_driver=False,
            logging_level=logging.ERROR, include_dashboard=False,
        )  # fmt: skip
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        raise LongdanceError(f"No Ray cluster can be had ({cause(error)}): see `ray status`.") from error


def room_of(node: dict[str, Any], gpus: int) -> int:
    """Workers that a host has cores, memory and GPUs for."""
    resources = node["Resources"]
    room = min(resources.get("CPU", 0), resources.get("memory", 0) // MEMORY)
    return int(min(room, resources.get("GPU", 0) // gpus) if gpus else room)


def cause(error: BaseException) -> str:
    """What Ray says, in a line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines)[:300] or type(error).__name__

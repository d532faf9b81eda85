"""The processes of one training on the hosts of a Ray cluster, but for the first, which the head starts itself.

An actor on each place starts a process there, with what torch.distributed wants to know in its environment. They work
in step, so one that ends ends all: whoever waits for the first process is told, and ends it.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import ray
from ray.actor import ActorHandle
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from data_catalog.base.errors import LongdanceError
from data_catalog.base.processes import mute_stderr_at_exit
from pipeline.workers.hosts import Facts, SizedPath, difference, facts_here, places, unseen
from pipeline.workers.ranks import HostRoom, placed
from pipeline.workers.ray_cluster import START_S, cause, connect

SEATED_S = 60.0
"""How long a place that is free may take to be given."""
WORDS = 2000
"""Of what a process said last, how many characters are told."""
Prepare = Callable[..., list[str]]
"""What a host does before its process starts; gives back the process's arguments."""


class Seat:
    """One place for a process."""

    def __init__(self) -> None:
        mute_stderr_at_exit()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the head ends its training

    def about(self) -> tuple[str, Facts]:
        """(host, what is installed there)."""
        return ray.util.get_node_ip_address(), facts_here()

    def unseen(self, wanted: list[SizedPath]) -> str | None:
        """The first of these places that is not there as it is at the head."""
        return unseen(wanted)

    def own_environment(self) -> dict[str, str]:
        """What is this place's alone: its GPU, and the network that the cluster's hosts see each other by."""
        names = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
        found = {name: os.environ.get(name) or interface_of(ray.util.get_node_ip_address()) for name in names}
        gpus = os.environ.get("CUDA_VISIBLE_DEVICES")
        return {**found, **({} if gpus is None else {"CUDA_VISIBLE_DEVICES": gpus})}

    def run(self, module: str, prepare: Prepare, arguments: tuple[Any, ...], rank: dict[str, str]) -> tuple[int, str]:
        """Run the process to its end: (exit code, its last words)."""
        with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile("w+") as said:
            try:
                words = prepare(Path(scratch), *arguments)
            except LongdanceError as error:
                return 1, f"Error: {error}"
            environment = {**os.environ, **self.own_environment(), **rank}
            command = [sys.executable, "-m", module, *words]
            done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=said, check=False)
            said.seek(0)
            return done.returncode, said.read()[-WORDS:]


def interface_of(address: str) -> str:
    """The network interface with this address. Raises LongdanceError for one that this host does not have."""
    for name, found in psutil.net_if_addrs().items():
        if any(one.address == address for one in found):
            return name
    raise LongdanceError(f"No network interface of {socket.gethostname()} has the address {address}: see `ray status`.")


class RayRanks:
    """Places for the processes of a training. The head's own is kept, too, so that nobody else is given its GPU."""

    def __init__(self, count: int, gpus: int, shared: Sequence[Path]) -> None:
        """Take the places and look at their hosts.

        Args:
            count: Processes, the first included.
            gpus: Of each process.
            shared: Files that every host must see as this one does.

        Raises:
            LongdanceError: no cluster answers, it has too little room, or a host differs from this one.
        """
        self._empty = tempfile.TemporaryDirectory()
        connect(self._empty.name)
        try:
            head = ray.get_runtime_context().get_node_id()
            self.hosts = placed(
                [_room(node, gpus, head) for node in ray.nodes() if node["Alive"]], head, count, gpus > 0
            )
            self._seats = [_seat(host, gpus, cpus=int(number > 0)) for number, host in enumerate(self.hosts)]
            self._check(places(list(shared)))
            self._first = ray.get(self._seats[0].own_environment.remote(), timeout=START_S)
        except (GetTimeoutError, RayError) as error:
            self.close()
            raise LongdanceError(f"The Ray cluster gave no place ({cause(error)}): see `ray status`.") from error
        except BaseException:
            self.close()
            raise
        self._meet = {"MASTER_ADDR": self.hosts[0].address, "MASTER_PORT": str(_free_port(self.hosts[0].address))}
        self._running: dict[Any, int] = {}

    def _check(self, wanted: list[SizedPath]) -> None:
        for host, seat in zip(self.hosts, self._seats, strict=True):
            try:
                told = ray.get(seat.about.remote(), timeout=SEATED_S)
            except GetTimeoutError:
                raise LongdanceError(
                    f"Host {host.address} is at work for somebody else: wait, or see `ray status`."
                ) from None
            if sentence := difference(*told):
                raise LongdanceError(sentence)
            if missing := ray.get(seat.unseen.remote(wanted), timeout=START_S):
                raise LongdanceError(
                    f"Host {host.address} does not see {missing!r} as this one does: DATA must lie on storage that all "
                    "hosts share, under the same name, or in object storage."
                )

    def environment(self) -> dict[str, str]:
        """What the first process is to be told."""
        return {**self._first, **self._rank(0)}

    def start(self, module: str, prepare: Prepare, *arguments: Any) -> None:
        """Start all processes but the first."""
        for number, seat in enumerate(self._seats[1:], start=1):
            self._running[seat.run.remote(module, prepare, arguments, self._rank(number))] = number

    def fallen(self, wait_s: float, first: bool = False) -> str | None:
        """The sentence for a process that did not end well, or was lost; None where there is none within that time.

        first: only for one that did not end because another had.
        """
        done, _ = ray.wait(list(self._running), num_returns=len(self._running), timeout=wait_s)
        for answer in done:
            host = self.hosts[self._running[answer]].address
            try:
                code, said = ray.get(answer)
            except RayError as error:
                return f"Host {host} was lost ({cause(error)})"
            if code not in (0, 143) and (not first or code < 0 or _sentences(said)):
                return f"The process on host {host} ended with exit code {code}: {_last(said)}"
        return None

    def close(self) -> None:
        """Give the places back; what still runs there ends."""
        ray.shutdown()
        self._empty.cleanup()

    def _rank(self, number: int) -> dict[str, str]:
        one = {"RANK": str(number), "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1", "WORLD_SIZE": str(len(self.hosts))}
        return {**self._meet, **one}


def _room(node: dict[str, Any], gpus: int, head: str) -> HostRoom:
    resources = node["Resources"]
    room = int(resources.get("GPU", 0)) // gpus if gpus else int(resources.get("CPU", 0))
    if node["NodeID"] == head and not gpus:
        room = max(1, room)  # the head's own process needs no core of Ray's
    return HostRoom(node["NodeID"], node["NodeManagerAddress"], room)


def _seat(host: HostRoom, gpus: int, cpus: int) -> "ActorHandle[Seat]":
    there = NodeAffinitySchedulingStrategy(host.node, soft=False)
    options = {"num_cpus": cpus, "num_gpus": gpus, "max_restarts": 0, "scheduling_strategy": there}
    return ray.remote(Seat).options(**options).remote()


def _free_port(address: str) -> int:
    """A port that nobody listens on; another process may take it in between, which ends the training's start."""
    with socket.socket() as door:
        door.bind((address, 0))
        return int(door.getsockname()[1])


def _last(said: str) -> str:
    """The last sentence after `Error: `, or else the last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return (_sentences(said) or lines or ["nothing was said"])[-1]


def _sentences(said: str) -> list[str]:
    """What stands after `Error: `, as click prints it: a process says so itself why it ends."""
    return [line.removeprefix("Error: ").strip() for line in said.splitlines() if line.startswith("Error: ")]

"""Where the processes of one training run: the first on the head, which has the run's folder, the others anywhere."""

from collections.abc import Sequence
from dataclasses import dataclass

from data_catalog.base.errors import LongdanceError


@dataclass(frozen=True)
class HostRoom:
    """A host of the cluster, and how many processes it has room for."""

    node: str
    address: str
    room: int


def placed(hosts: Sequence[HostRoom], head: str, count: int, by_gpu: bool) -> list[HostRoom]:
    """The host of each process, the head's first; the same hosts always give the same.

    GPUs of one host are taken before another's, since they are nearer to each other; on CPUs each host gets one
    before any gets two.

    Raises:
        LongdanceError: there is no room for so many, or none on the head.
    """
    what = "GPU" if by_gpu else "core"
    ordered = sorted(hosts, key=lambda host: (host.node != head, host.address))
    if not ordered or ordered[0].node != head or not ordered[0].room:
        raise LongdanceError(
            f"A training's first process runs on the host that the command is typed on, and Ray knows of no {what} "
            f"there: type it on a host that was started with one (`ray start --head --num-{what.lower()}s 1`)."
            if by_gpu
            else "A training's first process runs on the host that the command is typed on, and that is none of the "
            "Ray cluster's: run `ray start` there first."
        )
    turns = [(host, turn) for host in ordered for turn in range(host.room)]
    if not by_gpu:
        turns.sort(key=lambda place: place[1])
    if len(turns) < count:
        room = ", ".join(f"{host.room} on {host.address}" for host in ordered)
        raise LongdanceError(
            f"The Ray cluster has room for {len(turns)} processes ({what}s: {room}) and --processes is {count}: wait "
            f"for the host that is missing, or go on with fewer in a new run with --fork."
        )
    return [host for host, _ in turns[:count]]

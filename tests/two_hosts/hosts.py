"""Hosts that are network namespaces of this machine, with addresses of their own, and a Ray cluster over them."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
NET = "10.117.0"
GATEWAY = f"{NET}.254"
BRIDGE = "ld-bridge"


@dataclass(frozen=True)
class Host:
    """A network namespace, and a mount namespace if it shares no folder; what it writes lies in a folder of its own."""

    name: str
    address: str
    folder: Path
    keeper: int
    """Id of the process that keeps its namespaces."""
    shares_folders: bool

    def command(self, words: Sequence[str]) -> list[str]:
        """The words as they are run on this host."""
        return ["nsenter", "-t", str(self.keeper), "-n", "-m", "--", *words]

    def run(self, *words: str, env: Mapping[str, str], check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run to its end."""
        done = subprocess.run(
            self.command(words), env=env, cwd="/", capture_output=True, text=True, check=False, timeout=570
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def pids(self, beginning: str = "") -> list[int]:
        """Its processes, or those whose command line begins so, but for the keeper."""
        found = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True, check=True)
        kept = [int(pid) for pid in found.stdout.split() if int(pid) != self.keeper]
        return [pid for pid in kept if _command_line(pid).startswith(beginning)]

    @contextmanager
    def ends(self) -> Iterator[None]:
        """Kill what was started here at the end of the block."""
        try:
            yield
        finally:
            end(self)

    def worked(self) -> bool:
        """Whether Ray started a worker of ours here."""
        words = ["grep", "-rqs", ":actor_name:Worker", str(self.folder / "ray"), "--include=worker-*.out"]
        return subprocess.run(self.command(words), check=False).returncode == 0


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def need_rights() -> None:
    """Skip the test where no network namespace can be made."""
    if shutil.which("ip") is None:
        pytest.skip("needs iproute2's ip")
    try:
        _ip("netns", "add", "ld-probe")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"needs the right to make network namespaces ({error.stderr.strip()})")
    _ip("netns", "delete", "ld-probe")


def _remove_leftovers(count: int) -> None:
    """What a test that was killed left."""
    for number in range(count):
        found = subprocess.run(["ip", "netns", "pids", f"ld-h{number}"], capture_output=True, text=True, check=False)
        for pid in found.stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        subprocess.run(["ip", "netns", "delete", f"ld-h{number}"], capture_output=True, check=False)
        subprocess.run(["ip", "link", "delete", f"ld-v{number}"], capture_output=True, check=False)
    subprocess.run(["ip", "link", "delete", BRIDGE], capture_output=True, check=False)


@contextmanager
def hosts(count: int = 2, share_folders: bool = True) -> Iterator[list[Host]]:
    """Hosts on one bridge, which has GATEWAY's address; they see each other, and nothing else.

    Without `share_folders` each has a /tmp of its own.
    """
    need_rights()
    _remove_leftovers(count)
    with ExitStack() as undo:
        _ip("link", "add", BRIDGE, "type", "bridge")
        undo.callback(_ip, "link", "delete", BRIDGE)
        _ip("addr", "add", f"{GATEWAY}/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        made = []
        for number in range(count):
            name, address = f"ld-h{number}", f"{NET}.{number + 1}"
            _ip("netns", "add", name)
            undo.callback(_ip, "netns", "delete", name)
            _ip("link", "add", f"ld-v{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", f"ld-v{number}", "master", BRIDGE, "up")
            _ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")
            made.append(Host(name, address, *undo.enter_context(_kept(name, share_folders)), share_folders))
        yield made


@contextmanager
def _kept(name: str, share_folders: bool) -> Iterator[tuple[Path, int]]:
    """(folder of a host, id of a process that keeps its namespaces)."""
    with tempfile.TemporaryDirectory(prefix="ld") as folder:  # a short name: sockets lie in it
        own = "" if share_folders else "mount -t tmpfs ld /tmp && "
        script = f"{own}mkdir -p {folder} && echo ready && exec sleep infinity"
        words = ["ip", "netns", "exec", name, "unshare", "--mount", "--propagation", "private", "sh", "-c", script]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as keeper:
            assert keeper.stdout is not None
            assert keeper.stdout.readline() == "ready\n"
            try:
                yield Path(folder), keeper.pid
            finally:
                keeper.kill()


def environment(host: Host, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a process on a host is given: one Ray without passwords, this code, no Prefect but its own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "RAY_"))}
    own = {
        "PYTHONPATH": str(ROOT), "PATH": f"{BIN}:{os.environ['PATH']}", "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1", "PREFECT_HOME": str(host.folder / "prefect"),
    }  # fmt: skip
    home = {} if host.shares_folders else {"HOME": str(host.folder), "XDG_CACHE_HOME": str(host.folder / "cache")}
    return {**clean, **own, **home, **(more or {})}


@contextmanager
def cluster(over: Sequence[Host], more: Mapping[str, str] | None = None) -> Iterator[str]:
    """Ray on every host, the first is the head; yields its address. All that it started ends with it."""
    address = f"{over[0].address}:6379"
    with ExitStack() as undo:
        for host in over:
            undo.callback(end, host)
            start_ray(host, None if host is over[0] else address, more)
        yield address


def start_ray(host: Host, address: str | None, more: Mapping[str, str] | None = None) -> None:
    """`ray start` on a host, with room for one worker: as the head, or to join a cluster."""
    role = ["--address", address] if address else ["--head", "--port", "6379", "--include-dashboard", "false"]
    limits = ["--num-cpus", "1", "--memory", str(2 << 30), "--object-store-memory", "100000000"]
    own = ["--node-ip-address", host.address, "--temp-dir", str(host.folder / "ray"), "--disable-usage-stats"]
    host.run(str(BIN / "ray"), "start", *role, *limits, *own, env=environment(host, more))


def end(host: Host) -> None:
    """Kill every process of a host but its keeper."""
    for pid in host.pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

"""Hosts that are network namespaces of this machine, with addresses of their own, and a Ray cluster over them."""

import os
import shutil
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
BRIDGE = "ld-bridge"


@dataclass(frozen=True)
class Host:
    """A namespace, by its name and address; what Ray writes lies in a folder of its own."""

    name: str
    address: str
    folder: Path

    def command(self, words: Sequence[str]) -> list[str]:
        """The words as they are run on this host."""
        return ["ip", "netns", "exec", self.name, *words]

    def run(self, *words: str, env: Mapping[str, str], check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run to its end."""
        done = subprocess.run(
            self.command(words), env=env, cwd=self.folder, capture_output=True, text=True, check=False, timeout=570
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done


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


@contextmanager
def hosts(count: int = 2) -> Iterator[list[Host]]:
    """Hosts on one bridge; they see each other, and nothing else."""
    need_rights()
    with ExitStack() as undo:
        _ip("link", "add", BRIDGE, "type", "bridge")
        undo.callback(_ip, "link", "delete", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        made = []
        for number in range(count):
            folder = undo.enter_context(tempfile.TemporaryDirectory(prefix="ld"))  # short: sockets lie in it
            host = Host(f"ld-h{number}", f"{NET}.{number + 1}", Path(folder))
            _ip("netns", "add", host.name)
            undo.callback(_ip, "netns", "delete", host.name)
            _ip("link", "add", f"ld-v{number}", "type", "veth", "peer", "name", "eth0", "netns", host.name)
            _ip("link", "set", f"ld-v{number}", "master", BRIDGE, "up")
            _ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", "eth0")
            _ip("-n", host.name, "link", "set", "eth0", "up")
            _ip("-n", host.name, "link", "set", "lo", "up")
            made.append(host)
        yield made


def environment(host: Host, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a process on a host is given: one Ray without passwords, this code, no Prefect but its own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "RAY_"))}
    own = {
        "PYTHONPATH": str(ROOT), "PATH": f"{BIN}:{os.environ['PATH']}", "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1", "PREFECT_HOME": str(host.folder / "prefect"),
    }  # fmt: skip
    return {**clean, **own, **(more or {})}


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
    """Kill every process of a host's namespace."""
    found = subprocess.run(["ip", "netns", "pids", host.name], capture_output=True, text=True, check=True)
    for pid in found.stdout.split():
        subprocess.run(["kill", "-9", pid], check=False, capture_output=True)

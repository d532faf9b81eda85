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

from data_catalog.base.locks import in_turn
from data_catalog.base.store import Store
from pipeline.analysis.editing.text_model import text_model_path
from pipeline.analysis.hands.hand_model import hand_model_path
from pipeline.analysis.pose_model import pose_model_path
from pipeline.synthetic.synth import SynthVideo, write_video
from tests.object_store import environment as s3_environment
from tests.object_store import make_bucket

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

    def pids(self, beginning: str = "", part: str = "") -> list[int]:
        """Its processes whose command line begins so and has that in it, but for the keeper."""
        found = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True, check=True)
        lines = {int(pid): _command_line(int(pid)) for pid in found.stdout.split() if int(pid) != self.keeper}
        return [pid for pid, line in lines.items() if line.startswith(beginning) and part in line]

    def sees(self, path: Path) -> Path:
        """Where this process finds what the host sees as `path`."""
        return Path(f"/proc/{self.keeper}/root") / path.relative_to("/")

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
    probe = f"ld-probe{os.getpid()}"  # tests run side by side
    try:
        _ip("netns", "add", probe)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"needs the right to make network namespaces ({error.stderr.strip()})")
    _ip("netns", "delete", probe)


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

    Without `share_folders` each has a /tmp of its own. A machine has one such bridge at a time: tests that run side by
    side wait for each other.
    """
    need_rights()
    with ExitStack() as undo:
        undo.enter_context(in_turn(Path(tempfile.gettempdir()) / f"{BRIDGE}.lock"))
        _remove_leftovers(count)
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


def clean_environment() -> dict[str, str]:
    """What a process here is given that makes alone what hosts make together."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "RAY_"))}
    return clean | {"OMP_NUM_THREADS": "1"}


def environment(host: Host, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a process on a host is given: one Ray without passwords, this code, no Prefect but its own."""
    own = {
        "PYTHONPATH": str(ROOT), "PATH": f"{BIN}:{os.environ['PATH']}", "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0", "PREFECT_HOME": str(host.folder / "prefect"),
    }  # fmt: skip
    home = {} if host.shares_folders else {"HOME": str(host.folder), "XDG_CACHE_HOME": str(host.folder / "cache")}
    return {**clean_environment(), **own, **home, **(more or {})}


def on_cluster(head: Host, address: str, more: Mapping[str, str]) -> dict[str, str]:
    """The same for a command that has a cluster do its work."""
    return environment(head, {**more, "LONGDANCE_RUNNER": "ray", "RAY_ADDRESS": address})


def models() -> dict[str, str]:
    """Where they lie: hosts have homes of their own, and see no package index."""
    found = {"POSE": pose_model_path(), "TEXT": text_model_path(), "HAND": hand_model_path()}
    return {f"LONGDANCE_{name}_MODEL": str(path) for name, path in found.items()}


def draw_videos(raw: Path, seeds: Sequence[int], frames: int) -> Path:
    """A folder of drawn videos, with a quote in their names."""
    raw.mkdir()
    for seed in seeds:
        spec = SynthVideo(name=f"q'{seed}", seed=seed, width=360, height=360, fps="25", frames=frames, standing=0.5)
        write_video(spec, raw)
    return raw


def fill_buckets(s3: str, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Buckets `raw`, with the videos below `in`, and `data`; this process may ask for both from now on."""
    for name, value in s3_environment(s3).items():
        monkeypatch.setenv(name, value)
    make_bucket(s3, "raw")
    make_bucket(s3, "data")
    for video in raw.glob("*.mp4"):
        assert Store("s3://raw").create(f"in/{video.name}", video)


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


def kill(host: Host, beginning: str = "", part: str = "") -> None:
    """kill -9 of processes whose command lines begin so and have that in them."""
    for pid in host.pids(beginning, part):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def end(host: Host) -> None:
    """Kill every process of a host but its keeper."""
    kill(host)


def written_with(host: Host, words: Sequence[str]) -> list[str]:
    """What was written on a host that shares no folder, Ray's and Prefect's logs and all, with one of the words in
    it: path and word."""
    found = []
    for path in host.sees(Path("/tmp")).rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            found += [f"{path} {word}" for word in words if word.encode() in content]
    return found

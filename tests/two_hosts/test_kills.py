"""Whatever is killed, and whenever, the same command ends with the same shards: workers, in the middle of a put, too,
raylets, hosts, the head's command, the link between the hosts; and the store fails a tenth of its requests.

    LONGDANCE_KILLS=20 LONGDANCE_SEED=1 python -m pytest -m soak tests/two_hosts/test_kills.py -s
"""

import io
import json
import os
import random
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from data_catalog.base.files import is_sealed
from data_catalog.base.lease import KEY
from data_catalog.base.store import Store
from tests.object_store import environment as s3_environment
from tests.object_store import failing_before, s3_server
from tests.two_hosts.hosts import (
    GATEWAY,
    Host,
    clean_environment,
    cluster,
    draw_videos,
    end,
    fill_buckets,
    hosts,
    kill,
    models,
    need_rights,
    on_cluster,
    start_ray,
)
from tests.two_hosts.test_object_storage import build

ray = pytest.importorskip("ray")
pytest.importorskip("obstore")

KINDS = ("worker", "put", "raylet", "host", "command", "link")
KILLS = int(os.environ.get("LONGDANCE_KILLS", len(KINDS)))
SEED = int(os.environ.get("LONGDANCE_SEED", "0"))
RAYLET = str(Path(ray.__file__).parent / "core" / "src" / "ray" / "raylet" / "raylet")
DEADLY = ("worker", "put", "raylet", "host")
CUT_S, CALM_S = 20, 60
"""Seconds that the link is cut; and for which no other worker is killed: a source that loses two is rightly
left out, and in this time it is done."""
LONGEST_S = 1200


class Ruin:
    """Two hosts, a command on the first, and what befalls them."""

    def __init__(self, both: list[Host], address: str, more: dict[str, str]) -> None:
        self.both, self.address, self.more = both, address, more
        self.draw, self.done = random.Random(SEED), list[str]()
        self.todo = [KINDS[number % len(KINDS)] for number in range(KILLS)]
        self.draw.shuffle(self.todo)
        self.armed, self.calm_until = threading.Event(), 0.0

    def on_request(self, command: str, path: str) -> None:
        """Kill every worker of the second host whose object has arrived and is not put yet."""
        if self.armed.is_set() and command == "PUT" and any(part in path for part in ("/clips/", "/shards/")):
            self.armed.clear()
            self.calm_until = time.monotonic() + CALM_S
            kill(self.both[1], "ray::Worker")
            kill(self.both[0], "ray::Worker")

    def strike(self, running: subprocess.Popen[bytes]) -> None:
        """The next one that may be."""
        calm = self.armed.is_set() or time.monotonic() < self.calm_until
        may = [kind for kind in self.todo if not (calm and kind in DEADLY)]
        if not may:
            return
        kind = may[-1]
        self.todo.remove(kind)
        self.done.append(kind)
        if kind in DEADLY:
            self.calm_until = time.monotonic() + CALM_S
        if kind == "worker":
            kill(self.draw.choice(self.both), "ray::Worker")
        elif kind == "put":
            self.armed.set()
        elif kind in ("host", "raylet"):
            kill(self.both[1], "" if kind == "host" else RAYLET)
            time.sleep(3)
            end(self.both[1])  # what a raylet alone has left
            start_ray(self.both[1], self.address, self.more)
        elif kind == "link":
            with _cut(1):
                time.sleep(CUT_S)
        else:
            kill(self.both[0], part="flows.cli")
            running.wait(timeout=60)
            self.armed.clear()
            self.calm_until = 0.0  # the next command knows of no death


@contextmanager
def _cut(number: int) -> Iterator[None]:
    """Within the block a host reaches nobody."""
    link = f"ld-v{number}"
    subprocess.run(["ip", "link", "set", link, "down"], check=True)
    try:
        yield
    finally:
        subprocess.run(["ip", "link", "set", link, "up"], check=True)


def run_through(ruin: Ruin, command: list[str], env: dict[str, str], said: Path) -> None:
    """The same command again and again, until it ends well."""
    deadline = time.monotonic() + LONGEST_S
    while time.monotonic() < deadline:
        with said.open("ab") as file, subprocess.Popen(command, env=env, stderr=file, stdout=file, cwd="/") as running:
            while running.poll() is None:
                assert time.monotonic() < deadline, said.read_text()[-3000:]
                time.sleep(ruin.draw.uniform(5, 20))
                if ruin.todo and running.poll() is None:
                    ruin.strike(running)
        if running.returncode == 0:
            return
        assert running.returncode in (2, -signal.SIGKILL, 128 + signal.SIGKILL), said.read_text()[-3000:]
    raise AssertionError(said.read_text()[-3000:])


def half_written(made: Mapping[str, bytes]) -> list[str]:
    """Objects that are not what a build puts: a record that does not parse or is altered, an analysis that cannot be
    read, one without the other, or a name that is nobody's."""
    broken = []
    for key, body in made.items():
        try:
            if key.endswith(".json"):
                record = json.loads(body)
                assert is_sealed(record) or "seal" not in record
            elif key.endswith(".npz"):
                assert all(len(array.tobytes()) >= 0 for array in np.load(io.BytesIO(body)).values())
                assert f"{key[:-4]}.json" in made
            else:
                assert key in ("catalog.duckdb", "contact_sheet.jpg") or f"{key[:-4]}.json" in made
        except Exception as error:  # whatever a library says about damaged bytes
            broken.append(f"{key}: {type(error).__name__} {error}")
    return broken


def unfinished_puts(server: str, bucket: str) -> int:
    """Objects of which a part was put."""
    with urllib.request.urlopen(f"{server}/{bucket}?uploads", timeout=30) as answer:
        return answer.read().count(b"<Upload>")


@pytest.mark.soak
def test_the_same_command_ends_with_the_same_shards_whatever_is_killed(tmp_path, monkeypatch):
    need_rights()
    raw, alone = tmp_path / "raw", tmp_path / "alone"
    draw_videos(raw, (12, 14, 15, 16), 55)
    command, local = build(str(raw), str(alone)), clean_environment()
    subprocess.run(command, env=local, check=True, capture_output=True, timeout=900)
    expected = {path.name: path.read_bytes() for path in (alone / "shards").iterdir()}
    ruined: list[Ruin] = []

    def before(command: str, path: str) -> None:
        for ruin in ruined:
            ruin.on_request(command, path)

    with hosts(share_folders=False) as both, s3_server(GATEWAY) as s3:
        fill_buckets(s3, raw, monkeypatch)
        with failing_before(s3, 0.1, GATEWAY, SEED, before=before) as (flaky, failed):
            more = {**s3_environment(flaky), **models()}
            with cluster(both, more) as address:
                env = on_cluster(both[0], address, more)
                ruin, number = Ruin(both, address, more), 0
                ruined.append(ruin)
                while ruin.todo:
                    data = Store(f"s3://data/set{number}")
                    number += 1
                    run_through(ruin, both[0].command(build("s3://raw/in", data.url)), env, tmp_path / "said")
                    made = {info.key: data.read(info.key)[0] for info in data.listed()}
                    shards = {Path(key).name: body for key, body in made.items() if key.startswith("shards/")}
                    assert shards == expected
                    assert KEY not in made
                    assert half_written(made) == []
                    assert unfinished_puts(s3, "data") == 0
                    print(f"build {number}: the same; {', '.join(ruin.done)}; {failed[0]} requests failed", flush=True)
    assert "Traceback" not in (tmp_path / "said").read_text()

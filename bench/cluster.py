"""A cluster and its store on one machine: what the head, the queue and the requests cost. No worker computes.

    python bench/cluster.py                     # minutes
    python bench/cluster.py --sources 20000     # where time is short

1. Hosts of eight workers take as many seconds for a source as were recorded on average, and fetch it over a simulated
   line: latency, bandwidth of a host, and requests that fail and are made again. The head is the real one: the queue,
   and each source's manifest merged into a catalog as it comes. Efficiency is the workers' seconds over all the seconds
   that they were there.
2. The head alone: manifests merged a second, its memory on the way to all sources, and what their names take.
3. Requests of a real build from a bucket into one (moto's server), by kind, for each clip, and what they would cost.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from data_catalog.base.files import canonical_json, read_json, sealed
from data_catalog.base.paths import DataFolder
from data_catalog.base.store import Store
from data_catalog.connection import open_catalog
from flows.catalog import manifests
from flows.catalog.in_groups import in_groups
from flows.catalog.path_rows import record_paths
from pipeline.analysis.pose_model import pose_model_path
from pipeline.batches.jobs import batches
from pipeline.batches.prepare_sources import BuildKeys, build_keys
from pipeline.batches.sources import SourceFile
from pipeline.workers.workers import Workers, as_completed, work_through
from tests.drawn import DRAWN, build_drawn, draw_raw
from tests.object_store import environment, failing_before, make_bucket, s3_server

RECORDED_S = (3.4, 3.9, 4.1, 3.6, 5.2, 2.9, 4.4, 6.1, 3.2, 3.1)
"""Seconds of `prepare` for a source: their sum is recorded (bench/results/build.txt, 39.9 s for ten), their spread is
assumed."""
SOURCE_BYTES = 40_000_000
"""Of a source of those seconds at a phone's bit rate."""
WORKERS = 8
"""Of a host."""
EFFICIENCY, MERGES = 0.9, 200
"""What must hold."""
GROUP = 200
"""Manifests that the head merges at a time where so many come in a second."""
DOLLARS = {"GET": 0.4e-6, "HEAD": 0.4e-6, "PUT": 5e-6, "POST": 5e-6, "DELETE": 0.0}
"""For a request, as S3's price list has it; listing is a GET that costs what a PUT does."""
Source = tuple[str, bytes, int]


class Line:
    """A host's line to the store: requests wait for each other's bytes; some fail, and are made again."""

    def __init__(self, latency_s: float, bytes_a_second: float, failing: float, seed: int) -> None:
        self.latency_s, self.rate, self.failing = latency_s, bytes_a_second, failing
        self._draw, self._lock, self._free_at = random.Random(seed), threading.Lock(), 0.0
        self.requests = 0

    def seconds(self, size: int, now: float) -> float:
        """How long a request takes that begins now."""
        with self._lock:
            waits, pause = 0.0, 0.1
            self.requests += 1
            while self._draw.random() < self.failing:
                waits, pause = waits + self.latency_s + pause, 2 * pause
                self.requests += 1
            begin = max(now + waits, self._free_at)
            self._free_at = begin + size / self.rate
            return self.latency_s + self._free_at - now


class SimulatedHosts(Workers):
    """Workers that sleep for as long as a source took, `scale` times as fast."""

    def __init__(self, hosts: int, scale: float, write: Callable[[str], None]) -> None:
        self.count, self.scale, self.write = hosts * WORKERS, scale, write
        self.lines = [Line(0.03, 125e6, 0.1, seed) for seed in range(hosts)]
        self._free = list(range(self.count))
        self._lock, self.busy_s = threading.Lock(), 0.0

    def run(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """See `Workers.run`."""
        with self._lock:
            worker = self._free.pop()
        try:
            return [self._prepare(source, worker) for source in arguments[0]]
        finally:
            with self._lock:
                self._free.append(worker)

    def _prepare(self, source: Source, worker: int) -> str:
        number = int(source[0][:8], 16)
        now = time.monotonic() * self.scale
        taken = RECORDED_S[number % len(RECORDED_S)] + self.lines[worker // WORKERS].seconds(SOURCE_BYTES, now)
        time.sleep(taken / self.scale)
        with self._lock:
            self.busy_s += taken
        self.write(source[0])
        return source[0]

    def close(self) -> None:
        """Nothing runs."""


class Manifests:
    """Clip manifests of simulated sources: a real one, under other ids."""

    def __init__(self, folder: Path) -> None:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as own:  # the head has no mediapipe in memory
            real = DataFolder(own.submit(_build, folder).result())
        self.names: BuildKeys = build_keys(DRAWN)
        [path] = real.clip_set(self.names.clip_set).glob("*.json")
        self._text = json.dumps(read_json(path))
        self._source = path.stem
        self.clips = [clip["clip_id"] for clip in read_json(path)["clips"]]

    def write(self, data: DataFolder, source_id: str) -> None:
        """The manifest of a source."""
        text = self._text.replace(self._source, source_id)
        for number, clip in enumerate(self.clips):
            text = text.replace(clip, f"{source_id[:28]}{number:04x}")
        path = data.clips(source_id, self.names.clip_set)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(canonical_json(sealed(json.loads(text))))  # without a sync, which another host's disk does


def _build(folder: Path) -> Path:
    """A real data set of one source."""
    return build_drawn(draw_raw(folder / "raw", [1], 60), folder / "real", pose_model_path()).root


def sources(first: int, stop: int) -> list[Source]:
    """Those of these numbers."""
    return [(f"{number:08x}" * 8, b"s3://raw/%d.mp4" % number, SOURCE_BYTES) for number in range(first, stop)]


def efficiency(hosts: int, made: Manifests, folder: Path, scale: float, each: int) -> float:
    """Busy seconds over all seconds of a build's `prepare` on so many hosts, `each` sources for a worker."""
    data = DataFolder(folder)
    workers = SimulatedHosts(hosts, scale, lambda source: made.write(data, source))
    todo = batches(sources(0, hosts * WORKERS * each), workers.count)
    with open_catalog(data.catalog):
        pass
    begin = time.monotonic()

    def merged(found: list[tuple[str, bytes, int]]) -> None:
        manifests.merge_prepared(data, found, made.names)

    with in_groups(merged) as groups:
        for batch, _ in as_completed(lambda batch: work_through(workers, len, batch), todo, workers.count):
            groups.add(batch)
    taken = (time.monotonic() - begin) * scale
    return workers.busy_s / (taken * workers.count)


def head_alone(made: Manifests, folder: Path, count: int) -> Iterator[tuple[int, float, float]]:
    """(sources merged, manifests merged a second since the last line, MiB of this process)."""
    data, process = DataFolder(folder), psutil.Process()
    with open_catalog(data.catalog):
        pass
    taken, merged, since = 0.0, 0, 0
    for start in range(0, count, GROUP):
        batch = sources(start, min(start + GROUP, count))
        for source_id, *_ in batch:
            made.write(data, source_id)
        begin = time.perf_counter()
        manifests.merge_prepared(data, batch, made.names)
        taken += time.perf_counter() - begin
        merged += len(batch)
        for source_id, *_ in batch:
            data.clips(source_id, made.names.clip_set).unlink()
        if merged - since >= count / 10 or merged == count:
            yield merged, (merged - since) / taken, process.memory_info().rss / 2**20
            taken, since = 0.0, merged


def names_of(folder: Path, count: int) -> None:
    """Print what it costs the head to know so many files and their names, and to put them on record."""
    data, process = DataFolder(folder), psutil.Process()
    with open_catalog(data.catalog):
        pass

    def grown() -> float:
        return (process.memory_info().rss - before) / 2**20

    before, begin = process.memory_info().rss, time.perf_counter()
    names = (b"s3://raw/some/folder/video-%08d.mp4" % number for number in range(count))
    files = [SourceFile(name, SOURCE_BYTES, 10**18 + number, number, True) for number, name in enumerate(names)]
    ids = {file.path: f"{file.inode:08x}" * 8 for file in files}
    listed = grown()
    record_paths(
        data,
        (
            {"path": f.path, "source_id": ids[f.path], "size": f.size, "mtime_ns": f.mtime_ns, "inode": f.inode}
            for f in files
        ),
    )
    seconds, recorded = time.perf_counter() - begin, grown() - listed
    print(f"names of {count} files: {seconds:.1f} s, {listed:.0f} MiB with ids, {recorded:.0f} MiB to record them")


def requests_of_a_build(folder: Path, videos: int) -> None:
    """Print the requests of a real build, and what they cost."""
    counts: Counter[str] = Counter()
    with s3_server() as real, failing_before(real, 0.0, seen=counts) as (address, _):
        os.environ.update(environment(address))
        for name in ("raw", "data"):
            make_bucket(address, name)
        for path in draw_raw(folder / "raw", range(videos), 90).iterdir():
            Store("s3://raw").create(path.name, path)
        counts.clear()
        settings = ["--frames", "25", "--set", "crop.shape=64x128", "--set", "analysis.proxy_px=256", "--variants", "1"]
        command = [sys.executable, "-m", "flows.cli", "build", "s3://raw", "--data", "s3://data/set", *settings]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"XDG_CACHE_HOME": str(folder)})
        assert done.returncode == 0, done.stderr[-2000:]
    clips = int(done.stdout.split(" clips=")[1].split(",")[0].split()[0])
    by_kind = ", ".join(f"{counts[kind]} {kind}" for kind in sorted(counts))
    print(f"a build of {videos} sources, {clips} clips: requests {by_kind}")
    dollars = sum(count * DOLLARS.get(kind, DOLLARS["PUT"]) for kind, count in counts.items())
    print(f"  {sum(counts.values()) / clips:.1f} requests a clip, {1e6 * dollars / clips:.0f} dollars a million clips")


def main() -> int:
    """Print what is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, default=100_000)
    parser.add_argument("--scale", type=float, default=10, help="times as fast as recorded, which loads the head more")
    parser.add_argument("--each", type=int, default=40, help="sources for each simulated worker")
    parser.add_argument("--videos", type=int, default=6, help="sources of the build whose requests are counted")
    options = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} before", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = Manifests(folder)
        low = [efficient(hosts, made, folder / f"hosts{hosts}", options) for hosts in (1, 2, 4, 8)]
        rates, memory = [], []
        for merged, rate, mib in head_alone(made, folder / "head", options.sources):
            print(f"head: {merged:7} sources, {rate:6.0f} manifests merged a second, {mib:5.0f} MiB", flush=True)
            rates.append(rate)
            memory.append(mib)
        print(f"  memory at the end over that at a tenth: {memory[-1] / memory[0]:.2f}x")
        for count in (options.sources // 10, options.sources):
            names_of(folder / f"names{count}", count)
        requests_of_a_build(folder / "build", options.videos)
    print(f"load {os.getloadavg()[0]:.1f} after")
    return int(min(low) < EFFICIENCY or min(rates) < MERGES)


def efficient(hosts: int, made: Manifests, folder: Path, options: argparse.Namespace) -> float:
    """Print and return the efficiency of so many hosts."""
    share = efficiency(hosts, made, folder, options.scale, options.each)
    print(f"{hosts} hosts of {WORKERS} workers: efficiency {share:.3f}", flush=True)
    return share


if __name__ == "__main__":
    sys.exit(main())

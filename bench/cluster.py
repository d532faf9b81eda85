"""A build's head on a simulated cluster: how evenly it keeps hosts busy, how fast it merges, what memory it takes.

    python bench/cluster.py                  # 1, 2, 4 and 8 hosts of 8 workers; memory at 10,000 and 100,000 sources

First a few drawn videos are prepared here for real: how long each takes, and what its manifest says, is what the
simulated workers then do, a twentieth as long. Batches, workers' threads, manifests and catalog are the build's own;
Prefect, which never sees more than 400 tasks, and the network are not in it.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from data_catalog.base.files import read_json, write_sealed
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from flows.catalog.manifests import merge_prepared
from pipeline.analysis.pose import pose_finder
from pipeline.analysis.pose_model import pose_model_path
from pipeline.batches.jobs import batches
from pipeline.batches.prepare_sources import build_keys, prepare_source
from pipeline.batches.sources import hash_source, require_videos
from pipeline.config import BuildConfig
from pipeline.synthetic.synth import SynthVideo, write_video
from pipeline.workers.workers import Workers, as_completed

PER_HOST, FASTER, SECONDS = 8, 20, 20.0
EFFICIENCY_LIMIT, MERGE_LIMIT, GROWTH_LIMIT_KB = 0.9, 200.0, 4.0
CONFIG = BuildConfig()
NAMES = build_keys(CONFIG)
Source = tuple[str, bytes, int]


class Simulated(Workers):
    """Workers that are busy for as long as a batch would take them."""

    def __init__(self, count: int) -> None:
        self.count = count

    def run(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """See `Workers.run`."""
        time.sleep(sum(arguments[0]))

    def close(self) -> None:
        """Nothing runs."""


def recorded(folder: Path) -> tuple[list[float], list[dict[str, Any]]]:
    """(seconds, manifests) of drawn videos of 3 to 8 s that are prepared on this machine."""
    (folder / "raw").mkdir()
    for number, seconds in enumerate((3, 5, 8)):
        size = {"width": 360, "height": 640, "fps": "30", "standing": 0.5}
        write_video(SynthVideo(name=f"{seconds}", seed=number, frames=30 * seconds, **size), folder / "raw")
    data, took, manifests = DataFolder(folder / "data"), [], []
    with pose_finder(pose_model_path(), CONFIG.analysis.max_people, CONFIG.analysis.min_pose_confidence) as finder:
        for file in require_videos(folder / "raw"):
            begin, source_id = time.perf_counter(), hash_source(file)
            prepare_source(data, source_id, file.path, CONFIG, finder)
            took.append(time.perf_counter() - begin)
            manifests.append(read_json(data.clips(source_id, NAMES.clip_set)))
    return took, manifests


def simulated_sources(data: DataFolder, manifests: list[dict[str, Any]], count: int) -> list[Source]:
    """Sources whose manifests lie in a data set, as their workers would have put them."""
    found = []
    for number in range(count):
        source_id = f"{number:064x}"
        copy = json.loads(json.dumps(manifests[number % len(manifests)]).replace(
            manifests[number % len(manifests)]["source_id"], source_id
        ))  # fmt: skip
        for place, clip in enumerate(copy["clips"]):
            clip["clip_id"] = f"{source_id[-16:]}-{place}"
        write_sealed(data.clips(source_id, NAMES.clip_set), copy)
        found.append((source_id, b"/raw/%d.mp4" % number, 1))
    return found


def efficiency(hosts: int, took: list[float], manifests: list[dict[str, Any]], folder: Path) -> tuple[float, float]:
    """(share of the workers' time that is work, manifests merged a second) of a build's first step."""
    workers = Simulated(hosts * PER_HOST)
    count = round(workers.count * SECONDS * FASTER * len(took) / sum(took))
    data, draw = DataFolder(folder / f"{hosts}"), random.Random(hosts)
    sources = simulated_sources(data, manifests, count)
    busy = {source_id: draw.choice(took) / FASTER for source_id, *_ in sources}
    with open_catalog(data.catalog):
        pass
    merging, begin = 0.0, time.perf_counter()

    def call(batch: list[Source]) -> None:
        workers.run(time.sleep, [busy[source_id] for source_id, *_ in batch])

    for batch, _ in as_completed(call, batches(sources, workers.count), workers.count):
        merge_begin = time.perf_counter()
        merge_prepared(data, batch, NAMES)
        merging += time.perf_counter() - merge_begin
    wall = time.perf_counter() - begin
    return sum(busy.values()) / (workers.count * wall), count / merging


def memory(count: int) -> None:
    """Print the peak MB of a process that gives out so many sources and takes back what comes of them."""
    workers = Simulated(64)
    sources = [(f"{number:064x}", b"/raw/a folder/%d.mp4" % number, number) for number in range(count)]
    for _ in as_completed(lambda batch: workers.run(time.sleep, [0.0]), batches(sources, 64), workers.count):
        pass
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def peak_mb(count: int) -> float:
    """`memory` in a process of its own."""
    command = [sys.executable, __file__, "--memory", str(count)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--memory", type=int)
    given = parser.parse_args()
    if given.memory is not None:
        memory(given.memory)
        return 0
    broken = False
    with tempfile.TemporaryDirectory() as place:
        took, manifests = recorded(Path(place))
        clips = sum(len(manifest["clips"]) for manifest in manifests)
        print(f"{'recorded':<12}{len(took)} sources, {clips} clips, {min(took):.1f} to {max(took):.1f} s each")
        for hosts in (1, 2, 4, 8):
            share, rate = efficiency(hosts, took, manifests, Path(place))
            print(f"{f'{hosts} hosts':<12}efficiency {share:.3f} of {EFFICIENCY_LIMIT}, {rate:.0f} manifests merged a "
                  f"second of {MERGE_LIMIT:.0f}", flush=True)  # fmt: skip
            broken = broken or share < EFFICIENCY_LIMIT or rate < MERGE_LIMIT
    few, many = peak_mb(10_000), peak_mb(100_000)
    growth = (many - few) * 1024 / 90_000
    print(f"{'memory':<12}{few:.0f} MB at 10,000 sources, {many:.0f} MB at 100,000: {growth:.2f} kB a source of "
          f"{GROWTH_LIMIT_KB}")  # fmt: skip
    return int(broken or growth > GROWTH_LIMIT_KB)


if __name__ == "__main__":
    sys.exit(main())

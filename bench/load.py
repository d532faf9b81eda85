"""What a crowd of files, of readers or of hours costs: seconds and the most memory of each process.

    python bench/load.py OUT                        # all of it, in a new folder OUT
    python bench/load.py OUT --only 3 --size 90x160 --pose-hz 0.2 --camera-hz 1     # where time is short

1. `build` of a folder with one video, and of the same with junk beside it, of which one in a thousand looks like a
   video.
2. `build` of a tenth of the sources, then of all, while `serve` answers readers. Of the sources some are videos of half
   a second; the others are refused by their first bytes, so that it is the bookkeeping that is measured.
3. A source of many minutes against a short one, through probe, analysis (poses by mediapipe) and tiling.
"""

import argparse
import http.client
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipeline.video.ffmpeg import ffmpeg_exe

SIDECARS = ("{}.json", "{}.jpg", "{}.txt", "._{}.mp4", "{}.srt")
PHONE_BITS = 0.27  # a pixel


def main() -> None:
    """Print what is measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--junk", type=int, default=200_000)
    parser.add_argument("--sources", type=int, default=10_000)
    parser.add_argument("--videos", type=int, default=1_000, help="how many of the sources are videos")
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--minutes", type=int, nargs=2, default=(10, 180))
    parser.add_argument("--size", default="1080x1920", help="of the long source")
    parser.add_argument("--pose-hz", type=float, default=6.0, help="poses looked for in a second of the long source")
    parser.add_argument("--camera-hz", type=float, default=30.0)
    parser.add_argument("--only", type=int, nargs="*", default=(1, 2, 3))
    options = parser.parse_args()
    options.out.mkdir(parents=True)
    print(f"load {os.getloadavg()[0]:.1f} before", flush=True)
    if 1 in options.only:
        junk(options.out / "junk", options.junk)
    if 2 in options.only:
        crowd(options.out / "crowd", options.sources, options.videos, options.readers)
    if 3 in options.only:
        hours(options.out / "hours", options.minutes, options.size, (options.pose_hz, options.camera_hz))
    print(f"load {os.getloadavg()[0]:.1f} after")


class Watched:
    """A command of longdance, its seconds, and the most memory that it and that its largest child held, MiB."""

    def __init__(self, *arguments: object, stdout: int = subprocess.DEVNULL) -> None:
        self.started, self.seconds, self.own, self.child = time.monotonic(), 0.0, 0.0, 0.0
        command = [sys.executable, "-m", "flows.cli", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        while self.process.poll() is None:
            try:
                family = psutil.Process(self.process.pid)
                self.own = max(self.own, family.memory_info().rss / 2**20)
                self.child = max([self.child, *(p.memory_info().rss / 2**20 for p in family.children(recursive=True))])
            except psutil.Error:
                pass
            time.sleep(0.1)

    def end(self) -> float:
        """Wait for it; seconds."""
        _, said = self.process.communicate()
        assert self.process.returncode == 0, said[-2000:]
        return time.monotonic() - self.started

    def memory(self) -> str:
        """For a line of the result."""
        return f"{self.own:.0f} MiB, its largest child {self.child:.0f}"


def built(raw: Path, data: Path) -> Watched:
    """A build to its end, without variants."""
    watched = Watched("build", raw, "--data", data, "--variants", 0, "--frames", 25, "--workers", 2)
    watched.seconds = watched.end()
    return watched


def video(path: Path, seconds: float, *arguments: str, size: str = "64x96") -> Path:
    """A test picture in motion."""
    path.parent.mkdir(parents=True, exist_ok=True)
    source = ["-f", "lavfi", "-i", f"testsrc2=s={size}:r=30:d={seconds}", "-c:v", "libx264", "-preset", "veryfast"]
    subprocess.run([ffmpeg_exe(), "-loglevel", "error", *source, *arguments, "-y", path], check=True)
    return path


def junk(out: Path, count: int) -> None:
    """Files that are no videos."""
    video(out / "raw" / "video.mp4", 2)
    clean = built(out / "raw", out / "clean")
    for number in range(count):
        folder = out / "raw" / f"{number // 1000:04d}"
        folder.mkdir(exist_ok=True)
        looks = number % 1000 == 0
        name = f"{number}.bin" if looks else SIDECARS[number % len(SIDECARS)].format(number)
        (folder / name).write_bytes(random.Random(number).randbytes(200))
    full, again = built(out / "raw", out / "full"), built(out / "raw", out / "full")
    print(f"junk: {count} files, of which {len(range(0, count, 1000))} are tried as videos")
    for name, one in (("without", clean), ("with", full), ("again", again)):
        print(f"  {name:8} {one.seconds:7.1f} s, {one.memory()}", flush=True)
    print(f"  memory of the build: {full.own / clean.own:.2f}x")


def crowd(out: Path, count: int, videos: int, readers: int) -> None:
    """Many sources, and many who look while they are built."""
    whole = video(out / "half.mp4", 0.5).read_bytes()
    raw = out / "raw"
    raw.mkdir()

    def add(numbers: range) -> None:
        for number in numbers:
            film = number * videos // count != (number + 1) * videos // count
            content = whole + b"\0\0\0\x10free" + number.to_bytes(8, "big") if film else b"#EXTM3U %d" % number
            (raw / f"{number:06d}.mp4").write_bytes(content)

    add(range(count // 10))
    first = built(raw, out / "data")
    print(f"sources: {count}, of which {videos} are videos")
    print(f"  {count // 10:6} {first.seconds:7.1f} s, {first.memory()}", flush=True)
    add(range(count // 10, count))
    server = Watched("serve", "--data", out / "data", "--port", 0, "--who", "bench", stdout=subprocess.PIPE)
    assert server.process.stdout is not None
    address = server.process.stdout.readline().split()[1].partition("/?")[0]
    before = server.own
    with Readers(address, readers) as busy:
        full = built(raw, out / "data")
    again = built(raw, out / "data")
    print(f"  {count:6} {full.seconds:7.1f} s, {full.memory()}, beside {readers} readers")
    print(f"  again  {again.seconds:7.1f} s, {again.memory()}")
    print(f"  memory of the build, ten times the sources: {full.own / first.own:.2f}x")
    print(f"  serve: {server.own:.0f} MiB, {before:.0f} when it began")
    busy.tell()
    server.process.terminate()
    server.process.wait()


class Readers:
    """Threads that ask for the page, the stamp and pictures, one request after the other."""

    def __init__(self, address: str, count: int) -> None:
        self.place, self.count = urlsplit(address).netloc, count
        self.took: dict[str, list[float]] = {"/": [], "/api/stamp": []}
        self.failed: list[str] = []
        self.stop = threading.Event()

    def __enter__(self) -> "Readers":
        self.pool = ThreadPoolExecutor(self.count)
        for number in range(self.count):
            self.pool.submit(self._read, number)
        return self

    def __exit__(self, *error: object) -> None:
        self.stop.set()
        self.pool.shutdown()

    def _read(self, number: int) -> None:
        paths = ["/"] + 9 * ["/api/stamp"]
        while not self.stop.wait(0.2 + number / 100):
            path, started = random.choice(paths), time.monotonic()
            try:
                connection = http.client.HTTPConnection(self.place, timeout=60)
                connection.request("GET", path)
                answer = connection.getresponse()
                answer.read()
                connection.close()
                if answer.status != 200:
                    self.failed.append(f"{path} {answer.status}")
            except OSError as error:
                self.failed.append(f"{path} {type(error).__name__}")
            self.took[path].append(time.monotonic() - started)

    def tell(self) -> None:
        """Print how long they waited."""
        for path, took in self.took.items():
            ordered = sorted(took) or [0.0]
            last, most = ordered[int(0.95 * (len(ordered) - 1))], ordered[-1]
            print(
                f"  {path:10} {len(took)} answers, median {statistics.median(ordered):.3f} s, "
                f"95 % within {last:.3f} s, longest {most:.2f} s"
            )
        print(f"  failed requests: {len(self.failed)} {sorted(set(self.failed))}", flush=True)


def hours(out: Path, minutes: tuple[int, int], size: str, rates: tuple[float, float]) -> None:
    """A short and a long source: packets of ten seconds, copied over and over."""
    width, height = map(int, size.split("x"))
    rate = round(PHONE_BITS * width * height * 30)
    piece = video(out / "piece.mp4", 10, "-b:v", str(rate), "-g", "30", size=size)
    peaks = []
    for long in minutes:
        path = out / f"raw-{long}" / "long.mp4"
        path.parent.mkdir()
        loop = ["-stream_loop", str(6 * long - 1), "-i", str(piece), "-c", "copy", "-y", str(path)]
        subprocess.run([ffmpeg_exe(), "-loglevel", "error", *loop], check=True)
        started = time.monotonic()
        command = [sys.executable, "-c", _PREPARE, str(path), str(out / f"data-{long}"), *map(str, rates)]
        told = subprocess.run(command, capture_output=True, text=True)
        assert told.returncode == 0, told.stderr[-2000:]
        peaks.append(float(told.stdout.split()[-1]))
        print(
            f"a source of {long} minutes, {size}, {rates[0]:g} poses a second, {path.stat().st_size / 2**20:.0f} MiB: ",
            end="",
        )
        print(f"{time.monotonic() - started:.1f} s; {told.stdout.strip()}", flush=True)
        path.unlink()
    print(f"  memory of the worker: {peaks[1] / peaks[0]:.2f}x for {minutes[1] / minutes[0]:.0f}x the minutes")


_PREPARE = """
import resource, sys, json
from pathlib import Path
from data_catalog.base.paths import DataFolder
from pipeline.analysis.pose_model import pose_model_path
from pipeline.batches.prepare_sources import build_keys, prepare_sources
from pipeline.config import AnalysisConfig, BuildConfig
path, data, (pose, camera) = Path(sys.argv[1]), DataFolder(Path(sys.argv[2])), map(float, sys.argv[3:])
config = BuildConfig(analysis=AnalysisConfig(pose_hz=pose, camera_hz=camera))
done = prepare_sources(data, [("0" * 64, bytes(path))], config, pose_model_path())
[manifest] = [json.loads(p.read_text()) for p in data.clip_set(build_keys(config).clip_set).glob("*.json")]
print(manifest["status"], manifest["reason"], done["frames_decoded"], "frames; MiB of the worker:",
      round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
"""


if __name__ == "__main__":
    main()

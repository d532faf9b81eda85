"""Speed of the build against plain ffmpeg: source frames per second, same files, same machine, same run.

The ceiling is what ffmpeg alone does with both cores busy: decode, crop, scale to 512 and encode each
source's clips with the build's own x264 settings, given the crops for free. The build must reach half of it.

    python bench/build.py [RAW] [--videos N]     (without RAW: drawn dancers at a phone's bit rate)
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from pipeline.config import BuildConfig
from pipeline.ffmpeg import ffmpeg_exe
from pipeline.synthetic import SynthVideo, write_video

WORKERS = 2
PHONE_BITS = 0.27  # bits a pixel: phones store 1080x1920 at 30 frames per second with about 17 Mbit/s
SIZES = ((1080, 1920, "30"), (720, 1280, "30000/1001"), (1920, 1080, "25"), (1080, 1920, "24"))


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("raw", nargs="?", type=Path, help="folder of videos that give clips")
    parser.add_argument("--videos", type=int, default=4)
    parser.add_argument("--variants", type=int, nargs="*", default=[0, 2])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        raw = options.raw or draw(Path(folder) / "raw", options.videos)
        print(f"{'what':34} {'frames/s':>9} {'of ceiling':>10} {'peak MiB':>9}")
        for variants in options.variants:
            data = Path(folder) / f"data{variants}"
            report, seconds, peak = build(raw, data, variants)
            frames = report["frames_decoded"]
            ceiling = frames / plain(data, variants)
            label = f"{variants} variants"
            print(f"{'plain ffmpeg, ' + label:34} {ceiling:9.1f} {1:10.2f}")
            rate = frames / seconds
            print(f"{'build without start-up, ' + label:34} {rate:9.1f} {rate / ceiling:10.2f} {peak:9.0f}")
            steps = ", ".join(f"{name} {took:.1f} s" for name, took in report["seconds"].items())
            print(f"    {frames} source frames, {report['clips_encoded']} clips; {steps}")


def draw(raw: Path, videos: int) -> Path:
    """Synthetic videos of one shot each, two clips long, as a phone would store them: grain, keyframes, bit rate."""
    raw.mkdir()
    specs = [
        SynthVideo(name=f"bench_{i}", seed=100 + i, width=w, height=h, fps=fps, frames=370)
        for i, (w, h, fps) in zip(range(videos), SIZES * videos, strict=False)
    ]

    def one(spec: SynthVideo) -> None:
        subprocess.run([sys.executable, "-c", _DRAW, spec.model_dump_json(), str(raw.parent)], check=True)
        clean, stored = raw.parent / f"{spec.name}.mp4", raw / f"{spec.name}.mp4"
        rate = round(PHONE_BITS * spec.width * spec.height * float(spec.rate))
        filters = [
            "-vf",
            "noise=alls=8:allf=t",
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-b:v",
            str(rate),
            "-g",
            "30",
        ]
        subprocess.run([ffmpeg_exe(), "-loglevel", "error", "-i", clean, *filters, stored], check=True)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(one, specs))
    return raw


_DRAW = """
import sys, pathlib
from pipeline.synthetic import SynthVideo, write_video
write_video(SynthVideo.model_validate_json(sys.argv[1]), pathlib.Path(sys.argv[2]))
"""
assert write_video  # what _DRAW runs


def build(raw: Path, data: Path, variants: int) -> tuple[dict, float, float]:
    """(the build's own report, seconds of its steps, peak MiB of its largest worker with its ffmpeg)."""
    command = [sys.executable, "-m", "flows.cli", "build", str(raw), "--data", str(data), "--variants", str(variants)]
    process = subprocess.Popen([*command, "--workers", str(WORKERS)], stdout=subprocess.DEVNULL)
    peak = watch(process)
    assert process.wait() == 0
    report = json.loads((data / "last_run.json").read_text())
    # The first step waits for the workers to start, which is start-up; hashing itself runs at about 1 GB/s.
    return report, sum(took for step, took in report["seconds"].items() if step != "hash"), peak.result()


def watch(process: subprocess.Popen) -> "Peak":
    """Sample the resident memory of every descendant, ffmpeg added to the worker that started it."""
    peak = Peak(process.pid)
    peak.start()
    return peak


class Peak(threading.Thread):
    """Largest resident memory of one worker together with its children, MiB."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.most = pid, 0.0

    def run(self) -> None:
        """Sample until the process is gone."""
        while psutil.pid_exists(self.pid):
            try:
                for worker in psutil.Process(self.pid).children():
                    family = [worker, *worker.children(recursive=True)]
                    if any("spawn_main" in part for part in worker.cmdline()):
                        self.most = max(self.most, sum(p.memory_info().rss for p in family) / 2**20)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                pass
            time.sleep(0.1)

    def result(self) -> float:
        """MiB."""
        return self.most


def plain(data: Path, variants: int) -> float:
    """Seconds that ffmpeg alone takes for the same clips (crop given), two at a time."""
    import duckdb

    config = BuildConfig().encode
    with duckdb.connect(str(data / "catalog.duckdb"), read_only=True) as con:
        rows = con.execute(
            """SELECT path, min(crop_side)::INT, min(crop_x)::INT, min(crop_y)::INT, any_value(sources.fps)
               FROM clips JOIN sources USING (source_id) WHERE verdict = 'ok' GROUP BY path"""
        ).fetchall()

    def one(row: tuple) -> None:
        path, side, x, y, _ = row
        outputs = []
        for _ in range(1 + variants):
            outputs += ["-vf", f"crop={side}:{side}:{x}:{y},scale=512:512:flags=bicubic", "-an", "-c:v", "libx264"]
            outputs += ["-preset", config.preset, "-crf", str(config.crf), "-g", str(config.gop), "-threads", "1"]
            outputs += ["-f", "mp4", "-y", os.devnull]
        subprocess.run([ffmpeg_exe(), "-loglevel", "error", "-threads", "1", "-i", path, *outputs], check=True)

    started = time.monotonic()
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(one, rows))
    return time.monotonic() - started


if __name__ == "__main__":
    main()

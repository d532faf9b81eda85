"""Speed of the build against plain ffmpeg: source frames per second, same files, same machine, same run.

The ceiling is what ffmpeg alone does with both cores busy: decode every file once, crop, scale to 512 and
encode with the build's own x264 settings, the crops given for free. The build must reach half of it.

    python bench/build.py [RAW] [--videos N] [--keep FOLDER] [--parts]

Without RAW, drawn dancers stored as phones store them: full size, grain, 0.27 bits a pixel. Every third from
the fourth on has a fault, as in `longdance synth`; `--clean` leaves those out, which is the hardest case: every
frame is then both analysed and encoded.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import psutil

from pipeline.config import BuildConfig
from pipeline.synthetic.synth import SynthVideo, plan_videos
from pipeline.video.ffmpeg import ffmpeg_exe

WORKERS = 2
PHONE_BITS = 0.27  # bits a pixel: phones store 1080x1920 at 30 frames per second with about 17 Mbit/s
SEED = 100
OFF = {"landmarks.every_frame": "false", "sound.keep": "false"}
PARTS = {
    "none of a sample's other parts": OFF,
    "and every frame's pose": {"landmarks.masks": "false", "landmarks.hands": "false", "sound.keep": "false"},
    "and her outline": {"landmarks.hands": "false", "sound.keep": "false"},
    "and her hands": {"sound.keep": "false"},
    "and sound": {},
}
"""Settings by what they add to the row above."""


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", nargs="?", type=Path, help="folder of videos")
    parser.add_argument("--videos", type=int, default=10)
    parser.add_argument("--clean", action="store_true", help="draw no faults")
    parser.add_argument("--keep", type=Path, help="draw into this folder, or use what it holds")
    parser.add_argument("--variants", type=int, nargs="*", default=[0, 2])
    parser.add_argument("--parts", action="store_true", help="no variants; what each part of a sample costs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        raw = options.raw or draw((options.keep or Path(folder)) / "raw", options.videos, options.clean)
        builds: dict[str, tuple[int, Mapping[str, str]]]
        builds = {f"build without start-up, {count} variants": (count, {}) for count in options.variants}
        if options.parts:
            builds = {name: (0, settings) for name, settings in PARTS.items()}
        print(f"{'what':36} {'frames/s':>9} {'of ceiling':>10} {'peak MiB':>9}")
        frames, ceilings = 0, {}
        for number, (label, (variants, settings)) in enumerate(builds.items()):
            data = Path(folder) / f"data{number}"
            report, seconds, peak = build(raw, data, variants, settings)
            if variants not in ceilings:
                frames, ceilings[variants] = plain(data, variants)
                print(f"{f'plain ffmpeg, {1 + variants} outputs':36} {frames / ceilings[variants]:9.1f} {1:10.2f}")
            print(f"{label:36} {frames / seconds:9.1f} {ceilings[variants] / seconds:10.2f} {peak:9.0f}")
            steps = ", ".join(f"{name} {took:.1f} s" for name, took in report["seconds"].items())
            print(f"    {frames} source frames, {report['clips_encoded']} clips; {steps}", flush=True)


def draw(raw: Path, videos: int, clean: bool) -> Path:
    """Synthetic videos as a phone would store them: full size, grain, keyframes, bit rate."""
    raw.mkdir(parents=True, exist_ok=True)
    specs = [full_size(spec) for spec in plan_videos(videos * (2 if clean else 1), SEED)]
    if clean:
        specs = [spec for spec in specs if spec.fault is None][:videos]

    def one(spec: SynthVideo) -> None:
        stored = raw / f"{spec.name}.mp4"
        if stored.is_file():
            return
        subprocess.run([sys.executable, "-c", _DRAW, spec.model_dump_json(), str(raw.parent)], check=True)
        clean_video, draft = raw.parent / f"{spec.name}.mp4", raw.parent / f"{spec.name}.draft.mp4"
        rate = round(PHONE_BITS * spec.width * spec.height * float(spec.rate))
        settings = ["-c:v", "libx264", "-preset", "veryfast", "-b:v", str(rate), "-g", "30", "-fps_mode", "passthrough"]
        grain = ["-vf", "noise=alls=8:allf=t", *settings, "-y", str(draft)]
        subprocess.run([ffmpeg_exe(), "-loglevel", "error", "-i", str(clean_video), *grain], check=True)
        draft.replace(stored)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(one, specs))
    return raw


def full_size(spec: SynthVideo) -> SynthVideo:
    """The same video at the size of a phone's."""
    sizes = {1: (1080, 1920), 0: (1080, 1080), -1: (1920, 1080)}
    width, height = sizes[(spec.height > spec.width) - (spec.height < spec.width)]
    return spec.model_copy(update={"width": width, "height": height})


_DRAW = """
import sys, pathlib
from pipeline.synthetic.synth import SynthVideo, write_video
write_video(SynthVideo.model_validate_json(sys.argv[1]), pathlib.Path(sys.argv[2]))
"""


def build(raw: Path, data: Path, variants: int, settings: Mapping[str, str]) -> tuple[dict, float, float]:
    """(the build's own report, seconds of its steps, peak MiB of its largest worker with its ffmpeg)."""
    command = [sys.executable, "-m", "flows.cli", "build", str(raw), "--data", str(data), "--variants", str(variants)]
    command += [f"--set={name}={value}" for name, value in settings.items()]
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


def plain(data: Path, variants: int) -> tuple[int, float]:
    """(frames of all files, seconds that ffmpeg alone takes for them, two at a time, largest first)."""
    import duckdb

    config = BuildConfig().video
    with duckdb.connect(str(data / "catalog.duckdb"), read_only=True) as con:
        rows = con.execute(
            """SELECT path, any_value(width), any_value(height), max(crop_side)::INT,
                      arg_max(crop_x, crop_side)::INT, arg_max(crop_y, crop_side)::INT
               FROM sources LEFT JOIN clips USING (source_id, path) GROUP BY path ORDER BY max(sources.frames) DESC"""
        ).fetchall()

    def one(row: tuple) -> int:
        path, width, height, side, x, y = row
        filters, outputs = crop_filters(width, height, side or min(width, height), x or 0, y or 0), []
        for _ in range(1 + variants):
            outputs += ["-vf", filters, "-an"]
            outputs += ["-c:v", "libx264", "-preset", config.preset, "-crf", str(config.crf), "-g", str(config.gop)]
            outputs += ["-fps_mode", "passthrough", "-threads", "1", "-f", "mp4", "-y", os.devnull]
        subprocess.run([ffmpeg_exe(), "-loglevel", "error", "-threads", "1", "-i", path, *outputs], check=True)
        return frames_of(path)

    started = time.monotonic()
    with ThreadPoolExecutor(WORKERS) as pool:
        frames = sum(pool.map(one, rows))
    return frames, time.monotonic() - started


def crop_filters(width: int, height: int, side: int, x: int, y: int) -> str:
    """What a square crop shows of a picture, scaled to its place in 512x512, black around it."""
    left, top = max(x, 0), max(y, 0)
    wide, tall = min(x + side, width) - left, min(y + side, height) - top
    size = [round(length * 512 / side) // 2 * 2 for length in (wide, tall)]
    place = [
        min(round((edge - start) * 512 / side), 512 - s) for edge, start, s in ((left, x, size[0]), (top, y, size[1]))
    ]
    scaled = f"crop={wide}:{tall}:{left}:{top},scale={size[0]}:{size[1]}:flags=bicubic"
    return scaled if size == [512, 512] else f"{scaled},pad=512:512:{place[0]}:{place[1]}"


def frames_of(path: str) -> int:
    """Pictures in a file, by its packets."""
    with av.open(path) as container:
        return sum(1 for packet in container.demux(container.streams.video[0]) if packet.size)


if __name__ == "__main__":
    main()

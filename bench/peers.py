"""The whole build beside what Data-Juicer takes for scene split, motion score and resize alone, same files, same run.

    python bench/peers.py RAW [--venv FOLDER]

Data-Juicer is installed into a venv of its own, which is kept and used again. Both have two processes. Printed are
frames of all files a second, of the whole commands and of what they do once they have begun: a build's first step
waits for its workers, Data-Juicer's own clock begins with its first operator. A build is timed as it is by default, and
without what the peer has nothing like: landmarks, hands and outline of every frame, and sound.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.build import OFF, WORKERS, build, frames_of
from pipeline.video.ffmpeg import ffmpeg_exe

PEER = "py-data-juicer==1.6.1"
ASKED = (PEER, "aiohttp", "av==13.1.0")
"""It imports aiohttp, and does not ask for it; it closes streams, which newer versions of av do not know."""
OPERATORS = [
    {"video_split_by_scene_mapper": {"save_dir": "scenes"}},
    {"video_motion_score_filter": {"sampling_fps": 2, "min_score": 0.0}},
    {
        "video_resize_resolution_mapper": {
            "min_width": 512, "max_width": 512, "min_height": 512, "max_height": 512,
            "force_original_aspect_ratio": "disable", "save_dir": "resized",
        }
    },
]  # fmt: skip


def installed(folder: Path) -> Path:
    """The peer's command."""
    command = folder / "bin" / "dj-process"
    if not command.is_file():
        print(f"installing {PEER} into {folder}", file=sys.stderr, flush=True)
        venv.create(folder, with_pip=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", *ASKED], check=True)
    return command


def peer(command: Path, videos: list[Path], folder: Path) -> tuple[float, float]:
    """(seconds of the whole command, seconds of its operators)."""
    rows = folder / "videos.jsonl"
    rows.write_text("".join(json.dumps({"text": "<__dj__video>", "videos": [str(path)]}) + "\n" for path in videos))
    recipe = folder / "recipe.yaml"  # JSON is YAML
    recipe.write_text(
        json.dumps(
            {
                "project_name": "peer",
                "dataset_path": str(rows),
                "export_path": str(folder / "out" / "videos.jsonl"),
                "np": WORKERS,
                "process": OPERATORS,
            }
        )
    )
    (folder / "bin").mkdir()
    (folder / "bin" / "ffmpeg").symlink_to(ffmpeg_exe())
    began = time.monotonic()
    done = subprocess.run(
        [command, "--config", recipe],
        cwd=folder,
        env=os.environ | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seconds = time.monotonic() - began
    took = re.search(r"All OPs are done in ([\d.]+)s", done.stdout)
    if done.returncode or not took:
        sys.exit(f"Data-Juicer failed:\n{done.stdout[-3000:]}")
    made = sum(1 for _ in folder.rglob("*.mp4"))
    if made < len(videos):
        sys.exit(f"Data-Juicer wrote {made} videos of {len(videos)}:\n{done.stdout[-3000:]}")
    print(f"    it wrote {made} videos")
    return seconds, float(took[1])


def main() -> None:
    """Print both, and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=Path, help="folder of videos")
    parser.add_argument("--venv", type=Path, default=Path(tempfile.gettempdir()) / "data-juicer")
    options = parser.parse_args()
    videos = sorted(path.absolute() for path in options.raw.iterdir() if path.suffix in (".mp4", ".avi", ".mov"))
    frames, command = sum(frames_of(str(path)) for path in videos), installed(options.venv.absolute())
    with tempfile.TemporaryDirectory() as folder:
        theirs = Path(folder) / "peer"
        theirs.mkdir()
        whole, operators = peer(command, videos, theirs)
        print(f"Data-Juicer: {frames / whole:.1f} frames a second, {frames / operators:.1f} of its operators")
        for name, settings in {"with every part": {}, "with video alone": OFF}.items():
            began = time.monotonic()
            _, steps, _ = build(options.raw, Path(folder) / name, 0, settings)
            seconds = time.monotonic() - began
            print(f"build {name}: {frames / seconds:.1f} frames a second, {frames / steps:.1f} without its start")
            print(f"    times as fast: {whole / seconds:.2f} whole, {operators / steps:.2f} without both starts")


if __name__ == "__main__":
    main()

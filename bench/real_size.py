"""The network of `sd15` at its real size, weights drawn at random, on a CPU: it trains, is killed, resumes, dances.

    python bench/real_size.py --out OUT                            # 512 x 512: hours on two cores, 12 GB of memory
    python bench/real_size.py --out OUT --picture 256              # the same network, a quarter of the pixels
    python bench/real_size.py --out OUT --preset tiny --picture 64 # the same programme within minutes

Draws a dancer, builds a data set, and types longdance's own commands: stage `star` for two steps; the same again,
killed with SIGKILL after the first and resumed; nine frames of a clip given its own dance. Prints the hashes of both
checkpoints, and the peak memory of the trainings beside what the memory plan predicts for a GPU, where weights that
are not trained are held in halves of the size. Exit 1 if the hashes differ.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.gpu import plan_of
from data_catalog.base.paths import RunFolder
from model.runs.init_weights import network_of_run
from model.runs.run import Run
from model.training.memory import GIB
from tests.model.networks import save_clip

STEPS, FRAMES = 2, 9
TEXT = {"width": 768, "tokens": 77}
"""As Stable Diffusion's text encoder answers."""
LOOK_S = 0.5


def longdance(*words: object) -> list[str]:
    """A command line."""
    return [sys.executable, "-m", "flows.cli", *map(str, words)]


def watched(command: Sequence[str], ends: Callable[[], bool] = lambda: False) -> tuple[int, float]:
    """Run a command; kill it and its children once `ends` holds. (exit status, most bytes that they held at once)."""
    most = 0
    with subprocess.Popen(command, start_new_session=True) as process:
        while process.poll() is None:
            family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            most = max(most, sum(resident(one) for one in family))
            if ends():
                for one in family:
                    one.kill()
            time.sleep(LOOK_S)
    return process.returncode, most


def resident(process: psutil.Process) -> int:
    """Bytes of memory that a process holds; 0 if it is gone."""
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def finished(run: Path) -> dict[int, str]:
    """The hash of each checkpoint that was finished, by step."""
    history = RunFolder(run).checkpoint_history
    lines = history.read_text().splitlines() if history.is_file() else []
    return {line["step"]: line["sha256"] for line in map(json.loads, lines)}


def training(options: argparse.Namespace, data: Path, run: Path) -> list[str]:
    """The command: two steps, a checkpoint after each."""
    given = {
        "init": "scratch", "steps": STEPS, "checkpoint_every": 1, "validate_every": 10**6, "sample_every": 10**6,
        "batch": 1, "holdout": 0, "encode.codec": "embedded", "encode.picture": options.picture, "encode.patch": 8,
        "encode.channels": 4, "encode.text": options.out / "clip",
    }  # fmt: skip
    settings = [f"--set={name}={value}" for name, value in given.items()]
    return longdance("train", "star", "--preset", options.preset, "--data", data, "--run", run, *settings)


def trained(options: argparse.Namespace, data: Path) -> tuple[Path, float]:
    """(a run that was killed after its first step and resumed, most bytes of its trainings). Exit 1 if it differs."""
    whole, killed = options.out / "whole", options.out / "killed"
    status, most = watched(training(options, data, whole))
    if status:
        sys.exit("The training failed.")
    status, second = watched(training(options, data, killed), lambda: 1 in finished(killed))
    print(f"killed after step {max(finished(killed))}, exit status {status}", flush=True)
    status, third = watched(training(options, data, killed))
    for name, run in (("undisturbed", whole), ("killed and resumed", killed)):
        print(f"step {STEPS}, {name}: {finished(run).get(STEPS)}", flush=True)
    if status or finished(whole)[STEPS] != finished(killed).get(STEPS):
        sys.exit("The two differ.")
    return killed, max(most, second, third)


def main() -> None:
    """Print what it came to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", choices=["sd15", "tiny"], default="sd15")
    parser.add_argument("--picture", type=int, default=512)
    options = parser.parse_args()
    raw, data, video = options.out / "raw", options.out / "data", options.out / "dance.mp4"
    began = time.monotonic()
    for command in (
        longdance("synth", raw, "--videos", 2, "--seed", 4),
        longdance("build", raw, "--data", data, "--variants", 1, "--set", "landmarks.hands=false"),
    ):
        subprocess.run(command, check=True)
    save_clip(options.out / "clip", **TEXT)
    run, most = trained(options, data)
    count = sum(parameter.numel() for parameter in network_of_run(run).parameters())
    print(f"{options.preset} at {options.picture} x {options.picture}: {count:,} parameters")
    plan = plan_of(Run.open(run).config).total / GIB
    print(f"most memory of a training here {most / GIB:.2f} GiB; the plan of its step on a GPU {plan:.2f} GiB")
    query = ["SELECT clip_id FROM clips WHERE verdict = 'ok' ORDER BY clip_id LIMIT 1", "--format", "json"]
    told = subprocess.run(longdance("sql", *query, "--data", data), check=True, capture_output=True, text=True)
    clip = json.loads(told.stdout)[0]["clip_id"]
    dance = ("generate", "--runs", run, "--clip", clip, "--pose", clip, "--data", data, "--frames", FRAMES)
    status, most = watched(longdance(*dance, "--out", video))
    print(f"{FRAMES} frames given a dance: exit status {status}, {video.name} of {video.stat().st_size:,} bytes")
    print(f"most memory {most / GIB:.2f} GiB; {(time.monotonic() - began) / 60:.0f} minutes in all")


if __name__ == "__main__":
    main()

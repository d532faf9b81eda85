"""Rollouts of a tiny model that was overfitted on a few drawn clips: every plan, every drift metric, and the costs.

    python bench/rollout.py --out OUT                      # trains for 8 minutes, then 181 frames under each plan
    python bench/rollout.py --out OUT --run RUN            # a run of stage `any` that is there
    python bench/rollout.py --gpu                          # sd15 at 512x512 with random weights: time and memory
    python bench/rollout.py --gpu --device cpu --preset tiny   # the same programme, tiny, where there is no GPU

Prints, beside "repeat frame 1" and the real clip, each plan's calls, depth, seconds a frame and drift; how many times
network and decoding a rollout takes, the median of three; and peak memory and time a frame at 181 and 724 frames.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.clips import make_clips
from bench.clock import Clock
from bench.overfit import steps_in
from bench.rollout_gpu import roll_random_weights
from data_catalog.base.paths import RunFolder
from model.config import train_config
from model.data.latents import encode_dataset
from model.drift.frechet import joint_motion_distance
from model.drift.metrics import METRICS, TRUTH_METRICS
from model.drift.report import RealClip, measure_drift, reference_clips
from model.pictures import picture_rows, write_png
from model.plans.plan import depth_per_frame, make_plan
from model.plans.stages import WITHOUT_POSE
from model.plans.view import plan_cost
from model.rollout.config import SamplingConfig, sampling_config
from model.rollout.generate import Prepared, Request, Start, generate_video, prepare
from model.rollout.rollout import Rollout
from model.training.metrics_log import TrainEvent
from model.training.train import train
from pipeline.analysis.pose_metrics import DancerFinder
from pipeline.analysis.pose_model import pose_model_path

OVERHEAD, GROWTH = 1.05, 0.05
TURNS = 3
SHORT, LONG = 181, 724


def train_any(out: Path, data: Path, minutes: float, settings: dict[str, Any]) -> Path:
    """A run of stage `any` on all clips of the data set, for about so long."""
    quiet = {"checkpoint_every": 10**6, "validate_every": 10**6, "sample_every": 10**6}
    fixed = {"stage": "any", "holdout": 0.0, "workers": 0, "hint_dropout": 0.1, **quiet, **settings}
    encode_dataset(data, train_config(**fixed).encode)
    config = train_config(steps=steps_in(minutes, data, out / "probe", fixed), **fixed)
    started = time.perf_counter()

    def watch(event: TrainEvent) -> None:
        if event.kind == "step" and event.step % 50 == 0:
            print(f"step {event.step}/{event.steps} loss {event.values['loss']:.4f}", flush=True)

    train(data, out / "run", config, watch)
    print(f"{config.steps} steps in {time.perf_counter() - started:.0f} s on {torch.get_num_threads()} threads")
    return out / "run"


def roll(prepared: Prepared, clip: RealClip, out: Path) -> tuple[Rollout, float, Clock]:
    """One rollout from the clip's first frame: it, its seconds, and where they went."""
    clock = Clock()
    with clock.watching(prepared.codec):
        started = time.perf_counter()
        made = generate_video(prepared, Start(clip.frames_FHWC[0]), out)
        seconds = time.perf_counter() - started
    return made.rollout, seconds, clock


def compare_plans(run: Path, data: Path, out: Path, frames: int, sampling: SamplingConfig) -> bool:
    """Every plan beside "repeat frame 1" and the real clip; whether the overhead's bound holds."""
    finder, columns, overheads, strips = DancerFinder(pose_model_path()), {}, [], []
    first = prepare(Request((run,), "origin", frames, sampling))
    clip = next(reference_clips(data, 1, first.size, 0.0))
    for plan in WITHOUT_POSE:
        prepared, ratios = prepare(Request((run,), plan, frames, sampling, overwrite=True)), []
        for _ in range(TURNS):
            rollout, seconds, clock = roll(prepared, clip, out / f"{plan}.mp4")
            ratios.append(seconds / (clock.network + clock.decoding))
        overheads.append(float(np.median(ratios)))
        depths = depth_per_frame(make_plan(plan, frames))
        columns[plan] = measured(rollout.decoded, finder, depths, clip)
        strips.append(np.stack([f for n, f in enumerate(rollout.decoded()) if n % (frames // 9) == 0]))
        cost = plan_cost(make_plan(plan, frames), frames)
        print(
            f"{plan}: {sum(cost.calls.values())} calls, depth {cost.depth} (mean {cost.mean_depth:.1f}), "
            f"{seconds / frames:.3f} s a frame; {overheads[-1]:.3f} times network and decoding "
            f"({', '.join(f'{ratio:.3f}' for ratio in ratios)})",
            flush=True,
        )
    shown = first.codec.decode(first.codec.encode(clip.frames_FHWC[:frames]).half().float())
    columns["repeat frame 1"] = measured(lambda: repeat(shown[0], frames), finder, {}, clip)
    columns["real clip, by codec"] = measured(lambda: iter(shown), finder, {}, clip)
    print_table(columns)
    truth = np.stack([f for n, f in enumerate(clip.frames_FHWC[:frames]) if n % (frames // 9) == 0])
    write_png(out / "rollouts.png", picture_rows([truth, *strips]))
    print(
        f"pictures: {out / 'rollouts.png'} (the real clip, then {', '.join(WITHOUT_POSE)}; every {frames // 9}th frame)"
    )
    finder.close()
    return max(overheads) <= OVERHEAD


def measured(frames: Callable[[], Any], finder: DancerFinder, depths: dict[int, int], clip: RealClip) -> dict[str, Any]:
    """The report of these frames; the distance of its joints' motion to the clip's goes with it."""
    drift = measure_drift(frames, finder, depths or dict.fromkeys(range(10_000), 1), clip, (), fps=clip.fps)
    distance = joint_motion_distance([drift.generated.landmarks], [drift.real[0][1].landmarks])
    return {**drift.report(), "joint_motion_distance": distance.value if distance else None}


def print_table(columns: dict[str, dict[str, Any]]) -> None:
    """A row per metric: mean, last tenth, slope a 100 frames, for each plan and the two references."""
    width = 26
    print(f"{'mean / last tenth / slope':26s}" + "".join(f"{name:>{width}s}" for name in columns))
    for metric in (*METRICS, *TRUTH_METRICS):
        cells = []
        for report in columns.values():
            numbers = report["metrics"].get(metric)
            values = (numbers["mean"], numbers["tenths"][-1], numbers["slope"]) if numbers else ()
            cells.append(" / ".join("-" if v is None else f"{v:.3g}" for v in values))
        print(f"{metric:26s}" + "".join(f"{cell:>{width}s}" for cell in cells))
    distances = [report["joint_motion_distance"] for report in columns.values()]
    print(
        f"{'joint motion distance':26s}" + "".join(f"{'-' if d is None else f'{d:.3g}':>{width}s}" for d in distances)
    )
    for name in ("psnr", "pose_error"):
        for plan in WITHOUT_POSE:
            depths = columns[plan]["by_depth"][name]
            shown = (f"{depth}: {'-' if v is None else f'{v:.1f}'}" for depth, v in depths.items())
            print(f"{name} by depth, {plan}: {', '.join(shown)}")


def growth(run: Path, data: Path, out: Path, steps: int) -> bool:
    """Peak memory and processor seconds a frame at 181 and 724 frames, in processes of their own.

    The two take turns, and medians are compared: a shared machine's speed drifts.
    """
    found: dict[int, list[tuple[float, float]]] = {SHORT: [], LONG: []}
    for _ in range(TURNS):
        for frames, rows in found.items():
            command = [sys.executable, __file__, "--child", str(frames), "--run", str(run), "--data", str(data)]
            command += ["--out", str(out), "--steps", str(steps), "--threads", str(torch.get_num_threads())]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            peak, spent = (float(x) for x in done.stdout.split()[-2:])
            rows.append((peak, spent / frames))
    short, long = (np.median(rows, axis=0) for rows in found.values())
    for frames, (peak, seconds) in zip(found, (short, long)):
        print(
            f"{frames} frames: peak {peak:.0f} MiB, {1000 * seconds:.1f} ms of processor a frame, {steps} steps a call",
            flush=True,
        )
    memory, pace = long / short
    print(f"memory x {memory:.3f}, time a frame x {pace:.3f} (within {GROWTH:.0%} of each other)")
    return abs(memory - 1) <= GROWTH and abs(pace - 1) <= GROWTH


def child(frames: int, run: Path, data: Path, out: Path, steps: int) -> None:
    """One rollout, after a short one that meets every shape of window; prints its peak in MiB and processor seconds."""
    for length, of_call in ((SHORT, 1), (frames, steps)):
        prepared = prepare(
            Request((run,), "origin", length, SamplingConfig(steps=of_call, device="cpu"), overwrite=True)
        )
        clip = next(reference_clips(data, 1, prepared.size, 0.0))
        started = processor_seconds()
        generate_video(prepared, Start(clip.frames_FHWC[0]), out / f"growth-{length}.mp4")
        spent = processor_seconds() - started
    print(peak_kib() / 1024, spent)


def processor_seconds() -> float:
    """Spent so far by this process and the ffmpegs that it waited for: others on the machine change it little."""
    return sum(os.times()[:4])


def peak_kib() -> int:
    """This process's peak resident memory; `ru_maxrss` would begin at its parent's."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1])


def main() -> None:
    """Run what was asked for; exit 1 if a bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="a folder; what is there is used again")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--run", type=Path, help="a run of stage `any`")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--frames", type=int, default=181)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a sampling setting")
    parser.add_argument("--part", default="all", choices=["all", "plans", "growth"])
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--preset", default="sd15", choices=["sd15", "tiny"])
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.gpu:
        sys.exit(not roll_random_weights(torch.device(options.device), options.preset, options.frames))
    if options.out is None:
        parser.error("--out is needed")
    if options.child:
        child(options.child, options.run, options.data, options.out, options.steps)
        return
    data = options.data or options.out / "data"
    if not data.is_dir():
        make_clips(data, clips=options.clips)
    run = options.run or options.out / "run"
    if not RunFolder(run).checkpoints.is_dir():
        shutil.rmtree(options.out / "probe", ignore_errors=True)
        run = train_any(options.out, data, options.minutes, {})
    from flows.options import overrides

    sampling = sampling_config([run], {"device": "cpu", "steps": options.steps, **overrides(options.set)})
    good = options.part == "growth" or compare_plans(run, data, options.out, options.frames, sampling)
    good &= options.part == "plans" or growth(run, data, options.out, options.steps)
    sys.exit(not good)


if __name__ == "__main__":
    main()

"""On a GPU: peak memory under the enforced cap, steps a second, the largest batch, the planner's accuracy.

    python bench/gpu.py                                    # sd15, 512 x 512, on a GPU
    python bench/gpu.py --device cpu --preset tiny         # the same programme, tiny, where there is no GPU
    python bench/gpu.py --plan                             # sd15's predictions alone, which need no GPU

Weights are random: they take as much memory and time as trained ones. Extrapolation's windows have 7 frames,
interpolation's 9. Each setting trains under a cap that is its bound: what does not fit fails. Two peaks are printed:
what torch allocated, which is what the planner predicts, and what it reserved for that, gaps included, which is what
the cap is on. On the CPU there is no allocator that counts, so they are missing there.
"""

from __future__ import annotations

import argparse
import gc
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.train_step import TEXT, random_data, trainer_step
from model.config import TrainConfig, train_config
from model.data.codec import fit_patch_codec
from model.errors import ConfigError
from model.runs.init_weights import initial_network
from model.training.memory import GIB, MemoryPlan, plan_memory
from pipeline.picture_size import PictureSize

PREDICTION_WITHIN, DEFAULT_GIB, ALL_GIB = 0.15, 12.0, 22.0


@dataclass(frozen=True)
class Figure:
    """What one setting takes."""

    predicted_gib: float
    allocated_gib: float | None
    """None on the CPU."""
    reserved_gib: float | None
    steps_per_second: float


def settings_of(preset: str, device: str) -> dict[str, Any]:
    """A training from random weights and noise of the preset's size, with nothing but steps."""
    quiet = {"checkpoint_every": 10**6, "validate_every": 10**6, "sample_every": 10**6, "steps": 10**6}
    noise = {"codec": "embedded", "picture": 512, "patch": 8, "channels": 4, "text": "noise"}
    return {**quiet, "init": "scratch", "encode": noise if preset == "sd15" else {}, "device": device}


def shape_of(config: TrainConfig) -> tuple[int, int, int]:
    """Channels, height and width of a frame's latents."""
    size, patch = config.encode.size, config.encode.patch
    return config.encode.channels, size.height // patch, size.width // patch


def plan_of(config: TrainConfig) -> MemoryPlan:
    """The planner's prediction."""
    (channels, height, across), (tokens, width) = shape_of(config), TEXT if config.preset == "sd15" else (1, 32)
    with torch.device("meta"):
        network = initial_network(config, channels, width)
    return plan_memory(
        config, network.config, PictureSize(across, height), tokens, 9 if config.stage == "interpolation" else 7
    )


def measure(config: TrainConfig, folder: Path, steps: int) -> Figure:
    """Train for a few steps under the cap. Raises torch.OutOfMemoryError."""
    shape, run_dir = shape_of(config), Path(tempfile.mkdtemp(dir=folder))
    network = initial_network(config, shape[0], TEXT[1] if config.preset == "sd15" else 32)
    blank = np.zeros((1, config.encode.size.height, config.encode.size.width, 3), np.uint8)
    fit_patch_codec(blank, config.encode.patch, config.encode.channels).save(run_dir / "codec")
    on_gpu = config.device == "cuda"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        seconds = trainer_step(config, random_data(run_dir, config, shape), network, run_dir, steps)
    finally:
        shutil.rmtree(run_dir)  # a checkpoint of many gigabytes
    allocated = torch.cuda.max_memory_allocated() / GIB if on_gpu else None
    reserved = torch.cuda.max_memory_reserved() / GIB if on_gpu else None
    return Figure(plan_of(config).total / GIB, allocated, reserved, 1 / seconds)


def largest_batch(preset: str, settings: dict[str, Any], folder: Path) -> int:
    """The largest batch of 9-frame windows, in one part, that trains under the cap: doubling, then halving."""
    fits, fails = 0, None
    batch = 1
    while batch and (fails is None or fails - fits > 1):
        try:
            measure(train_config("interpolation", preset, **{**settings, "batch": batch}), folder, 5)
            fits = batch
        except torch.OutOfMemoryError:
            fails = batch
        gc.collect()
        batch = 2 * fits if fails is None else (fits + fails) // 2
    return fits


def run(config: TrainConfig, label: str, bound: float, folder: Path, steps: int) -> bool:
    """Measure one setting and print it; whether its bound holds and it is near its prediction, where that is known."""
    print(f"{label:16s} {9 if config.stage == 'interpolation' else 7} frames: ", end="", flush=True)
    try:
        figure = measure(config, folder, steps)
    except ConfigError as error:  # no bitsandbytes
        print(error)
        return config.device == "cpu"
    except torch.OutOfMemoryError:
        print(f"does not fit {bound:g} GiB, predicted {plan_of(config).total / GIB:.2f} GiB")
        return False
    peak = "no allocator to ask"
    if figure.allocated_gib is not None:
        peak = f"peak {figure.allocated_gib:.2f} GiB allocated, {figure.reserved_gib:.2f} reserved (at most {bound:g})"
    print(f"{peak}, predicted {figure.predicted_gib:.2f} GiB, {figure.steps_per_second:.2f} steps/s", flush=True)
    if figure.allocated_gib is None:
        return True
    return abs(figure.predicted_gib / figure.allocated_gib - 1) <= PREDICTION_WITHIN


def main() -> None:
    """Print a line per setting; exit 1 if a bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--preset", default="sd15", choices=["sd15", "tiny"])
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--plan", action="store_true", help="print the predictions and stop")
    options = parser.parse_args()
    settings, hold = settings_of(options.preset, options.device), True
    with tempfile.TemporaryDirectory() as scratch:
        for label, extra, bound in (
            ("default", {}, DEFAULT_GIB),
            ("all, 8-bit Adam", {"train": "all", "optimizer": "adamw8bit"}, ALL_GIB),
        ):
            for stage in ("extrapolation", "interpolation"):
                config = train_config(stage, options.preset, **{**settings, **extra, "batch": 1, "vram_gib": bound})
                if options.plan:
                    print(f"{label}, {stage}, at most {bound:g} GiB:", *plan_of(config).lines(), sep="\n  ")
                    continue
                hold &= run(config, label, bound, Path(scratch), options.steps)
        if options.device == "cuda" and not options.plan:
            vram = train_config("interpolation", options.preset).vram_gib
            print(f"largest batch in {vram:g} GiB: {largest_batch(options.preset, settings, Path(scratch))}")
    sys.exit(int(not hold))


if __name__ == "__main__":
    main()

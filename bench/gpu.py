"""On a GPU: peak memory under the enforced cap, steps a second, the largest batch, the planner's accuracy.

    python bench/gpu.py                                    # sd15, 512 x 512, on a GPU
    python bench/gpu.py --device cpu --preset tiny         # the same programme, tiny, where there is no GPU

Weights are random: they take as much memory and time as trained ones. Extrapolation's windows have 7 frames,
interpolation's 9. On the CPU there is no allocator that counts, so the measured peak is missing there.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.train_step import random_data, trainer_step
from model.codec import fit_patch_codec
from model.config import TrainConfig, train_config
from model.errors import ConfigError
from model.initial import initial_network
from model.memory import GIB, plan_memory

PREDICTION_WITHIN, DEFAULT_GIB, ALL_GIB = 0.15, 12.0, 22.0


@dataclass(frozen=True)
class Figure:
    """What one setting takes."""

    predicted_gib: float
    peak_gib: float | None
    """None on the CPU."""
    steps_per_second: float


def settings_of(preset: str, device: str) -> dict[str, Any]:
    """A training from random weights and noise of the preset's size, with nothing but steps."""
    quiet = {"checkpoint_every": 10**6, "validate_every": 10**6, "sample_every": 10**6, "steps": 10**6}
    encode = {"codec": "embedded", "picture": 512, "patch": 8, "channels": 4} if preset == "sd15" else {}
    return {**quiet, "init": "scratch", "encode": encode, "device": device, "workers": 0}


def measure(config: TrainConfig, folder: Path, steps: int) -> Figure:
    """Train for a few steps under the cap. Raises torch.OutOfMemoryError."""
    side = config.encode.picture // config.encode.patch
    shape = (config.encode.channels, side, side)
    width, tokens = (768, 77) if config.preset == "sd15" else (32, 1)
    network = initial_network(config, shape[0], width)
    plan = plan_memory(config, network.config, side, tokens, 9 if config.stage == "interpolation" else 7)
    run_dir = Path(tempfile.mkdtemp(dir=folder))
    blank = np.zeros((1, config.encode.picture, config.encode.picture, 3), np.uint8)
    fit_patch_codec(blank, config.encode.patch, config.encode.channels).save(run_dir / "codec")
    on_gpu = config.device == "cuda"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    seconds = trainer_step(config, random_data(run_dir, config, shape), network, run_dir, steps)
    peak = torch.cuda.max_memory_reserved() / GIB if on_gpu else None
    return Figure(plan.total / GIB, peak, 1 / seconds)


def largest_batch(preset: str, settings: dict[str, Any], folder: Path) -> int:
    """The largest batch of 9-frame windows, in one part, that trains under the cap: doubling, then halving."""
    fits, fails = 0, None
    batch = 1
    while fails is None or fails - fits > 1:
        try:
            measure(train_config("interpolation", preset, **{**settings, "batch": batch}), folder, 3)
            fits = batch
        except torch.OutOfMemoryError:
            fails = batch
        gc.collect()
        batch = 2 * fits if fails is None else (fits + fails) // 2
        if batch == 0:
            break
    return fits


def main() -> None:
    """Print a line per setting; exit 1 if a bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--preset", default="sd15", choices=["sd15", "tiny"])
    parser.add_argument("--steps", type=int, default=8)
    options = parser.parse_args()
    settings, failed = settings_of(options.preset, options.device), False
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for label, extra, bound in (
            ("default", {}, DEFAULT_GIB),
            ("all, 8-bit Adam", {"train": "all", "optimizer": "adamw8bit"}, ALL_GIB),
        ):
            for stage, frames in (("extrapolation", 7), ("interpolation", 9)):
                config = train_config(stage, options.preset, **{**settings, **extra, "batch": 1})
                try:
                    figure = measure(config, folder, options.steps)
                except ConfigError as error:
                    print(f"{label:16s} {frames} frames: {error}")
                    continue
                failed |= not holds(figure, bound)
                peak = "no allocator" if figure.peak_gib is None else f"{figure.peak_gib:.2f} GiB (at most {bound})"
                print(f"{label:16s} {frames} frames: peak {peak}, predicted {figure.predicted_gib:.2f} GiB, ", end="")
                print(f"{figure.steps_per_second:.2f} steps/s", flush=True)
        if options.device == "cuda":
            vram = train_config("interpolation", options.preset).vram_gib
            print(f"largest batch in {vram:g} GiB: {largest_batch(options.preset, settings, folder)}")
    sys.exit(int(failed))


def holds(figure: Figure, bound: float) -> bool:
    """Whether the peak is within its bound and near what was predicted; True on the CPU, where none is known."""
    if figure.peak_gib is None:
        return True
    return figure.peak_gib <= bound and abs(figure.predicted_gib / figure.peak_gib - 1) <= PREDICTION_WITHIN


if __name__ == "__main__":
    main()

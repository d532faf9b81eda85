"""The trainer's overhead. (`bench/inflate.py` has the network against diffusers' own.)

    python bench/train_step.py [--preset tiny|sd15] [--device cpu|cuda]

A step of the trainer (loader, draws, conditioning, accelerate, EMA, metrics) against the bare forward, backward,
optimizer and EMA on tensors of the same shapes.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from accelerate.state import AcceleratorState  # type: ignore[import-untyped]
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from model.config import TrainConfig, train_config
from model.data.codec import fit_patch_codec
from model.data.dataset import DataIndex, LatentSample, SplitData
from model.data.loader import BatchPlan, WindowDataset, window_loader
from model.data.text import TextTable, text_path
from model.network.conditioning import get_hint_noise
from model.network.objective import Objective, draw
from model.network.unet import VideoUNet
from model.plans.stages import CLIP_FRAMES
from model.runs.init_weights import configure_parameters, initial_network
from model.sources import NoText
from model.training.optimizer import make_ema, make_optimizer
from model.training.trainer import Trainer
from model.training.video_task import VideoTask

OVERHEAD = 1.1
TEXT = (77, 768)
"""Tokens and width of Stable Diffusion 1.5's prompts."""


def random_data(folder: Path, config: TrainConfig, shape: tuple[int, int, int]) -> SplitData:
    """Latents of noise, which take as long to train on as any."""
    path = folder / "a.f16"
    np.random.default_rng(0).standard_normal((4 * CLIP_FRAMES, *shape)).astype("<f2").tofile(path)
    stride = CLIP_FRAMES * int(np.prod(shape)) * 2
    samples = [LatentSample(str(n), "s", path, n * stride, CLIP_FRAMES, "") for n in range(4)]
    index, empty = DataIndex(tuple(samples), shape), DataIndex((), shape)
    prompts = (config.encode.prompt,)
    if not isinstance(config.encode.text_source, NoText):
        save_file({"embeddings": torch.randn(1, *TEXT).half()}, text_path(folder, config.encode, prompts))
    return SplitData(index, empty, "version", "codec", folder, folder, prompts)


def median_of(work: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Median seconds of a call, after two that do not count."""
    times = []
    for number in range(repeats + 2):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if number >= 2:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def bare_step(config: TrainConfig, split: SplitData, network: VideoUNet, device: torch.device) -> Callable[[], None]:
    """Forward, backward, clipping, optimizer and EMA on one batch that is there already."""
    trained = configure_parameters(network, config, device)
    network.to(device).train()
    optimizer = make_optimizer(config, list(trained.values()))
    ema = make_ema(config, trained, optimizer)
    dataset = WindowDataset(split.train, config.stage, config.seed, config.batch)
    batch = next(window_loader(dataset, BatchPlan(config.batch).positions(0, 0, 1), 0))
    latents = batch.latents_BFCHW.float().to(device)
    shape = tuple(latents.shape[2:])
    draws = draw(0, "training", batch.positions, shape, latents.shape[1]).to(device)
    text = torch.zeros(config.batch, 1, network.unet.config.cross_attention_dim, device=device)
    objective = Objective(network.config.prediction_type, get_hint_noise("uniform-0.7"))
    step = 0

    def run() -> None:
        nonlocal step
        objective.denoise(network, latents, batch.windows, draws, text).losses().mean().backward()
        torch.nn.utils.clip_grad_norm_(trained.values(), config.clip)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        ema.update(step)

    return run


def trainer_step(config: TrainConfig, split: SplitData, network: VideoUNet, folder: Path, steps: int) -> float:
    """Median seconds of a step of the trainer."""
    times: list[float] = []

    def say(kind: str, step: int, **values: object) -> None:
        if kind == "step":
            times.append(time.perf_counter())

    AcceleratorState._reset_state()
    accelerator = Accelerator(cpu=config.device == "cpu", mixed_precision=config.mixed_precision)
    text = TextTable(split.latents, config.encode, split.prompts, network.unet.config.cross_attention_dim)
    folder.mkdir(exist_ok=True)
    task = VideoTask(config, split, network, text, folder)
    trainer = Trainer(accelerator, config, task, folder, say)
    trainer.restore(None)
    trainer.run(lambda: len(times) >= steps)
    trainer.close()
    each = np.diff(times)
    return float(statistics.median(each[min(2, len(each) - 1) :]))  # the first two warm up


def best_of_rounds(
    config: TrainConfig, split: SplitData, channels: int, width: int, folder: Path, steps: int
) -> tuple[float, float]:
    """Seconds of the bare step and of the trainer's, the best of three medians each, taken in turn: others use
    this machine, too."""
    bare, taken, device = [], [], torch.device(config.device)
    for number in range(3):
        step = bare_step(config, split, initial_network(config, channels, width), device)
        bare.append(median_of(step, steps, device))
        network = initial_network(config, channels, width)
        run_dir = folder / f"run{number}"
        shutil.copytree(folder / "run", run_dir)
        taken.append(trainer_step(config, split, network, run_dir, steps))
    return min(bare), min(taken)


def main() -> None:
    """Print the figures; exit 1 if the trainer takes more than 1.1 times the bare step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--batch", type=int, default=2)
    options = parser.parse_args()
    # All windows of extrapolation have 7 frames, so all steps cost the same.
    quiet = {"checkpoint_every": 10**6, "validate_every": 10**6, "sample_every": 10**6, "steps": 10**6}
    encode = {"codec": "embedded", "picture": 512, "patch": 8, "channels": 4} if options.preset == "sd15" else {}
    settings = {**quiet, "encode": encode, "init": "scratch", "batch": options.batch, "device": options.device}
    config = train_config("extrapolation", options.preset, **settings)
    size, patch = config.encode.size, config.encode.patch
    shape = (config.encode.channels, size.height // patch, size.width // patch)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        split = random_data(folder, config, shape)
        width = 768 if options.preset == "sd15" else 32
        blank = np.zeros((1, size.height, size.width, 3), np.uint8)
        fit_patch_codec(blank, config.encode.patch, config.encode.channels).save(folder / "run" / "codec")
        bare, taken = best_of_rounds(config, split, shape[0], width, folder, options.steps)
        print(
            f"bare step {bare * 1e3:.1f} ms, trainer's {taken * 1e3:.1f} ms: {taken / bare:.3f}x (at most {OVERHEAD})"
        )
    sys.exit(int(taken / bare > OVERHEAD))


if __name__ == "__main__":
    main()

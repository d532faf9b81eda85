"""Does it learn? Four drawn dancers, two CPU cores, a quarter of an hour, preset `tiny`.

    python bench/overfit.py --out OUT                # 15 minutes of training
    python bench/overfit.py --out OUT --minutes 2    # a look

Minutes are counted in processor time, MINUTES x THREADS of it, so that a busy machine gives no fewer steps than an
idle one. `--steps` sets the number instead, where even processor time is not to be trusted: two threads that wait
for each other on a busy machine burn it.

Prints PSNR of generated frames against "repeat the last hint", on the pixels that move and on the whole frame,
by how far ahead the frame lies; and the validation loss per log-SNR bin before and after. Writes pictures.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.clips import make_clips
from data_catalog.base.paths import RunFolder
from model.config import TrainConfig, train_config
from model.data.codec import Codec, load_codec
from model.data.dataset import DataIndex, LatentReader, SplitData, load_data
from model.data.latents import encode_dataset, read_video
from model.data.samples import read_samples
from model.data.text import TextTable
from model.network.conditioning import get_hint_noise
from model.network.objective import Objective
from model.network.unet import VideoUNet
from model.pictures import picture_rows, write_gif, write_png
from model.plans.stages import Window, get_stage
from model.runs.checkpoint import load_checkpoint, newest_checkpoint
from model.runs.init_weights import initial_network, network_of_run
from model.sampling.sample_window import CallSettings
from model.training.metrics_log import TrainEvent
from model.training.train import train
from model.training.validation import (
    BankWindow,
    bank_windows,
    bin_log_snr,
    sample_window,
    validation_losses,
    window_sampling,
)

CPU = torch.device("cpu")
MOVING = 16
"""A pixel moves if one of its colours differs by more than this from the last hint's."""
BETTER_BY, BEHIND_BY, CODEC_PSNR = 2.0, 3.0, 30.0
JUDGED = 24
WARM, MARGIN = 10, 0.8
"""Steps of the probe that do not count; and the share of the time that is planned for."""
# Hints are frame 0 of the sequence and three keys, as in the origin's later extrapolation calls.
EXTRAPOLATION = Window((0, 22, 26, 30), (34, 38, 42), 0)


def psnr(squared_error: np.ndarray, where: np.ndarray) -> float:
    """PSNR in dB over the pixels chosen by `where` (broadcast over colours)."""
    chosen = np.broadcast_to(where, squared_error.shape)
    return float(10 * np.log10(255**2 / max(squared_error[chosen].mean(), 1e-9)))


def judged_windows(index: DataIndex) -> list[BankWindow]:
    """Windows with targets 4, 8 and 12 frames ahead, at fixed random places of the clips in turn."""
    reader, places = LatentReader(index), np.random.default_rng(5)
    chosen = []
    for number in range(JUDGED):
        sample = number % len(index.samples)
        entry = index.samples[sample]
        window = EXTRAPOLATION.shifted(int(places.integers(entry.frames - EXTRAPOLATION.span + 1)))
        latents = torch.from_numpy(reader.read(sample, window.frames)).float()
        chosen.append(BankWindow(sample, window, latents, entry.prompt))
    return chosen


def truth_of(data: Path, split: SplitData, codec: Codec) -> list[np.ndarray]:
    """Every clip's frames at the codec's size, before any codec."""
    by_key = {sample.key: sample for sample in read_samples(data)}
    return [read_video(data, by_key[entry.key], codec.picture) for entry in split.train.samples]


def generate(
    network: VideoUNet, items: list[BankWindow], codec: Codec, text: TextTable, how: CallSettings
) -> list[np.ndarray]:
    """The decoded windows, hints and generated targets."""
    made = []
    for number, item in enumerate(items):
        latents = sample_window(network, network.config.prediction_type, item, text, how, CPU, number)
        made.append(codec.decode(latents))
    return made


def table(items: list[BankWindow], made: list[np.ndarray], clips: list[np.ndarray]) -> dict[str, tuple[float, float]]:
    """For each lookahead, and all: PSNR on moving pixels, on still ones and on the whole, (generated, repeated)."""
    rows: dict[str, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {}
    for item, frames in zip(items, made):
        clip, hint = clips[item.sample].astype(float), item.window.hints[-1]
        for target in item.window.targets:
            truth, shown = clip[target], frames[item.window.frames.index(target)].astype(float)
            moving = (np.abs(truth - clip[hint]).max(-1, keepdims=True)) > MOVING
            row = ((shown - truth) ** 2, (clip[hint] - truth) ** 2, moving)
            for name in (f"{target - hint} ahead", "all"):
                rows.setdefault(name, []).append(row)
    result = {}
    for name, parts in rows.items():
        ours, repeated, moving = (np.stack(column) for column in zip(*parts))
        for kind, where in (("moving", moving), ("still", ~moving), ("whole", np.ones_like(moving))):
            result[f"{name}, {kind}"] = (psnr(ours, where), psnr(repeated, where))
    return result


def steps_in(minutes: float, data: Path, folder: Path, settings: dict[str, Any]) -> int:
    """How many steps fit into `minutes` of every thread's processor time, by a probe of 40 steps, with a margin."""
    times: list[float] = []

    def watch(event: TrainEvent) -> None:
        if event.kind == "step":
            times.append(time.process_time())

    train(data, folder, train_config(steps=40, **settings), watch)
    each = (times[-1] - times[WARM]) / (len(times) - 1 - WARM)
    return max(20, int(MARGIN * minutes * 60 * torch.get_num_threads() / each))


def bin_losses(network: VideoUNet, split: SplitData, config: TrainConfig, text: TextTable) -> np.ndarray:
    """The mean loss in each log-SNR bin over a fixed bank of windows of the four clips."""
    noise = get_hint_noise(config.hint_noise or get_stage(config.stage).hint_noise)
    objective = Objective(network.config.prediction_type, noise)
    bank = bank_windows(split.train, config.stage, config.validation_windows)
    return validation_losses(network.eval(), objective, bank, text, CPU).mean(0)


def train_for(
    minutes: float, steps: int | None, data: Path, out: Path, stage: str, overrides: dict[str, Any]
) -> TrainConfig:
    """Train into OUT/run for that many steps, or about that long, and return the config."""
    quiet = {"checkpoint_every": 10**6, "validate_every": 10**6, "sample_every": 10**6}
    settings: dict[str, Any] = {"stage": stage, "holdout": 0.0, "workers": 0, **quiet, **overrides}
    config = train_config(steps=steps or steps_in(minutes, data, out / "probe", settings), **settings)
    started, busy = time.perf_counter(), time.process_time()

    def watch(event: TrainEvent) -> None:
        if event.kind == "step" and event.step % 50 == 0:
            print(f"step {event.step}/{event.steps} loss {event.values['loss']:.4f}", flush=True)

    train(data, out / "run", config, watch)
    taken, used = time.perf_counter() - started, time.process_time() - busy
    print(f"{config.steps} steps in {taken:.0f} s, {used:.0f} s of processor time, threads: {torch.get_num_threads()}")
    return config


def report(out: Path, data: Path, config: TrainConfig) -> bool:
    """Print the tables, write the pictures; whether all bounds hold."""
    split = load_data(data, config.encode, config.holdout)
    codec = load_codec(split.codec_folder)
    clips, items = truth_of(data, split, codec), judged_windows(split.train)
    network = network_of_run(out / "run").eval()
    text = TextTable(split.latents, config.encode, split.prompts, network.unet.config.cross_attention_dim)
    made = generate(network, items, codec, text, window_sampling(config))
    codec_psnr = psnr(
        np.concatenate([(codec.decode(codec.encode(clip)) - clip.astype(float)) ** 2 for clip in clips]), np.array(True)
    )
    print(f"codec at {codec.picture} pixels: {codec_psnr:.1f} dB (at least {CODEC_PSNR:.0f})")
    scores = table(items, made, clips)
    print(f"{'PSNR, dB':22s} generated  repeat the last hint")
    for name, (ours, repeated) in sorted(scores.items()):
        print(f"{name:22s} {ours:9.2f}  {repeated:9.2f}  {ours - repeated:+.2f}")
    first = initial_network(config, split.train.shape[0], network.unet.config.cross_attention_dim)
    before, after = (bin_losses(net, split, config, text) for net in (first, network))
    print("log-SNR of the bin   before   after")
    for snr, was, now in zip(bin_log_snr(), before, after):
        print(f"{snr:18.2f} {was:8.4f} {now:8.4f}")
    rows = [
        pair for item, frames in zip(items[:8], made) for pair in (clips[item.sample][list(item.window.frames)], frames)
    ]
    write_png(out / "windows.png", picture_rows(rows))
    write_gif(out / "window.gif", np.concatenate(rows[:2], axis=2), fps=2)
    print(f"pictures: {out / 'windows.png'} (truth above generated; hints 4 columns, then 4, 8, 12 ahead)")
    info = newest_checkpoint(RunFolder(out / "run").checkpoints)
    assert info is not None
    print(f"samples seen: {load_checkpoint(info).progress['samples_seen']}")
    moving, whole = scores["all, moving"], scores["all, whole"]
    return bool(
        moving[0] >= moving[1] + BETTER_BY
        and whole[0] >= whole[1] - BEHIND_BY
        and codec_psnr >= CODEC_PSNR
        and (after < before).all()
    )


def main() -> None:
    """Make the data set, train, report; exit 1 if a bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="an empty folder")
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--steps", type=int, help="train this many steps instead")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--stage", default="extrapolation")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting, VALUE in JSON")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    overrides = {name: json_value(value) for name, _, value in (item.partition("=") for item in options.set)}
    data = options.out / "data"
    if not data.is_dir():
        make_clips(data, clips=4)
    encode_dataset(data, train_config(options.stage, **overrides).encode)
    config = train_for(options.minutes, options.steps, data, options.out, options.stage, overrides)
    sys.exit(not report(options.out, data, config))


def json_value(text: str) -> Any:
    """A command line's value: JSON, or the text itself."""
    import json

    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


if __name__ == "__main__":
    main()

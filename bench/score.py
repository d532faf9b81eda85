"""Is scoring as fast as its forward passes? And how long would 24,370 clips take?

    python bench/score.py                                   # tiny, on the CPU
    python bench/score.py --preset sd15 --device cuda       # needs a GPU; random weights of that size

Times `Scorer.losses` (reading, draws, objective, network, the way back) against bare calls of the same network on
the same inputs, alternately, and prints the ratio of the medians.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.clips import make_clips
from model.config import train_config
from model.data.latents import encode_dataset
from model.network.conditioning import FrameConditioning, network_input, noise_hints, noise_to_signal_of
from model.network.diffusion import add_noise
from model.scoring.policy import ScoreConfig
from model.scoring.score import ScoreJob, Scorer
from model.training.train import train

AT_LEAST, CLIPS, VRAM_GIB = 0.9, 24_370, 24.0


def settings(preset: str, device: str, steps: int) -> dict:
    """A training of one step: only its network matters here."""
    quiet = {"checkpoint_every": 10**6, "validate_every": 10**6, "sample_every": 10**6, "holdout": 0.0}
    chosen = {**quiet, "steps": steps, "workers": 0, "batch": 1, "device": device, "vram_gib": VRAM_GIB}
    if preset == "sd15":  # the embedded codec at 512 pixels has latents of SD's size, without a download
        encode = {"codec": "embedded", "picture": 512, "patch": 8, "channels": 4, "fit_frames": 32}
        chosen |= {"encode": encode, "init": "scratch"}
    return chosen


def bare(scorer: Scorer, place: int) -> None:
    """The network on the inputs of one sample, made beforehand by `prepare`, and nothing else."""
    with torch.no_grad():
        for inputs, timestep, text, cond in prepared(scorer, place):
            with scorer._precision():
                scorer.network(inputs, timestep, text, cond)
    if scorer.device.type == "cuda":
        torch.cuda.synchronize()


_inputs: dict[int, list] = {}


def prepared(scorer: Scorer, place: int) -> list:
    """Inputs of each forward pass of a sample."""
    if place not in _inputs:
        sample, made = scorer.reader.index.samples[place], []
        for group in scorer._groups_of(sample, 0):
            latents = scorer._latents(place, group.windows)
            level = noise_to_signal_of(group.windows, scorer.objective.hint_noise, group.draws.hint_level_BF)
            cond = FrameConditioning.of(group.windows, level)
            hints = noise_hints(latents, group.draws.hint_noise_BFCHW, level)
            noisy = add_noise(latents, group.draws.noise_BFCHW, group.draws.timestep_B)
            text = scorer.text_of(sample.prompt).to(scorer.device).expand(len(group.ks), -1, -1)
            made.append((network_input(noisy, hints, cond), group.draws.timestep_B, text, cond))
        _inputs[place] = made
    return _inputs[place]


def main() -> int:
    """Print ratio and hours; exit code 1 below AT_LEAST."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=["tiny", "sd15"], default="tiny")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--stage", default="extrapolation")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--batch", type=int, default=8)
    options = parser.parse_args()
    # On a CPU the process's own seconds, on one thread: other people's work on the machine does not count.
    clock = time.perf_counter if options.device == "cuda" else time.process_time
    with tempfile.TemporaryDirectory() as folder:
        data, run = Path(folder) / "data", Path(folder) / "run"
        make_clips(data, clips=2)
        config = train_config(options.stage, options.preset, **settings(options.preset, options.device, 1))
        encode_dataset(data, config.encode, device=options.device)
        train(data, run, config)
        scoring = ScoreConfig(batch=options.batch, device=options.device)
        torch.set_num_threads(scoring.threads)
        scorer = Scorer(ScoreJob(data=data, run=run, config=scoring), torch.device(options.device))
        places = range(len(scorer.reader.index.samples))
        times: dict[str, list[float]] = {"bare": [], "scored": []}
        for repeat in range(options.repeats + 2):
            for name, call in (("bare", lambda place: bare(scorer, place)), ("scored", scorer.losses)):
                began = clock()
                for place in places:
                    call(place)
                if repeat >= 2:
                    times[name].append((clock() - began) / len(places))
    seconds = {name: statistics.median(taken) for name, taken in times.items()}
    ratio = seconds["bare"] / seconds["scored"]
    print(f"{options.preset} on {options.device}, {options.stage}, K = {scoring.k}, windows a pass: {options.batch}")
    print(f"a sample: {seconds['scored']:.4f} s scored, {seconds['bare']:.4f} s bare forward passes: {ratio:.3f} "
          f"(at least {AT_LEAST})")  # fmt: skip
    print(f"{CLIPS:,} clips, one variant, one network: {CLIPS * seconds['scored'] / 3600:.2f} hours on this device")
    if options.device == "cuda":
        print(f"peak memory {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB of {VRAM_GIB:.0f}")
    return 0 if ratio >= AT_LEAST else 1


if __name__ == "__main__":
    sys.exit(main())

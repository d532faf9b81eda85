"""What a version is worth: runs that differ in nothing but their version and seed, judged on the unpruned hold-out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from model.data.codec import load_codec
from model.data.dataset import load_data
from model.data.poses import pose_reader
from model.data.text import TextTable
from model.devices import resolve_device
from model.network.objective import Objective
from model.runs.init_weights import network_of_run
from model.runs.run import Run
from model.scoring.scored_losses import require_holdout
from model.training.validation import BINS, bank_windows, bin_log_snr, sample_window, validation_losses, window_sampling


@dataclass(frozen=True)
class Evaluation:
    """How one run does on the hold-out."""

    bins: tuple[float, ...]
    """Mean loss in each log-SNR bin."""
    psnr: float
    """dB of generated target frames against the truth, at the codec's size."""


def evaluate_run(data: Path, run: Path, windows: int, generated: int) -> Evaluation:
    """The averaged network's losses on `windows` windows of the hold-out, and the quality of `generated` of them.

    The hold-out is the whole one, whatever version the run was trained on. Raises DataError if there is none.
    """
    ref = Run.open(run)
    require_holdout(data, ref.config)
    split = load_data(data, ref.config.encode, ref.config.holdout, pose=ref.config.pose)
    device = torch.device(resolve_device(ref.config.device))
    network = network_of_run(run).eval().requires_grad_(False).to(device)
    objective = Objective.of(ref.config, network.config.prediction_type)
    text = TextTable(split.latents, ref.config.encode, split.prompts, network.unet.config.cross_attention_dim)
    items = bank_windows(split.holdout, ref.config.stage, max(windows, generated), poses=pose_reader(ref.config, split))
    losses = validation_losses(network, objective, items[:windows], text, device).mean(0)
    codec, errors = load_codec(split.codec_folder, str(device)), []
    for number, item in enumerate(items[:generated]):
        made = sample_window(network, objective.prediction, item, text, window_sampling(ref.config), device, number)
        targets = [item.window.frames.index(frame) for frame in item.window.targets]
        shown, truth = (codec.decode(latents[targets]).astype(float) for latents in (made, item.latents))
        errors.append(np.mean((shown - truth) ** 2))
    psnr = float(np.mean([10 * np.log10(255**2 / max(error, 1e-9)) for error in errors]))
    return Evaluation(tuple(float(value) for value in losses), psnr)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half the width of its 95 % t interval; the half is NaN for a single value."""
    array = np.asarray(values, float)
    if len(array) < 2:
        return float(array.mean()), float("nan")
    half = stats.t.ppf(0.975, len(array) - 1) * array.std(ddof=1) / np.sqrt(len(array))
    return float(array.mean()), float(half)


def experiment_table(found: Mapping[str, Sequence[Evaluation]], base: str = "full") -> str:
    """Markdown: each version's hold-out loss and quality against `base`, seed by seed, with 95 % intervals."""
    lines = [
        f"| version | seeds | loss | loss against {base} | PSNR | PSNR against {base} |",
        "|---|---|---|---|---|---|",
    ]
    of_base = found[base]
    for name, runs in found.items():
        loss = [float(np.mean(run.bins)) for run in runs]
        ratio = [100 * _gain(run, other) for run, other in zip(runs, of_base)]
        better = [run.psnr - other.psnr for run, other in zip(runs, of_base)]
        lines.append(
            f"| {name} | {len(runs)} | {_shown(loss, '.4f')} | {_shown(ratio, '+.2f')} % | "
            f"{_shown([run.psnr for run in runs], '.2f')} dB | {_shown(better, '+.2f')} dB |"
        )
    lines += ["", f"| loss against {base}, % | " + " | ".join(f"log-SNR {snr:.1f}" for snr in bin_log_snr()) + " |"]
    lines.append("|---" * (BINS + 1) + "|")
    for name, runs in found.items():
        cells = []
        for bin_ in range(BINS):
            cells.append(
                _shown([100 * (run.bins[bin_] / other.bins[bin_] - 1) for run, other in zip(runs, of_base)], "+.2f")
            )
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _gain(run: Evaluation, other: Evaluation) -> float:
    """Relative difference of the mean losses."""
    return sum(run.bins) / sum(other.bins) - 1


def _shown(values: Sequence[float], form: str) -> str:
    mean, half = interval(values)
    width = f"± {half:{form.lstrip('+')}}" if np.isfinite(half) else "(no interval)"
    return f"{mean:{form}} {width}"


def verdict(found: Mapping[str, Sequence[Evaluation]], base: str = "full", control: str = "random") -> str:
    """One sentence: which versions beat both the whole data set and the control, beyond the intervals' width."""
    winners = []
    for name, runs in found.items():
        if name in (base, control):
            continue
        gains = []
        for other in (base, control):
            mean, half = interval([_gain(run, against) for run, against in zip(runs, found[other])])
            gains.append(mean + half < 0)
        if all(gains):
            winners.append(name)
    if winners:
        return f"Better than {base} and than {control}, beyond the 95 % intervals: {', '.join(winners)}."
    return f"No policy beats both {base} and {control} beyond the 95 % intervals: nothing is pruned by default."

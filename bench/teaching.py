"""What each piece of the teaching is worth: a network taught on, each piece alone, as many network calls for all.

    python bench/teaching.py --data DATA --test TEST --out OUT [--seeds 2] [--steps 80] [--clips 8] [--frames 65]

Every run begins with the weights of showcase/ and sees the same windows of DATA; runs of one seed differ in nothing but
the piece. Clips of TEST, of dancers that nothing was trained on, then dance their own dance, and frames are measured as
bench/star.py does: PSNR on moving pixels and on background that the first frame does not show, and sharpness. Pieces of
stage `star` make frames from the picture alone (3 sampler steps; `one step` takes 1); the error bank, which star has no
use for, is measured on stage `any` under plan `streaming`, whose hints are made frames. The copy gate is no training:
runs that are there are asked again. Gains are against `none` of the same seed and clip, with the interval (95 %) of the
clips' means over the seeds. A piece wins where a gain is beyond its interval and 0.02, and
above 0 with every seed, and nothing is lost beyond both. The same command again makes what is missing.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.star import danced, psnr, sharpness_of, through, to_and_fro, warped
from data_catalog.base.files import read_json, write_json
from data_catalog.base.paths import RunFolder
from model.config import train_config
from model.data.codec import load_codec
from model.data.landmarks import clip_landmarks
from model.data.latents import encode_dataset
from model.data.outlines import clip_outline
from model.data.samples import read_samples
from model.drift.report import real_clip
from model.plans.stages import STAGES
from model.pose.retarget import checked_dance
from model.rollout.config import sampling_config
from model.rollout.generate import Request, prepare
from model.runs.checkpoint import newest_step
from model.sources import SHOWCASE
from model.training.train import train
from pipeline.picture_size import PictureSize

MOVED = 20
"""8-bit levels by which a moving pixel differs from the first frame."""
NOISE = 0.02
"""What pieces that do nothing differ by, in dB and in sharpness."""
COLUMNS = ("moving dB", "uncovered dB", "sharpness")


@dataclass(frozen=True)
class Piece:
    """A way of teaching: settings beside those of `taught`, and how its network is asked."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    plan: str = "star"
    random_reference: bool = True
    sampling: Mapping[str, Any] = field(default_factory=dict)
    run_of: str | None = None
    """The piece whose networks are asked; None: its own."""


CHAINED = {"stage": "any", "pose": True, "plans": ("streaming",), "hint_noise": "none", "random_windows": 0.0}
CHAINED_SAMPLING = {"steps": 3, "temperature": 0.0, "hint_noise": {"extrapolation": 0.0, "interpolation": 0.0}}
PIECES = {
    "none": Piece(),
    "no random reference": Piece(random_reference=False),
    "timesteps near the sampler's": Piece({"timestep_shift": 3.0}),
    "one step": Piece({"one_step": True}),
    "moving and uncovered weighed": Piece({"weigh_moving": 4.0, "weigh_uncovered": 4.0}),
    "x0": Piece({"weigh_noise": "x0"}),
    "min-SNR": Piece({"weigh_noise": "min_snr"}),
    "one step, both weighed": Piece({"one_step": True, "weigh_moving": 4.0, "weigh_uncovered": 4.0}),
    "copy gate": Piece(sampling={"copy_gate": 0.0003}, run_of="none"),
    "one step, copy gate": Piece(sampling={"copy_gate": 0.0003}, run_of="one step"),
    "none, streaming": Piece(CHAINED, "streaming", sampling=CHAINED_SAMPLING),
    "error bank, streaming": Piece({**CHAINED, "error_share": 0.5}, "streaming", sampling=CHAINED_SAMPLING),
}


def taught(piece: Piece, seed: int, options: argparse.Namespace, run: Path) -> None:
    """Teach a network by a piece, unless it is taught."""
    if newest_step(RunFolder(run).checkpoints) == options.steps:
        return
    base = {
        "init": str(SHOWCASE), "steps": options.steps, "seed": seed, "batch": 4, "holdout": 0.0, "learning_rate": 5e-4,
        "warmup": 20, "ema": 0.95, "checkpoint_every": 10**6, "validate_every": 10**6, "sample_every": 10**6,
        "sample_windows": 1, "sample_steps": 1,
    }  # fmt: skip
    settings = {"stage": "star", **base, **piece.settings}
    config = train_config(**settings)
    encode_dataset(options.data, config.encode)
    star = STAGES["star"]
    STAGES["star"] = replace(star, random_reference=piece.random_reference)
    try:
        train(options.data, run, config)
    finally:
        STAGES["star"] = star


@dataclass(frozen=True)
class Clip:
    """A clip that nothing was trained on, and what the warp alone makes of its first frame and its dance."""

    real: np.ndarray
    dance: np.ndarray
    outline: np.ndarray | None
    warp: np.ndarray
    uncovered: np.ndarray

    @classmethod
    def of(cls, data: Path, name: str, frames: int, size: PictureSize) -> Clip:
        """So many frames of it, at the size of a network's pictures."""
        real = real_clip(data, name, size).frames_FHWC
        dance = checked_dance(clip_landmarks(data, name, size), name)
        outline = clip_outline(data, name, size, len(dance))
        order = to_and_fro(len(real), frames)
        return cls(real[order], dance[order], outline, *warped(real[0], dance[order], outline))

    def measured(self, frames: np.ndarray) -> list[float]:
        """COLUMNS."""
        moving = np.abs(self.real.astype(int) - self.real[0].astype(int)).max(-1) > MOVED
        pictures = psnr(frames, self.real, moving), psnr(frames, self.real, self.uncovered)
        return [*pictures, float(sharpness_of(frames))]


def judged(piece: Piece, run: Path, clips: Mapping[str, Clip], frames: int) -> dict[str, list[float]]:
    """COLUMNS of each clip, danced by a network."""
    sampling = sampling_config([run], {"copy_gate": 0.0, **piece.sampling}, piece.plan)
    prepared = prepare(Request((run,), piece.plan, frames, sampling))
    return {
        name: clip.measured(danced(prepared, clip.real[0], clip.dance, clip.outline)) for name, clip in clips.items()
    }


def gains(found: Mapping[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(3,) mean gain of a piece in COLUMNS' first two and nearness of sharpness, its interval, and (seeds, 3)."""
    without = "none, streaming" if name.endswith("streaming") else "none"
    real = found["real"][0, :, 2]

    def scores(rows: np.ndarray) -> np.ndarray:
        return np.concatenate([rows[..., :2], -np.abs(rows[..., 2:] - real[:, None])], -1)

    apart = scores(found[name]) - scores(found[without][: len(found[name])])
    by_clip = np.nanmean(apart, 0)
    half = 1.96 * np.nanstd(by_clip, 0, ddof=1) / np.sqrt(len(by_clip))
    return np.nanmean(by_clip, 0), half, np.nanmean(apart, 1)


def table(found: Mapping[str, np.ndarray]) -> list[str]:
    """A line for each piece: what it comes to, and what it gains."""
    lines = [f"{'':>30} {'moving dB':>10} {'uncovered dB':>13} {'sharpness':>10}   gains against none (95 %; by seed)"]
    for name, rows in found.items():
        means = np.nanmean(rows, (0, 1))
        line = f"{name:>30} {means[0]:10.3f} {means[1]:13.3f} {means[2]:10.3f}"
        if name in PIECES and not name.startswith("none"):
            mean, half, by_seed = gains(found, name)
            for label, number in (("moving", 0), ("uncovered", 1), ("sharpness nearer", 2)):
                seeds = ", ".join(f"{value:+.3f}" for value in by_seed[:, number])
                line += f"   {label} {mean[number]:+.3f} +- {half[number]:.3f} ({seeds})"
            noise = np.maximum(half, NOISE)
            better = (mean > noise) & (by_seed > 0).all(0)
            line += "   wins" if better.any() and (mean > -noise).all() else ""
        lines.append(line)
    return lines


def folder_of(out: Path, name: str, seed: int) -> Path:
    """Where the run of a piece lies."""
    return out / f"{name} {seed}".replace(" ", "-").replace(",", "").replace("'", "")


def main() -> None:
    """Teach, judge, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--data", "--test", "--out"):
        parser.add_argument(name, type=Path, required=True)
    for name, default in (("--seeds", 2), ("--steps", 80), ("--clips", 8), ("--frames", 65)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--only", nargs="+", choices=PIECES, default=list(PIECES))
    parser.add_argument("--kept", action="store_true", help="teach nothing: the table of what is there")
    options = parser.parse_args()
    names = sorted({sample.clip_id for sample in read_samples(options.test) if sample.ok})[: options.clips]
    codec = load_codec(SHOWCASE)
    clips = {name: Clip.of(options.test, name, options.frames, codec.picture) for name in names}
    results: dict[str, list[dict[str, list[float]]]] = {name: [] for name in options.only}
    for seed in range(options.seeds):
        for name in options.only:
            piece = PIECES[name]
            run, kept = folder_of(options.out, piece.run_of or name, seed), folder_of(options.out, name, seed)
            if not kept.with_suffix(".json").is_file():
                if options.kept:
                    continue
                taught(PIECES[piece.run_of or name], seed, options, run)
                write_json(kept.with_suffix(".json"), judged(piece, run, clips, options.frames))
            results[name].append(read_json(kept.with_suffix(".json")))
            means = np.nanmean(list(results[name][-1].values()), 0)
            print(f"seed {seed}, {name}: {means}", file=sys.stderr, flush=True)
    found = {name: np.array([[of[clip] for clip in names] for of in rows]) for name, rows in results.items() if rows}
    found["warp"] = np.array([[clip.measured(clip.warp) for clip in clips.values()]])
    found["codec"] = np.array([[clip.measured(through(codec, clip.real)) for clip in clips.values()]])
    found["real"] = np.array([[[np.nan, np.nan, float(sharpness_of(clip.real))] for clip in clips.values()]])
    warnings.simplefilter("ignore", RuntimeWarning)  # of columns that a video has no number for
    print(f"{options.steps} steps of 4 windows, {len(names)} clips, {options.frames} frames, {options.seeds} seeds")
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()

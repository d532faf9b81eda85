"""How much noise on hints, how much guidance over them: tried on held-out clips, for a run, stage by stage.

Each stage is run on its own output, as in a rollout: extrapolation continues from keys that it made, interpolation
fills between frames that it made. What comes out is compared with what really followed. The least error wins;
among settings within 1 % of it, the one that moves most nearly as much as the real clip, because an average of
all that could follow has a small error and no motion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_catalog.base.files import write_json
from data_catalog.base.paths import RunFolder
from model.data.codec import Codec, load_codec
from model.data.dataset import DataIndex, LatentReader, LatentSample, load_data
from model.data.text import TextTable
from model.devices import resolve_device
from model.drift.metrics import cut_out
from model.drift.motion import tile_colours, tile_travel
from model.errors import ConfigError, DataError, RunError
from model.network.diffusion import PredictionType
from model.network.objective import Network
from model.plans.plan import Call, make_plan
from model.plans.stages import CALL_STAGES, call_window, get_stage
from model.rollout.config import SamplingConfig, run_defaults
from model.rollout.refill import refilled
from model.rollout.stage_networks import NetworkPool
from model.runs.record import read_record
from model.runs.run import Run
from model.sampling.guidance import Scales, TextPair
from model.sampling.sample_window import CallNoise, CallSettings, make_window
from pipeline.clips.fill import Rectangle, common, rectangle

LEVELS = (0.0, 0.05, 0.1, 0.2, 0.33, 0.5, 0.7)
GUIDANCE = (1.0, 1.5, 2.0, 3.0)
LOOPS = 6
"""Extrapolation calls in series."""
NEAR_BEST = 1.01


@dataclass(frozen=True)
class Trial:
    """One setting, tried on all clips."""

    hint_noise: float
    hint_guidance: float
    error: float
    """Root mean squared error of the judged frames, in 8-bit levels."""
    motion: float
    """How far the picture's tiles travel over those of the real clips: 1 is right, 0 is frozen, grain adds nothing."""


@dataclass(frozen=True)
class Chain:
    """Calls of one stage that build on each other. `given` frames are real, `judged` ones are compared."""

    calls: tuple[Call, ...]
    given: tuple[int, ...]
    judged: tuple[int, ...]

    @property
    def frames(self) -> int:
        """Frames of a clip that the chain needs."""
        return 1 + max(max(call.frames) for call in self.calls)


def chain_of(stage: str, frames: int) -> Chain:
    """The chain that a stage is calibrated on, in clips of `frames` frames. Raises DataError if they are too short."""
    chain = _CHAINS[stage](frames)
    if not chain.judged or chain.frames > frames:
        raise DataError(f"Clips of {frames} frames are too short to calibrate {stage} calls: use longer ones.")
    return chain


def _starter(frames: int) -> Chain:
    calls = tuple(call for call in make_plan("origin", 7) if call.stage == "starter")
    return Chain(calls, (0,), calls[0].targets)


def _extrapolation(frames: int) -> Chain:
    made = (call for call in make_plan("origin", frames) if call.stage == "extrapolation")
    calls = tuple(call for call in made if call.targets[-1] < frames)[:LOOPS]
    return Chain(calls, (0, 1, 2, 6), tuple(f for call in calls[1:] for f in call.targets))


def _interpolation(frames: int) -> Chain:
    """Real keys, the gaps between them, and then the gaps between frames from the middles of those."""
    first = [Call("interpolation", (n, n + 4, n + 8), _between(n, n + 8)) for n in (0, 8, 16)]
    second = [Call("interpolation", (n, n + 4, n + 8), _between(n, n + 8)) for n in (2, 10)]
    judged = tuple(sorted(f for call in second for f in call.targets))
    return Chain((*first, *second), tuple(range(0, 25, 4)), judged)


def _between(low: int, high: int) -> tuple[int, ...]:
    return tuple(f for f in range(low + 1, high) if f != (low + high) // 2)


_CHAINS: dict[str, Callable[[int], Chain]] = {
    "starter": _starter,
    "extrapolation": _extrapolation,
    "interpolation": _interpolation,
}


@dataclass(frozen=True)
class CalibrationSetup:
    """What trials run on: a network, its codec, and clips' latents (F, C, H, W)."""

    network: Network
    prediction: PredictionType
    codec: Codec
    text: TextPair
    clips: tuple[Tensor, ...]
    regions: tuple[Rectangle | None, ...]
    """Where each clip's frames show their source's picture; None: everywhere. The rest is not compared."""
    sampling: SamplingConfig
    device: torch.device


def run_chain(
    bench: CalibrationSetup, chain: Chain, clip_FCHW: Tensor, level: float, guidance: float, number: int
) -> Tensor:
    """The latents of the chain's judged frames, as the network makes them from the given ones."""
    latents = {frame: clip_FCHW[frame] for frame in chain.given}
    generated: set[int] = set()
    sampling = bench.sampling
    settings = CallSettings(sampling.sampler, sampling.steps, sampling.temperature, level, Scales(guidance, 1.0))
    for place, call in enumerate(chain.calls):
        window = call_window(call)
        noise = CallNoise.of(bench.sampling.seed, f"calibrate/{number}", place, window, tuple(clip_FCHW.shape[1:]))
        made_FCHW = make_window(
            bench.network, bench.prediction, window, {hint: latents[hint] for hint in call.hints},
            frozenset(generated), noise, bench.text, settings, bench.device,
        )  # fmt: skip
        made_FCHW = refilled(made_FCHW, bench.regions[number], bench.codec)
        latents.update({f: made_FCHW[window.frames.index(f)] for f in call.targets})
        generated.update(call.targets)
    return torch.stack([latents[frame] for frame in chain.judged])


def try_setting(bench: CalibrationSetup, chain: Chain, level: float, guidance: float) -> Trial:
    """One setting on every clip."""
    squares, moved, real_moved = [], 0.0, 0.0
    for number, clip_FCHW in enumerate(bench.clips):
        both = run_chain(bench, chain, clip_FCHW, level, guidance, number), clip_FCHW[list(chain.judged)]
        made, real = (
            np.stack([cut_out(frame, bench.regions[number]) for frame in bench.codec.decode(latents)]).astype(float)
            for latents in both
        )
        squares.append(np.square(made - real).mean())
        moved += travelled(made)
        real_moved += travelled(real)
    return Trial(level, guidance, float(np.sqrt(np.mean(squares))), moved / max(real_moved, 1e-6))


def travelled(frames_FHWC: np.ndarray) -> float:
    """How far the tiles of a chain's judged frames travel in all, in 8-bit levels: too few frames to tell jitter by."""
    return float(np.nansum(tile_travel([tile_colours(frame) for frame in frames_FHWC], steady=False)))


def best_of(trials: Sequence[Trial]) -> Trial:
    """The least error; of those within 1 % of it, the one whose motion is nearest to the real one."""
    least = min(trial.error for trial in trials)
    near = [trial for trial in trials if trial.error <= NEAR_BEST * least]
    return min(near, key=lambda trial: (abs(trial.motion - 1), trial.error))


def calibrate(
    path: Path, data: Path | None, clips: int = 4, settings: SamplingConfig | None = None,
    levels: Sequence[float] = LEVELS, guidance: Sequence[float] = GUIDANCE,
    say: Callable[[str, Trial], None] = lambda stage, trial: None,
) -> dict[str, Any]:  # fmt: skip
    """Sweep a run and write what is best into its sampling defaults; returns what was written.

    First noise without guidance, then guidance at the best noise (for a run that was trained without hints now
    and then). A starter's only hint is frame 0, which is never noised. Raises RunError, DataError,
    ConfigError for a run that is told poses.
    """
    run = Run.open(path)
    _check_has_hints(run)
    sampling = settings or SamplingConfig()
    bench, keys, held_out = _bench(run, data or _data_of(path), clips, sampling)
    defaults, reason = {**run_defaults(path), "temperature": sampling.temperature}, {}
    for stage in get_stage(run.config.stage).serves:
        chain = chain_of(stage, min(len(clip) for clip in bench.clips))
        trials = list(_trials(bench, chain, [0.0] if stage == "starter" else levels, [1.0], stage, say))
        best = best_of(trials)
        if run.config.hint_dropout:
            others = [scale for scale in guidance if scale != 1]
            trials += _trials(bench, chain, [best.hint_noise], others, stage, say)
            best = best_of([trial for trial in trials if trial.hint_noise == best.hint_noise])
        for name in ("hint_noise", "hint_guidance"):
            defaults.setdefault(name, {})[stage] = getattr(best, name)
        reason[stage] = [asdict(trial) for trial in trials]
    record = {
        "defaults": defaults,
        "reason": reason,
        "clips": keys,
        "checkpoint": run.checkpoint.sha256,
        "held_out": held_out,
        "sampling": sampling.model_dump(include={"sampler", "steps", "seed", "temperature"}),
    }
    write_json(RunFolder(path).sampling, record)
    return record


def _trials(
    bench: CalibrationSetup, chain: Chain, levels: Sequence[float], scales: Sequence[float], stage: str,
    say: Callable[[str, Trial], None],
) -> Iterator[Trial]:  # fmt: skip
    for level in levels:
        for scale in scales:
            trial = try_setting(bench, chain, level, scale)
            say(stage, trial)
            yield trial


def _check_has_hints(run: Run) -> None:
    """Raise ConfigError for a run whose hints are no network's: there is nothing to find."""
    if run.config.pose:
        raise ConfigError(
            f"Run {run.path} is told poses, and makes every frame from the picture, which is never noised: there "
            "is nothing to calibrate; generate with --pose."
        )


def _bench(run: Run, data: Path, clips: int, sampling: SamplingConfig) -> tuple[CalibrationSetup, list[str], bool]:
    split = load_data(data, run.encode, run.config.holdout)
    if split.codec != run.codec:
        raise DataError(f"The data set {data} has latents of another codec than run {run.path} was trained on.")
    index = split.holdout if split.holdout.samples else split.train
    chosen = _spread(index, clips)
    reader = LatentReader(index)
    latents = tuple(
        torch.from_numpy(reader.read(place, range(index.samples[place].frames))).float() for place in chosen
    )
    device = torch.device(resolve_device(sampling.device))
    dtype = torch.bfloat16 if device.type == "cuda" and sampling.dtype != "fp32" else torch.float32
    network, prediction = NetworkPool(dict.fromkeys(CALL_STAGES, run), device, dtype)("starter")
    table = TextTable(split.latents, run.encode, split.prompts, network.unet.config.cross_attention_dim)
    prompt = table(index.samples[chosen[0]].prompt)[None].to(device)
    codec = load_codec(RunFolder(run.path).codec, str(device))
    regions = tuple(_region(index.samples[place], codec) for place in chosen)
    bench = CalibrationSetup(network, prediction, codec, TextPair(prompt, prompt), latents, regions, sampling, device)
    return bench, [index.samples[place].key for place in chosen], index is split.holdout


def _region(sample: LatentSample, codec: Codec) -> Rectangle | None:
    """The blocks of pixels of the latents that count in every frame."""
    if sample.counted is None:
        return None
    return rectangle(codec.factor * np.array(common(np.array(sample.counted))))


def _spread(index: DataIndex, clips: int) -> list[int]:
    """Samples of as many sources as possible."""
    by_source: dict[str, list[int]] = {}
    for place, sample in enumerate(index.samples):
        by_source.setdefault(sample.source_id, []).append(place)
    order = sorted((rank, place) for places in by_source.values() for rank, place in enumerate(places))
    return [place for _, place in order[:clips]]


def _data_of(run: Path) -> Path:
    """Where the run's data set lay when it was trained. Raises RunError if that is unknown or gone."""
    noted = read_record(run)["environment"].get("data")
    if noted is None or not Path(noted).is_dir():
        raise RunError(f"The data set of run {run} is not where it was ({noted}): name it with --data.")
    return Path(noted)


def trial_rows(record: dict[str, Any]) -> list[tuple[Any, ...]]:
    """A row per trial: stage, noise, guidance, error, motion, and whether it was chosen."""
    rows = []
    for stage, trials in record["reason"].items():
        chosen = (record["defaults"]["hint_noise"][stage], record["defaults"]["hint_guidance"][stage])
        for trial in trials:
            mark = "best" if (trial["hint_noise"], trial["hint_guidance"]) == chosen else ""
            numbers = (round(trial["error"], 3), round(trial["motion"], 3))
            rows.append((stage, trial["hint_noise"], trial["hint_guidance"], *numbers, mark))
    return rows

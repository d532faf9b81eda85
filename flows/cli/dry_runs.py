"""What `encode`, `score`, `prune` and `experiment` would do, in lines for the eye. Nothing is written or begun."""

from collections.abc import Sequence
from pathlib import Path

from data_catalog.base.files import read_json
from flows.folds import FOLDS, fold_of, needs_folds
from model.config import EncodeConfig
from model.data.dataset import choose_samples
from model.data.latents import codec_folder, manifest_path
from model.data.samples import read_samples, stored_frames
from model.data.versions import version_path
from model.runs.lineage import read_sources
from model.runs.run import Run
from model.scoring.policy import ScoreConfig
from model.scoring.request import PruneRequest
from model.scoring.scored_losses import scored_samples
from model.scoring.selection import check_early
from model.sources import CODEC_FILE
from model.training.memory import GIB
from model.training.shapes import latent_shape

AGAIN = "what is there already is not done again"


def encode_lines(root: Path, encode: EncodeConfig) -> list[str]:
    """The config, the samples, and the disk that their latents take. Raises DataError, CodecError."""
    shards = {sample.shard: sample.shard_sha256 for sample in read_samples(root)}
    codec, there = codec_folder(root, encode) / CODEC_FILE, 0
    if codec.is_file():
        kept = read_json(codec)["hash"]
        there = sum(manifest_path(root, kept, shard, sha256).is_file() for shard, sha256 in shards.items())
    channels, latents = latent_shape(encode)
    size = 2 * stored_frames(root) * channels * latents.area
    return [
        encode.model_dump_json(indent=1),
        f"latents: {len(read_samples(root)):,} samples in {len(shards)} shards, {there} of them encoded already",
        f"disk for latents: {size / GIB:.2f} GiB in all",
    ]


def score_lines(root: Path, run: Path, config: ScoreConfig, unseen: bool) -> list[str]:
    """The config, and how many losses of how many samples. Raises what scoring raises for a run that does not fit."""
    target = Run.open(run)
    count, what = len(_scored(root, target, unseen)), f"score {run.name} ({target.config.stage})"
    said = f"{what}: {count:,} samples x {config.k} losses = {count * config.k:,}; {AGAIN}"
    return [config.model_dump_json(indent=1), said]


def _scored(root: Path, target: Run, unseen: bool) -> set[str]:
    """The samples whose losses are measured."""
    good = choose_samples(root, target.config.holdout)
    seen = read_sources(target.path) if unseen else frozenset()
    return {s.key for s in good.good if s.source_id not in seen}


def prune_lines(request: PruneRequest) -> list[str]:
    """For each run the trainings, the losses and how many samples go. Raises what `prune` raises."""
    if request.name is not None:
        version_path(Path(request.data), request.name)
    lines: list[str] = []
    for run in request.runs:
        lines += _stage_lines(request, Run.open(run))
    if request.then_train:
        steps = request.then_steps
        lines += [
            f"train on from {run.name}: {steps or Run.open(run).config.steps:,} steps on its version"
            for run in request.runs
        ]
    return lines


def _stage_lines(request: PruneRequest, target: Run) -> list[str]:
    root, policy, score = Path(request.data), request.policy, request.scoring
    samples, lines = scored_samples(root, target.config, request.parent), []
    check_early(root, policy, samples.keys, target.config.stage)
    others = len([Run.open(other) for other in request.irreducible])
    if not request.irreducible and needs_folds(policy):
        others = FOLDS
        for fold in (fold_of(root, target, number, request.fit) for number in range(FOLDS)):
            lines.append(f"train {fold.run.name}: {fold.config.steps:,} steps on {len(fold.version.samples):,} samples")
    more = f", up to {score.most_k} near the cut" if score.adaptive else ""
    count = len(_scored(root, target, unseen=False))
    lines.append(f"score {target.path.name} ({target.config.stage}): {count:,} samples x {score.k} losses{more}")
    if others:
        lines.append(f"score {others} other runs on the samples that each never saw, as often")
    share = round(policy.fraction * len(samples.keys))
    goes = "go" if policy.action == "drop" else "stay"
    lines.append(
        f"{policy.score}: of {len(samples.keys):,} samples about {share:,} {goes}; "
        f"{len(samples.holdout_samples):,} are held out and stay; {AGAIN}"
    )
    return lines


def experiment_lines(request: PruneRequest, seeds: int, steps: int, compared: Sequence[str]) -> list[str]:
    """What is scored and trained to judge, then the trainings that are compared. Raises what `experiment` raises."""
    names, (run,) = ("full", *compared), request.runs
    return [
        *prune_lines(request),
        f"train {len(names)} versions ({', '.join(names)}) x {seeds} seeds from {run.name}: "
        f"{len(names) * seeds} trainings of {steps:,} steps",
        "judge each on the hold-out",
    ]

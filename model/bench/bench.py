"""Two sets of videos side by side: means, spreads, distances between the sets, and the protocol in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model.bench.measure import DRIFTS, BenchFigures, fitted, measure_video
from model.bench.videos import LONGEST, BenchVideo, videos_of
from model.drift.frechet import fvd, joint_motion_distance
from model.drift.metrics import METRICS, TRUTH_METRICS, Finder
from model.errors import MetricsError

COLUMNS = ("metric", "unit", "videos", "their spread", "real", "real spread")
UNITS = {
    "psnr": "dB", "ssim": "0 to 1", "lpips": "0 is the same", "pose_error": "px at 512", "fvd": "I3D features",
    "joint_motion_distance": "real spreads", "dynamic_degree": "share", "flow": "px at 256", "beat_alignment": "0 to 1",
    "found": "share",
    "visibility": "0 to 1", "proportions": "log ratio",
    "joint_motion": "body lengths/s", "picture_motion": "levels/s",
}  # fmt: skip
LEVELS = "8-bit levels"
ORDER = (
    *(f"drift_{name}" for name in DRIFTS),
    "dynamic_degree", "flow", *TRUTH_METRICS, "lpips", "beat_alignment", *METRICS,
)  # fmt: skip


def bench(
    place: Path, against: Path, finder: Finder, weights: Mapping[str, Path], most: int,
    progress: Callable[[int, int], None] = lambda done, total: None, data: Path | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Measure the videos of a place and the real ones; a report of JSON values. Raises MetricsError.

    A video and a real one of the same name are compared frame by frame. What cannot be read is passed over, and the
    protocol says so. data: whose catalog knows the rollouts of a run; without it `against`.
    """
    skipped: list[str] = []
    made = videos_of(place, data or against, most, skipped.append)
    real = videos_of(against, against, most, skipped.append)
    by_name = {video.name: video for video in real}
    pairs = {video.name for video in made} & set(by_name)
    figures: dict[str, list[BenchFigures]] = {"videos": [], "real": []}
    for done, video in enumerate([*made, *real], 1):
        side = "videos" if done <= len(made) else "real"
        partner = by_name.get(video.name) if side == "videos" else None
        try:
            figures[side].append(measure_video(video, finder, partner, weights))
        except MetricsError as error:  # it begins well, and is damaged further on
            skipped.append(str(error).rstrip("."))
        progress(done, len(made) + len(real))
    for side, where in (("videos", place), ("real", against)):
        if not figures[side]:
            raise MetricsError(f"No video of {where} can be read: {'; '.join(skipped)}.")
    measured = {side: {one.name for one in ones} for side, ones in figures.items()}
    made, real = [v for v in made if v.name in measured["videos"]], [v for v in real if v.name in measured["real"]]
    between = _between(figures, made, real, weights)
    return {
        "protocol": [*protocol(figures, len(pairs), weights), *(f"Passed over: {why}." for why in skipped)],
        "rows": [row(name, figures) for name in ORDER if any(name in one.values for one in figures["videos"])],
        "between": between,
        "each": {side: [_plain(one) for one in ones] for side, ones in figures.items()},
    }


def _between(
    figures: Mapping[str, Sequence[BenchFigures]], made: Sequence[BenchVideo], real: Sequence[BenchVideo],
    weights: Mapping[str, Path],
) -> dict[str, Any]:  # fmt: skip
    """Frechet distances between the two sets, with how many windows each had."""
    motion = joint_motion_distance(*([one.landmarks for one in figures[side]] for side in ("videos", "real")))
    found: dict[str, Any] = {"joint_motion_distance": motion.row() if motion else None}
    if "fvd" in weights:
        size = next(iter(made[0].frames())).shape[:2]

        def frames(videos: Sequence[BenchVideo]) -> Iterator[Iterator[np.ndarray]]:
            return (fitted(video.frames(), size) for video in videos)

        found["fvd"] = fvd(frames(made), frames(real), weights["fvd"]).row()
    return found


def row(name: str, figures: Mapping[str, Sequence[BenchFigures]]) -> list[Any]:
    """COLUMNS of one metric: mean over the videos and its standard deviation, of either side."""
    cells: list[Any] = []
    for side in ("videos", "real"):
        values = [one.values[name] for one in figures[side] if name in one.values]
        cells += [float(np.mean(values)), float(np.std(values))] if values else [None, None]
    return [name, UNITS.get(name.removeprefix("drift_"), LEVELS), *cells]


def protocol(figures: Mapping[str, Sequence[BenchFigures]], pairs: int, weights: Mapping[str, Path]) -> list[str]:
    """What was done, in sentences that belong under the table."""
    said = []
    for side, name in (("videos", "videos"), ("real", "real videos")):
        frames = [one.frames for one in figures[side]]
        rates = sorted({float(one.fps) for one in figures[side]})
        said.append(
            f"{len(frames)} {name} of {min(frames)} to {max(frames)} frames ({sum(frames)} in all) at "
            f"{', '.join(f'{rate:g}' for rate in rates)} a second, longer side at most {LONGEST} pixels."
        )
    ours = sum(one.ours for one in figures["videos"])
    if ours:
        said.append(
            f"{ours} are rollouts: their figures are those of `generate`, measured before compression and, "
            "where they began with a clip, against what really followed."
        )
    said.append(
        "drift_M: |mean of M over the first 15 % of the frames - over the last 15 %|, mean over videos (FramePack's "
        "start-end contrast); dynamic_degree by VBench's rule with DIS flow."
    )
    compared = f"{pairs} videos have a real one of the same name and are compared with it frame by frame"
    said.append(f"{compared}." if pairs else "No video has a real one of the same name to be compared with.")
    missing = [name.upper() for name in ("lpips", "fvd") if name not in weights]
    if missing:
        said.append(f"No {' and no '.join(missing)}: name the networks by --weights.")
    return said


def _plain(one: BenchFigures) -> dict[str, Any]:
    return {"name": one.name, "frames": one.frames, "fps": str(one.fps), "ours": one.ours, "values": one.values}

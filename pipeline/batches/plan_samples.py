"""A clip's samples before they are made: which frames, which crop, where the dancer is in each."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from data_catalog.base.paths import DataFolder
from pipeline.analysis.arrays import Analysis
from pipeline.analysis.cuts import shots
from pipeline.analysis.hands.hand_finder import hand_finder
from pipeline.analysis.pose import PoseFinder
from pipeline.batches.prepare_sources import build_keys
from pipeline.clips.crop import Crop, Placement, placed
from pipeline.clips.make_clips import Clip, dancer_of_shot, landmarks_at, steadied_dancer
from pipeline.clips.steadying.steady import Steady
from pipeline.config import BuildConfig
from pipeline.shards.augment import Recipe, draw, flipped, flipped_picture, moved_crop, retimed
from pipeline.shards.encode_clip import VariantJob
from pipeline.shards.frame_hands import hands_in_clip
from pipeline.shards.frame_poses import FramePoses, find_poses, with_neighbours
from pipeline.shards.masks import masks_in_clip
from pipeline.video.probe import Probe


@dataclass(frozen=True)
class PlannedSample:
    """A sample to be made: what is encoded, and its (frames, 33, 4) landmarks in clip pixels."""

    key: str
    variant: int
    job: VariantJob
    landmarks: np.ndarray
    placement: Placement
    """Where the picture lies in the clip, before a flip."""
    found: float | None = None
    """Share of its frames in which the dancer was found, where each was looked at."""
    masks: np.ndarray | None = None
    """Of its frames, bool (frames, h, w), where they are kept."""
    hands: np.ndarray | None = None
    """Of its frames, (frames, 2, 21, 4) in clip pixels, where they are kept."""


def sample_keys(clip_id: str, sample_set: str, variants: int) -> list[str]:
    """The keys of a clip's samples: v0, then its variants. No dot, as webdataset wants."""
    return [f"{clip_id}-{sample_set[:6]}-v{variant}" for variant in range(variants + 1)]


def plan_samples(
    data: DataFolder, clip: Clip, analysis: Analysis, found: Probe, config: BuildConfig
) -> list[PlannedSample]:
    """A clip's samples, v0 first."""
    planned = []
    found = analysis.probe_at(int(clip.window.frames[0]), found)
    keys = sample_keys(clip.clip_id, build_keys(config).sample_set, config.variants.count)
    for variant, key in enumerate(keys):
        job, landmarks, placement = variant_job(clip, analysis, found, variant, data.staged(key, "mp4"), config)
        planned.append(PlannedSample(key, variant, job, landmarks, placement))
    return planned


def with_frame_poses(
    planned: list[PlannedSample],
    clip: Clip,
    analysis: Analysis,
    descriptor: int,
    found: Probe,
    finder: PoseFinder,
    config: BuildConfig,
) -> list[PlannedSample]:
    """The samples with the landmarks that were found in their own frames, each frame looked at once.

    Raises:
        RejectedError: the source does not decode any more.
    """
    assert clip.crop is not None
    found = analysis.probe_at(int(clip.window.frames[0]), found)
    shot = shots([int(cut) for cut in analysis.cuts], len(analysis.pts))[clip.window.shot]
    frames = with_neighbours(np.unique(np.concatenate([sample.job.frames for sample in planned])), shot)
    dancer = dancer_of_shot(analysis, *shot, (found.height, found.width))
    if clip.steady is not None:
        dancer = steadied_dancer(dancer, analysis, clip.steady)
    expected, _ = landmarks_at(dancer, analysis.pts[frames], config.clips.max_gap_s)
    if clip.steady is not None:
        expected = clip.steady.in_source(expected, frames)
    scale = min(1.0, max(config.crop.size.height, config.analysis.proxy_px) / clip.crop.height)
    with_masks, hands = config.landmarks.masks, hand_finder() if config.landmarks.hands else None
    poses = find_poses(
        descriptor, found, analysis.pts, frames, expected, scale, finder, config.limits, with_masks, clip.steady, hands
    )
    return [_found_in_frames(sample, poses, clip.steady) for sample in planned]


def _found_in_frames(sample: PlannedSample, poses: FramePoses, steady: Steady | None) -> PlannedSample:
    """`steady`: whose picture the poses are in."""
    frames, placement, flip = sample.job.frames, sample.placement, sample.job.recipe.flip
    masks, landmarks, own = poses.masks_at(frames), poses.at(frames), sample.job.steady
    if steady is not None and own is not None:
        landmarks = steady.shifted(landmarks, own)
    move = None if own is None else own.at(frames)
    hands = poses.hands_at(frames)
    return replace(
        sample,
        hands=None if hands is None else hands_in_clip(hands, placement, flip, move),
        landmarks=in_clip(landmarks, placement, sample.job.recipe),
        found=poses.found_share(frames),
        masks=masks_in_clip(masks, placement, flip, move) if masks else None,
    )


def in_clip(landmarks: np.ndarray, placement: Placement, recipe: Recipe) -> np.ndarray:
    """(frames, 33, 4) landmarks from source pixels to those of a sample."""
    inside = placement.landmarks(landmarks)
    return flipped(inside, placement.size.width) if recipe.flip else inside


def variant_job(
    clip: Clip, analysis: Analysis, found: Probe, variant: int, out: Path, config: BuildConfig
) -> tuple[VariantJob, np.ndarray, Placement]:
    """(what is to be encoded, (frames, 33, 4) landmarks in clip pixels, where the picture lies before a flip).

    A variant that its source cannot give (no frames for the tempo, no crop for the new frames) keeps the
    clip's own frames or crop, and its recipe says so.
    """
    assert clip.crop is not None
    recipe, frames, crop, steady = (
        draw(clip.clip_id, variant, config.variants),
        clip.window.frames,
        clip.crop,
        clip.steady,
    )
    landmarks, known = clip.landmarks, clip.known
    shape = (found.height, found.width) if steady is None else steady.shape
    if variant:
        if crop.framing == "upper":  # there is no room to move, and heads would go first
            recipe = replace(recipe, zoom=1.0, shift=(0.0, 0.0))
        at_tempo = _retimed(clip, analysis, found, recipe, config)
        if at_tempo is None:
            recipe = replace(recipe, tempo=1.0)
            crop = moved_crop(landmarks, known, shape, recipe, config.crop) or crop
        else:
            frames, crop, landmarks, steady = at_tempo
            shape = shape if steady is None else steady.shape
    placement = placed(crop, shape, config.crop.size)
    return VariantJob(frames, crop, recipe, out, steady), in_clip(landmarks, placement, recipe), placement


def _retimed(
    clip: Clip, analysis: Analysis, found: Probe, recipe: Recipe, config: BuildConfig
) -> tuple[np.ndarray, Crop, np.ndarray, Steady | None] | None:
    """Frames at a recipe's tempo, their crop and landmarks, and their steadied picture; None if there are none."""
    shot = shots([int(cut) for cut in analysis.cuts], len(analysis.pts))[clip.window.shot]
    frames = retimed(analysis.pts, clip.window.frames, shot, recipe.tempo)
    if frames is None:
        return None
    shape, steady = (found.height, found.width), clip.steady
    dancer = dancer_of_shot(analysis, *shot, shape)
    if steady is not None:
        steady = steady.over(frames)
        if steady.kept < 1 - config.crop.steady_within:
            return None
        shape, dancer = steady.shape, steadied_dancer(dancer, analysis, steady)
    landmarks, known = landmarks_at(dancer, analysis.pts[frames], config.clips.max_gap_s)
    crop = moved_crop(landmarks, known, shape, recipe, config.crop)
    return None if crop is None else (frames, crop, landmarks, steady)


def place_row(placement: Placement, flip: bool) -> dict[str, Any]:
    """The clip's size, and where the picture lies in it, as JSON.

    `picture`: x0, y0, x1, y1 in pixels of the stored clip, per frame or once for all; what lies outside is filled.
    `source`: the part of the source that is shown there, in its pixels (mirrored, where the recipe says so); where
    there is a steadied picture, in that one's.
    """
    picture = flipped_picture(placement.picture, placement.size.width) if flip else placement.picture
    return {
        "size": list(placement.size),
        "picture": once(picture).tolist(),
        "source": once(np.round(placement.source, 3)).tolist(),
        "filled": round(placement.filled, 6),
    }


def once(rows: np.ndarray) -> np.ndarray:
    """One row where all (n, 4) are the same."""
    return rows[:1] if (rows == rows[:1]).all() else rows

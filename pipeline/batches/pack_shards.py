"""What a worker does with clips: their samples are staged one by one, then packed into shards."""

import hashlib
import io
import logging
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from data_catalog.base.errors import KilledError, RejectedError
from data_catalog.base.files import (
    canonical_json,
    make_folder,
    publish,
    read_json,
    read_sealed,
    temp_name,
    write_bytes,
    write_sealed,
)
from data_catalog.base.paths import DataFolder
from pipeline.analysis import arrays, sound_pass
from pipeline.analysis.arrays import Analysis
from pipeline.analysis.cuts import shots
from pipeline.batches.prepare_sources import build_keys, clips_of, finite
from pipeline.batches.stage_sound import SourceSounds
from pipeline.clips.crop import Placement, placed
from pipeline.clips.make_clips import Clip, dancer_of_shot, landmarks_at
from pipeline.config import BuildConfig
from pipeline.shards.augment import draw, flipped, flipped_picture, moved_crop, retimed
from pipeline.shards.encode_clip import VariantJob, encode_variants
from pipeline.shards.tar import MEMBERS, SOUND, ShardSample, write_shard
from pipeline.video.ffmpeg import open_source
from pipeline.video.probe import Probe

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlannedSample:
    """A sample to be made: what is encoded, and its (frames, 33, 4) landmarks in clip pixels."""

    key: str
    variant: int
    job: VariantJob
    landmarks: np.ndarray
    placement: Placement
    """Where the picture lies in the clip, before a flip."""


def sample_keys(clip_id: str, sample_set: str, variants: int) -> list[str]:
    """The keys of a clip's samples: v0, then its variants. No dot, as webdataset wants."""
    return [f"{clip_id}-{sample_set[:6]}-v{variant}" for variant in range(variants + 1)]


def encode_clips(
    data: DataFolder, source_id: str, path: bytes, clip_ids: list[str], config: BuildConfig
) -> Counter[str]:
    """Stage the samples of some clips of one source; all wait for the next run where it cannot be opened any more."""
    names = build_keys(config)
    analysed = read_sealed(data.analysis(source_id, names.analysis).with_suffix(".json"))
    wanted = {c for c in clip_ids if not _staged(data, c, config)}
    done: Counter[str] = Counter()
    if not wanted:
        return done
    try:
        descriptor = open_source(path)
    except RejectedError as error:
        logger.warning("Source %s cannot be opened any more, its clips wait for the next run: %s", source_id, error)
        return Counter(clips_unopened=len(wanted))
    try:
        analysis, found = arrays.load(data.analysis(source_id, names.analysis)), Probe(**analysed["probe"])
        clips = list(clips_of(data, source_id, analysed, config, wanted))
        planned = {clip.clip_id: plan_samples(data, clip, analysis, found, config) for clip in clips}
        sounds = _sounds(data, descriptor, source_id, clips, planned, analysis.pts, config)
        for clip in clips:
            try:
                done += _encode_clip(data, descriptor, clip, planned[clip.clip_id], sounds, analysis, found, config)
            except RejectedError as error:
                failure = {"clip_id": clip.clip_id, "code": error.code, "detail": error.detail}
                write_sealed(data.failure(clip.clip_id, names.sample_set), failure)
                done["clips_failed"] += 1
            except KilledError as error:
                logger.warning("Clip %s: %s The next run tries again.", clip.clip_id, error)
                done["clips_interrupted"] += 1
    finally:
        os.close(descriptor)
    return done


def _staged(data: DataFolder, clip_id: str, config: BuildConfig) -> bool:
    sample_keys_ = sample_keys(clip_id, build_keys(config).sample_set, config.variants.count)
    return all(data.staged(key, "json").is_file() for key in sample_keys_)


def _sounds(
    data: DataFolder,
    descriptor: int,
    source_id: str,
    clips: list[Clip],
    planned: Mapping[str, list[PlannedSample]],
    pts: np.ndarray,
    config: BuildConfig,
) -> SourceSounds | None:
    """The sound of the clips that have any; None where no sound is kept."""
    key = build_keys(config).sound
    if key is None:
        return None
    sounding = [clip for clip in clips if clip.row["sound"]]
    jobs = {sample.key: (sample.job, clip.window.fps) for clip in sounding for sample in planned[clip.clip_id]}
    return SourceSounds(descriptor, pts, sound_pass.load(data.sound(source_id, key)), jobs, config)


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


def _encode_clip(
    data: DataFolder,
    descriptor: int,
    clip: Clip,
    planned: list[PlannedSample],
    sounds: SourceSounds | None,
    analysis: Analysis,
    found: Probe,
    config: BuildConfig,
) -> Counter[str]:
    """Encode v0 and the variants in one run; each sample's json is published last."""
    found = analysis.probe_at(int(clip.window.frames[0]), found)
    make_folder(data.work)
    temps = {sample.key: temp_name(sample.job.out) for sample in planned}
    try:
        jobs = [replace(sample.job, out=temps[sample.key]) for sample in planned]
        encode_variants(
            descriptor, found, analysis.pts, jobs, clip.window.fps, config.crop, config.video, config.limits
        )
        for sample in planned:
            key, job = sample.key, sample.job
            publish(temps[key], job.out)
            buffer = io.BytesIO()
            np.save(buffer, sample.landmarks.astype(np.float32), allow_pickle=False)
            write_bytes(data.staged(key, "npy"), buffer.getvalue())
            meta = {"sample_key": key, "variant": sample.variant, "recipe": job.recipe.row(), "clip": finite(clip.row)}
            meta |= {
                "crop": job.crop.row(),
                "fps": str(clip.window.fps),
                "source_frames": [int(frame) for frame in job.frames],
                **place_row(sample.placement, job.recipe.flip),
            }
            if sounds is not None:
                meta["sound"] = _stage_sound(data, key, sounds)
            write_bytes(data.staged(key, "json"), canonical_json(meta))
    finally:
        for temp in temps.values():
            temp.unlink(missing_ok=True)
    return Counter(
        clips_encoded=1, samples_encoded=len(planned), frames_encoded=sum(len(s.job.frames) for s in planned)
    )


def _stage_sound(data: DataFolder, key: str, sounds: SourceSounds) -> dict[str, Any] | None:
    """Write a sample's sound; what its json says of it, None where there is none."""
    member = sounds.member(key)
    if member is None:
        return None
    flac, said = member
    write_bytes(data.staged(key, SOUND), flac)
    return said


def variant_job(
    clip: Clip, analysis: Analysis, found: Probe, variant: int, out: Path, config: BuildConfig
) -> tuple[VariantJob, np.ndarray, Placement]:
    """(what is to be encoded, (frames, 33, 4) landmarks in clip pixels, where the picture lies before a flip).

    A variant that its source cannot give (no frames for the tempo, no crop for the new frames) keeps the
    clip's own frames or crop, and its recipe says so.
    """
    assert clip.crop is not None
    recipe, frames, crop = draw(clip.clip_id, variant, config.variants), clip.window.frames, clip.crop
    landmarks, known, shape = clip.landmarks, clip.known, (found.height, found.width)
    if variant:
        if crop.framing == "upper":  # there is no room to move, and heads would go first
            recipe = replace(recipe, zoom=1.0, shift=(0.0, 0.0))
        shot = shots([int(cut) for cut in analysis.cuts], len(analysis.pts))[clip.window.shot]
        moved = retimed(analysis.pts, frames, shot, recipe.tempo)
        at = (landmarks, known)
        if moved is not None:
            dancer = dancer_of_shot(analysis, *shot, shape)
            at = landmarks_at(dancer, analysis.pts[moved], config.clips.max_gap_s)
        other = moved_crop(*at, shape, recipe, config.crop)
        if moved is None or other is None:
            recipe = replace(recipe, tempo=1.0)
            crop = moved_crop(landmarks, known, shape, recipe, config.crop) or crop
        else:
            frames, (landmarks, known), crop = moved, at, other
    placement = placed(crop, shape, config.crop.size)
    inside = placement.landmarks(landmarks)
    return (
        VariantJob(frames, crop, recipe, out),
        flipped(inside, config.crop.size.width) if recipe.flip else inside,
        placement,
    )


def place_row(placement: Placement, flip: bool) -> dict[str, Any]:
    """The clip's size, and where the picture lies in it, as JSON.

    `picture`: x0, y0, x1, y1 in pixels of the stored clip, per frame or once for all; what lies outside is filled.
    `source`: the part of the source that is shown there, in its pixels (mirrored, where the recipe says so).
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


def shard_name(clip_ids: list[str], sample_set: str) -> str:
    """A shard's file name: what is in it decides, nothing else."""
    return f"{sample_set[:6]}-{hashlib.sha256(' '.join(clip_ids).encode()).hexdigest()[:12]}.tar"


def pack_shard(data: DataFolder, clip_ids: list[str], config: BuildConfig) -> dict[str, Any] | None:
    """Move the staged samples of some clips into one tar; clips that failed or wait are left out.

    Returns the manifest, or None where no clip could be encoded.
    """
    sample_set = build_keys(config).sample_set
    encoded = [c for c in clip_ids if _staged(data, c, config)]
    samples = []
    for clip_id in encoded:
        for key in sample_keys(clip_id, sample_set, config.variants.count):
            meta = read_json(data.staged(key, "json"))
            kinds = (*MEMBERS, *([SOUND] if meta.get("sound") else []))
            files = {kind: data.staged(key, kind) for kind in kinds}
            row = {"clip_id": clip_id, "variant": meta["variant"], "recipe": meta["recipe"]}
            row |= {"picture": meta["picture"]} if meta.get("filled") else {}
            samples.append(ShardSample(key, row, files))
    if not samples:
        return None
    manifest = write_shard(data.shards / shard_name(encoded, sample_set), samples, sample_set)
    unstage(data, manifest)
    return manifest


def unstage(data: DataFolder, manifest: dict[str, Any]) -> None:
    """Remove the staged files of a finished shard's samples, the mark of completion first."""
    for sample in manifest["samples"]:
        for kind in ("json", "npy", "mp4", SOUND):
            data.staged(sample["sample_key"], kind).unlink(missing_ok=True)

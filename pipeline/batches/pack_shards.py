"""What a worker does with clips: their samples are staged one by one, then packed into shards."""

import hashlib
import io
import logging
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
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
from pipeline.analysis.pose import PoseFinder
from pipeline.batches.plan_samples import PlannedSample, place_row, plan_samples, sample_keys, with_frame_poses
from pipeline.batches.prepare_sources import build_keys, clips_of, finite
from pipeline.batches.stage_sound import SourceSounds
from pipeline.clips.make_clips import Clip
from pipeline.clips.scores import REFERENCE
from pipeline.config import BuildConfig
from pipeline.shards.background import check_steady
from pipeline.shards.encode_clip import encode_variants
from pipeline.shards.frame_hands import found_hands, write_hands
from pipeline.shards.masks import SCALE, write_masks
from pipeline.shards.tar import HANDS, MASKS, MEMBERS, OPTIONAL, SOUND, ShardSample, write_shard
from pipeline.video.probe import Probe
from pipeline.video.raw_source import open_raw

logger = logging.getLogger(__name__)


def encode_clips(
    data: DataFolder, source_id: str, path: bytes, clip_ids: list[str], config: BuildConfig, finder: PoseFinder
) -> Counter[str]:
    """Stage the samples of some clips of one source; all wait for the next run where it cannot be opened any more."""
    names = build_keys(config)
    analysed = read_sealed(data.analysis(source_id, names.analysis).with_suffix(".json"))
    wanted = {c for c in clip_ids if not _staged(data, c, config)}
    done: Counter[str] = Counter()
    if not wanted:
        return done
    try:
        descriptor = open_raw(path, source_id)
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
                samples = planned[clip.clip_id]
                if config.landmarks.every_frame:
                    samples = with_frame_poses(samples, clip, analysis, descriptor, found, finder, config)
                done += _encode_clip(data, descriptor, clip, samples, sounds, analysis, found, config)
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
        left = {sample.key: _steady_left(sample, temps[sample.key], clip) for sample in planned if sample.job.steady}
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
            if job.steady is not None:
                meta["steady"] = job.steady.row(job.frames) | {"left": left[key]}
            if sample.found is not None:
                meta["found"] = round(sample.found, 4)
            if sample.masks is not None:
                write_bytes(data.staged(key, MASKS), write_masks(sample.masks))
                meta["mask"] = {"scale": SCALE}
            if sample.hands is not None:
                write_bytes(data.staged(key, HANDS), write_hands(sample.hands))
                meta["hands"] = {"found": np.round(found_hands(sample.hands), 4).tolist()}
            if sounds is not None:
                meta["sound"] = _stage_sound(data, key, sounds)
            write_bytes(data.staged(key, "json"), canonical_json(meta))
    finally:
        for temp in temps.values():
            temp.unlink(missing_ok=True)
    return Counter(
        clips_encoded=1, samples_encoded=len(planned), frames_encoded=sum(len(s.job.frames) for s in planned)
    )


def _steady_left(sample: PlannedSample, path: Path, clip: Clip) -> float | None:
    """How much a steadied sample's background moves, if that is what was planned. Raises RejectedError."""
    job = sample.job
    glide = np.linalg.norm(np.diff(job.crop.corners, axis=0), axis=1).sum() / (len(job.frames) - 1)
    planned = float(clip.row["cam_translation"] or 0.0) + float(glide) * REFERENCE / job.crop.height
    picture = np.array(place_row(sample.placement, job.recipe.flip)["picture"])
    left = check_steady(path, sample.landmarks, picture, planned)
    return left if left is None else round(left, 4)


def _stage_sound(data: DataFolder, key: str, sounds: SourceSounds) -> dict[str, Any] | None:
    """Write a sample's sound; what its json says of it, None where there is none."""
    member = sounds.member(key)
    if member is None:
        return None
    flac, said = member
    write_bytes(data.staged(key, SOUND), flac)
    return said


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
            kinds = (*MEMBERS, *(kind for name, kind in OPTIONAL.items() if meta.get(name)))
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
        for kind in ("json", "npy", "mp4", *OPTIONAL.values()):
            data.staged(sample["sample_key"], kind).unlink(missing_ok=True)

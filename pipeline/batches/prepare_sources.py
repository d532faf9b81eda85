"""What a worker does with a batch of sources: probe, analyse, tile; manifests come out.

Every step is safe to repeat: what is already on disk is not made again. Each gives back counters of
the work that was really done.
"""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_catalog.base.errors import KilledError, LongdanceError, RejectedError
from data_catalog.base.files import read_sealed, write_sealed
from data_catalog.base.paths import DataFolder
from pipeline.analysis import arrays, sound_pass, source_pass
from pipeline.analysis.pose import PoseFinder, pose_finder
from pipeline.clips.frame_grid import native_rate
from pipeline.clips.make_clips import Clip, clip_set, make_clips
from pipeline.config import BuildConfig
from pipeline.shards.cut_sound import VERSION as SOUND_VERSION
from pipeline.shards.encode_clip import VERSION as ENCODE_VERSION
from pipeline.shards.frame_hands import VERSION as HANDS_VERSION
from pipeline.shards.frame_poses import VERSION as FRAMES_VERSION
from pipeline.video.probe import Probe, probe
from pipeline.video.raw_source import open_raw

logger = logging.getLogger(__name__)
LAST_FRAME_S = 1.0  # the longest that a source's last frame is shown: sound is listened to for as long


@dataclass(frozen=True)
class BuildKeys:
    """The names under which one config's results are kept."""

    analysis: str
    sound: str | None
    clip_set: str
    sample_set: str


def build_keys(config: BuildConfig) -> BuildKeys:
    """Derive them: a change of config renames exactly what depends on it."""
    analysis = config.analysis.key(source_pass.VERSION)
    sound = sound_pass.sound_key() if config.sound.keep else None
    clips = clip_set(analysis, config.clips, config.crop, sound)
    heard = [config.sound.model_dump(mode="json"), SOUND_VERSION] if config.sound.keep else []
    found: list[Any] = [FRAMES_VERSION, config.landmarks.masks] if config.landmarks.every_frame else []
    found += ["hands", HANDS_VERSION] if config.landmarks.every_frame and config.landmarks.hands else []
    samples = config.variants.key(clips, config.video.model_dump(mode="json"), ENCODE_VERSION, *heard, *found)
    return BuildKeys(analysis, sound, clips, samples)


def prepare_sources(data: DataFolder, batch: list[tuple[str, bytes]], config: BuildConfig, model: Path) -> Counter[str]:
    """Analyse and tile each (source_id, path) of a batch; its clip manifest is the mark that it is done."""
    done: Counter[str] = Counter()
    with pose_finder(model, config.analysis.max_people, config.analysis.min_pose_confidence) as finder:
        for source_id, path in batch:
            try:
                done += prepare_source(data, source_id, path, config, finder)
            except RejectedError as error:
                logger.warning("Source %s cannot be opened any more and waits for the next run: %s", source_id, error)
                done["sources_unopened"] += 1
            except (OSError, LongdanceError):  # a full or broken disk: continuing would lose everything else, too
                raise
            except KilledError as error:
                logger.warning("Source %s: %s The next run tries again.", source_id, error)
                done["sources_interrupted"] += 1
            except Exception:
                logger.exception("Source %s failed, which is a fault of longdance; the others continue.", source_id)
                done["sources_failed"] += 1
    return done


def prepare_source(
    data: DataFolder, source_id: str, path: bytes, config: BuildConfig, finder: PoseFinder
) -> Counter[str]:
    """Analyse, listen to and tile one source as far as that is not done.

    Raises:
        RejectedError: it cannot be opened. That is not a property of its bytes, so nothing is written down.
    """
    done: Counter[str] = Counter()
    names = build_keys(config)
    if not data.analysis(source_id, names.analysis).with_suffix(".json").is_file():
        done += analyse_source(data, source_id, path, config, finder)
    if names.sound is not None and not data.sound(source_id, names.sound).is_file():
        done += listen_to_source(data, source_id, path, config)
    return done + tile_source(data, source_id, config)


def record_rejected(data: DataFolder, source_id: str, path: bytes, config: BuildConfig, code: str, detail: str) -> None:
    """Write down a file that could not even be read."""
    manifest: dict[str, Any] = {
        "source_id": source_id,
        "status": "rejected",
        "reason": code,
        "detail": detail,
        "probe": None,
    }
    manifest |= {"path": path.hex(), "limits": config.limits.model_dump(mode="json")}
    write_sealed(data.clips(source_id, build_keys(config).clip_set), {**manifest, "clips": []})


def analyse_source(
    data: DataFolder, source_id: str, path: bytes, config: BuildConfig, finder: PoseFinder
) -> Counter[str]:
    """Probe and decode one source; what is found, or why it is rejected, goes to disk."""
    out = data.analysis(source_id, build_keys(config).analysis)
    manifest: dict[str, Any] = {"source_id": source_id, "status": "ok", "reason": None, "detail": None, "probe": None}
    counters: Counter[str] = Counter(sources_probed=1)
    descriptor = open_raw(path, source_id)
    try:
        found = probe(descriptor, config.limits)
        manifest["probe"] = asdict(found)
        counters["sources_decoded"] = 1
        analysis = source_pass.analyse(descriptor, found, finder, config.analysis, config.limits)
        arrays.save(analysis, out)
        native, constant = native_rate(analysis.pts)
        manifest |= {"fps": float(native), "variable_rate": not constant, "frames": len(analysis.pts)}
        manifest |= {"duration_s": float(analysis.pts[-1] - analysis.pts[0]) + 1 / float(native)}
        manifest |= {"shots": len(analysis.cuts) + 1 - len(analysis.transitions)}
        counters += Counter(frames_decoded=len(analysis.pts), poses_detected=len(analysis.pose_frames))
    except RejectedError as error:
        manifest |= {"status": "rejected", "reason": error.code, "detail": error.detail}
    finally:
        os.close(descriptor)
    manifest |= {"path": path.hex(), "limits": config.limits.model_dump(mode="json")}
    write_sealed(out.with_suffix(".json"), manifest)
    return counters


def listen_to_source(data: DataFolder, source_id: str, path: bytes, config: BuildConfig) -> Counter[str]:
    """Find the beats of an analysed source's sound; what was heard, or why nothing was, goes to disk."""
    names = build_keys(config)
    assert names.sound is not None
    found = data.analysis(source_id, names.analysis)
    if read_sealed(found.with_suffix(".json"))["status"] != "ok":
        return Counter()
    descriptor = open_raw(path, source_id)
    try:
        stop_s = float(arrays.load(found).pts[-1]) + LAST_FRAME_S
        heard = sound_pass.listen(descriptor, stop_s, config.limits)
    finally:
        os.close(descriptor)
    sound_pass.save(heard, data.sound(source_id, names.sound))
    return Counter(sources_heard=1)


def tile_source(data: DataFolder, source_id: str, config: BuildConfig) -> Counter[str]:
    """Cut an analysed source into clips: pure computation, nothing is decoded."""
    names = build_keys(config)
    analysed = read_sealed(data.analysis(source_id, names.analysis).with_suffix(".json"))
    manifest = {**analysed, "clips": []}
    if analysed["status"] == "ok":
        if names.sound is not None:
            heard = sound_pass.load(data.sound(source_id, names.sound))
            manifest |= {"sound": heard.sounds, "sound_reason": heard.reason, "sound_detail": heard.detail}
        try:
            manifest["clips"] = [finite(clip.row) for clip in clips_of(data, source_id, analysed, config)]
        except RejectedError as error:
            manifest |= {"status": "rejected", "reason": error.code, "detail": error.detail}
    write_sealed(data.clips(source_id, names.clip_set), manifest)
    return Counter(sources_tiled=1)


def clips_of(
    data: DataFolder, source_id: str, analysed: dict[str, Any], config: BuildConfig, only: set[str] | None = None
) -> Iterator[Clip]:
    """The clips of an analysed source, or only some of them, with their landmarks."""
    found = Probe(**analysed["probe"])
    names = build_keys(config)
    analysis = arrays.load(data.analysis(source_id, names.analysis))
    heard = sound_pass.load(data.sound(source_id, names.sound)) if names.sound is not None else None
    return make_clips(source_id, analysis, (found.height, found.width), config, names.clip_set, only, heard)


def finite(row: dict[str, Any]) -> dict[str, Any]:
    """A score that is not a number was not measured: None."""
    return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in row.items()}


LIMITED = ("timeout", "picture_too_large", "damaged", "killed_worker")  # what other limits might change


def forget_limited(data: DataFolder, source_ids: list[str], config: BuildConfig) -> set[str]:
    """Drop the records of sources that were rejected under other limits than today's; returns their ids."""
    names, dropped = build_keys(config), set()
    for source_id in source_ids:
        manifest = data.clips(source_id, names.clip_set)
        if manifest.is_file() and read_sealed(manifest).get("limits") != config.limits.model_dump(mode="json"):
            manifest.unlink()
            data.analysis(source_id, names.analysis).with_suffix(".json").unlink(missing_ok=True)
            dropped.add(source_id)
    return dropped

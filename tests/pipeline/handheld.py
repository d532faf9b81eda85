"""Drawn dancers before cameras that move: what is held still, beside the truth of camera and joints."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data_catalog.base.paths import DataFolder
from pipeline.analysis import arrays
from pipeline.analysis.arrays import Analysis
from pipeline.analysis.pose import MAIN, PoseFinder
from pipeline.batches.pack_shards import encode_clips
from pipeline.batches.plan_samples import sample_keys
from pipeline.batches.prepare_sources import build_keys, clips_of, prepare_source
from pipeline.clips.crop import placed
from pipeline.clips.make_clips import Clip, make_clips
from pipeline.clips.scores import REFERENCE
from pipeline.clips.steadying.steady import chained, inverse, moved
from pipeline.config import BuildConfig
from pipeline.synthetic.synth import SynthVideo, write_video
from tests.pipeline.truth import CAMERA_REASONS, precision_recall, reasons

HANDHELD, SWEEPS, AWAY = 44, 14, 14
CASES = [("handheld", n) for n in range(HANDHELD)] + [("pan", n) for n in range(SWEEPS)]
CASES += [("away", n) for n in range(AWAY)]
SIZES = ((360, 640, 0.4), (640, 360, 0.5), (432, 768, 0.45), (480, 480, 0.45))
CONFIG = BuildConfig.model_validate(
    {"sound": {"keep": False}, "variants": {"count": 0}, "landmarks": {"masks": False}, "workers": 1}
)


@dataclass(frozen=True)
class Judged:
    """One clip. Distances are pixels of the clip at 512; NaN of what was not stored."""

    kind: str
    number: int
    steadied: bool
    rejected: bool  # for its camera
    cannot: bool  # the same, had the camera been known exactly
    before: float  # true motion of the background a frame, at the clip's middle
    after: float  # true motion of what is stored
    measured: float  # the same, as the stored clip itself shows it
    drift: float  # of the true joints from where a camera that stands would show them, the mean over frames
    joints: float  # median distance of the stored joints to the truth, moved as the sample's json says
    detected: float  # the same of the detections in the source: what the detector does, and no steadying
    filled: float


def spec_of(kind: str, number: int, frames: int) -> SynthVideo:
    """A small video of one clip of so many frames, of a seed that nothing was tuned on."""
    width, height, standing = SIZES[number % len(SIZES)]
    seed = 7_300_000 + 1000 * ("handheld", "pan", "away").index(kind) + number
    return SynthVideo(
        name=f"{kind}_{number:03d}", seed=seed, width=width, height=height, fps=("24", "30", "25")[number % 3],
        frames=frames + 5, fault=kind, standing=standing, sound=False,
    )  # fmt: skip


def judged(kind: str, number: int, folder: Path, finder: PoseFinder, config: BuildConfig = CONFIG) -> Judged:
    """Draw one, build it, compare its clip with the truth."""
    spec, raw = spec_of(kind, number, config.clips.frames), folder / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    video, data, source_id = write_video(spec, raw), DataFolder(folder / "data" / spec.name), spec.name * 6
    shutil.rmtree(data.root, ignore_errors=True)
    truth = json.loads(video.with_suffix(".json").read_text())
    video.with_suffix(".json").unlink()
    prepare_source(data, source_id, bytes(video), config, finder)
    manifest = json.loads(data.clips(source_id, build_keys(config).clip_set).read_text())
    (clip,) = clips_of(data, source_id, manifest, config)
    analysis = arrays.load(data.analysis(source_id, build_keys(config).analysis))
    shape = (spec.height, spec.width)
    (ideal,) = make_clips(source_id, _with_true_camera(analysis, truth), shape, config, "ideal", None)
    rejected, cannot = (bool(reasons(one.row, config) & CAMERA_REASONS) for one in (clip, ideal))
    stored = clip.steady is not None and not rejected
    seen = _stored(data, source_id, video, clip, truth, finder, config) if stored else (np.nan,) * 2
    cameras = _whole(np.array(truth["camera"])[clip.window.frames])
    unit = REFERENCE / (clip.crop.height if clip.crop else max(shape))
    before = _motion(cameras, np.array(shape[::-1]) / 2) * unit
    after = drift = np.nan
    if clip.steady is not None:
        shown = _whole(chained(clip.steady.at(clip.window.frames), cameras[:, :2]))
        after, drift = _motion(shown, clip.steady.size / 2) * unit, _drift(shown, cameras, clip, truth) * unit
    video.unlink()
    filled = np.nan if clip.row["filled"] is None else clip.row["filled"]
    return Judged(
        kind, number, clip.steady is not None, rejected, cannot, before, after, seen[0], drift, seen[1],
        _detected(analysis, truth) * unit, filled,
    )  # fmt: skip


def _drift(shown: np.ndarray, cameras: np.ndarray, clip: Clip, truth: dict) -> float:
    """Mean distance, in pixels of the steadied picture, of true joints from where the mean camera shows them.

    Args:
        shown: (frames, 3, 3) from the world to the steadied picture; cameras: to the source's.
    """
    joints = np.array([truth["joints"][frame][0] for frame in clip.window.frames], float)[:, MAIN]
    world = moved(joints, inverse(cameras[:, :2]))
    still = np.broadcast_to(shown.mean(0)[:2], (len(shown), 2, 3))
    return float(np.linalg.norm(moved(world, shown[:, :2]) - moved(world, still), axis=-1).mean())


def _detected(analysis: Analysis, truth: dict) -> float:
    """Median distance of detected joints to true ones, in source pixels."""
    apart = []
    for number, frame in enumerate(analysis.pose_frames):
        people, true = analysis.people(number), np.array(truth["joints"][frame][0])
        if len(people) == 1:
            apart.append(np.linalg.norm(people[0][MAIN, :2] - true[MAIN], axis=-1))
    return float(np.median(apart)) if apart else float("nan")


def _with_true_camera(analysis: Analysis, truth: dict) -> Analysis:
    cameras = _whole(np.array(truth["camera"]))
    first, last = analysis.camera_frames.T
    return replace(analysis, camera=(cameras[last] @ np.linalg.inv(cameras[first]))[:, :2])


def _whole(affines: np.ndarray) -> np.ndarray:
    """(n, 3, 3)."""
    return np.concatenate([affines, np.broadcast_to([[[0.0, 0.0, 1.0]]], (len(affines), 1, 3))], 1)


def _motion(cameras: np.ndarray, at: np.ndarray) -> float:
    """Mean length of what lies at a place from frame to frame."""
    steps = (cameras[1:] @ np.linalg.inv(cameras[:-1]))[:, :2]
    there = moved(np.broadcast_to(at, (len(steps), 1, 2)), steps)[:, 0]
    return float(np.linalg.norm(there - at, axis=1).mean())


def _stored(
    data: DataFolder, source_id: str, video: Path, clip: Clip, truth: dict, finder: PoseFinder, config: BuildConfig
) -> tuple[float, float]:
    """(background's motion as measured, joints' distance) of the stored sample."""
    assert clip.steady is not None
    assert clip.crop is not None
    done = encode_clips(data, source_id, bytes(video), [clip.clip_id], config, finder)
    if not done["clips_encoded"]:
        return np.nan, np.nan
    (key,) = sample_keys(clip.clip_id, build_keys(config).sample_set, 0)
    meta = json.loads(data.staged(key, "json").read_text())
    landmarks = np.load(data.staged(key, "npy")).astype(float)
    affines = np.array(meta["steady"]["from_source"]).reshape(-1, 2, 3)
    joints = np.array([truth["joints"][frame][0] for frame in meta["source_frames"]], float)
    flat = np.concatenate([moved(joints, affines), np.zeros_like(joints)], -1)
    true = placed(clip.crop, clip.steady.shape, config.crop.size).landmarks(flat)
    left = meta["steady"]["left"]
    apart = np.linalg.norm((landmarks - true)[:, MAIN, :2], axis=-1)
    return (np.nan if left is None else left), float(np.median(apart))


def figures(rows: list[Judged]) -> dict[str, float]:
    """The figures that must hold."""
    held = [row for row in rows if row.kind == "handheld"]
    kept = [row for row in held if row.steadied and not row.rejected]
    found, true = (np.array([getattr(row, name) for row in rows]) for name in ("rejected", "cannot"))
    precision, recall = precision_recall(found, true)
    return {
        "handheld_clips": len(held), "kept": len(kept), "not_steady_after_encoding": sum(
            np.isnan(row.joints) for row in kept
        ),
        "motion_before_median": float(np.median([row.before for row in kept])),
        "motion_left_median": float(np.median([row.after for row in kept])),
        "motion_left_most": float(np.max([row.after for row in kept])),
        "motion_measured_median": float(np.nanmedian([row.measured for row in kept])),
        "motion_measured_most": float(np.nanmax([row.measured for row in kept])),
        "drift_median": float(np.median([row.drift for row in kept])),
        "drift_most": float(np.max([row.drift for row in kept])),
        "joints_median": float(np.nanmedian([row.joints for row in kept])),
        "detected_median": float(np.nanmedian([row.detected for row in kept])),
        "cannot_be_steadied": int(true.sum()), "rejected": int(found.sum()),
        "precision": precision, "recall": recall,
    }  # fmt: skip

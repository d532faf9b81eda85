"""How a build of synthetic dancers compares with the truth beside each video."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_catalog.base.paths import DataFolder
from pipeline.analysis import arrays
from pipeline.analysis.camera import decompose
from pipeline.analysis.pose import (
    BODY_PER_HEIGHT,
    CORE,
    LEFT_ANKLE,
    LEFT_WRIST,
    LIMBS,
    MAIN,
    RIGHT_ANKLE,
    RIGHT_WRIST,
    body_length,
    pelvis,
)
from pipeline.batches.prepare_sources import build_keys, clips_of, prepare_sources
from pipeline.batches.sources import hash_source, walk
from pipeline.clips.crop import placed
from pipeline.clips.make_clips import Clip
from pipeline.clips.scores import LOST_LIMBS, REFERENCE
from pipeline.clips.steadying.steady import chained, inverse, moved
from pipeline.config import BuildConfig

CAMERA_REASONS = {"camera_translation", "camera_zoom", "camera_rotation", "camera_shake"}
HEAVY_TRANSLATION, HEAVY_ZOOM = 2.0, 0.25  # pixels and per cent a frame: what a person calls a moving camera
OUT_SHARE = 0.08
ENDS = [LEFT_WRIST, RIGHT_WRIST, LEFT_ANKLE, RIGHT_ANKLE]


@dataclass(frozen=True)
class Judged:
    """One clip beside its truth."""

    video: str
    clip: Clip
    reasons: set[str]
    fault: str | None
    spans_cut: bool
    even: bool
    pelvis_error: float
    body_error: float
    joints_inside: float
    ends_inside: float  # of the wrists and ankles within the source's picture, the share within the clip's
    filled: float
    out_true: float
    translation_true: float
    zoom_true: float
    shaken: bool


def reasons(row: dict[str, Any], config: BuildConfig) -> set[str]:
    """The violated thresholds of a clip's row, as the catalog's view finds them."""
    found = {row["align_reason"]} - {None}
    for limit in config.thresholds.rows():
        value = row[limit["score"]]
        if value is not None and (value > limit["value"] if limit["op"] == ">" else value < limit["value"]):
            found.add(limit["reason"])
    return found


def judge_all(raw: Path, data: Path, model: Path, config: BuildConfig) -> list[Judged]:
    """Prepare a folder of synthetic videos and judge every clip, bad ones too."""
    folder, judged = DataFolder(data), []
    for file in walk(raw):
        path = Path(file.path.decode())
        if not path.with_suffix(".json").is_file():  # still being drawn
            continue
        source_id = hash_source(file)
        if not folder.clips(source_id, build_keys(config).clip_set).is_file():
            prepare_sources(folder, [(source_id, file.path)], config, model)
        manifest = json.loads(folder.clips(source_id, build_keys(config).clip_set).read_text())
        truth = json.loads(path.with_suffix(".json").read_text())
        if manifest["status"] == "ok":
            analysis = arrays.load(folder.analysis(source_id, build_keys(config).analysis))
            shape = (manifest["probe"]["height"], manifest["probe"]["width"])
            for clip in clips_of(folder, source_id, manifest, config):
                judged.append(judge(path.stem, clip, truth, analysis.pts, shape, config))
    return judged


def judge(
    video: str, clip: Clip, truth: dict[str, Any], pts: np.ndarray, shape: tuple[int, int], config: BuildConfig
) -> Judged:
    """Compare one clip with the truth of its frames."""
    frames = clip.window.frames
    assert len(truth["pts_s"]) == len(pts), f"{video}: {len(pts)} frames decoded, {len(truth['pts_s'])} drawn"
    everybody = np.array([truth["joints"][f] for f in frames], dtype=np.float64)  # (frames, people, 33, 2)
    landmarks = clip.landmarks if clip.steady is None else clip.steady.in_source(clip.landmarks, frames)
    apart = np.linalg.norm(pelvis(everybody) - pelvis(landmarks)[:, None], axis=-1)
    followed = apart[clip.known].mean(0).argmin() if clip.known.any() else 0  # one person all the way: a swap shows
    joints = shown = everybody[:, followed]
    main = joints[:, MAIN]
    picture = np.array([shape[1], shape[0]], float)
    inside = ((main >= 0) & (main <= picture)).all(-1)
    core, limbs = inside[:, : len(CORE)], inside[:, len(CORE) :]
    assert len(LIMBS) == limbs.shape[1]
    out = ~core.all(1) | ((~limbs).sum(1) >= LOST_LIMBS)
    side = clip.crop.height if clip.crop else max(shape)
    steps = _camera_steps(truth, frames)
    if clip.steady is not None:  # what is left
        shown, shape = moved(joints, clip.steady.at(frames)), clip.steady.shape
        steps = chained(chained(clip.steady.at(frames[1:]), steps), inverse(clip.steady.at(frames[:-1])))
    middle = clip.crop.at(len(frames)).mean(0) + clip.crop.size / 2 if clip.crop else picture / 2
    translation, zoom, _ = decompose(steps, middle)
    pelvis_error = body_error = joints_inside = ends_inside = filled = np.nan
    if clip.crop:
        placement = placed(clip.crop, shape, config.crop.size)
        flat = np.concatenate([shown, np.zeros_like(shown)], -1)
        inside_clip = placement.landmarks(flat)[..., :2]
        shares = inside_clip / config.crop.size
        pelvis_error = float(np.abs(pelvis(shares).mean(0) - [0.5, config.crop.pelvis_y]).max())
        tall = float(np.median(body_length(inside_clip))) / config.crop.size.height
        body_error = tall / (config.crop.body * BODY_PER_HEIGHT) - 1
        joints_inside = float(((shares[:, MAIN] >= 0) & (shares[:, MAIN] <= 1)).all((1, 2)).mean())
        ends_inside, filled = share_of_ends(joints, inside_clip, placement.picture, picture), placement.filled
    return Judged(
        video=video, clip=clip, reasons=reasons(clip.row, config), fault=truth["spec"]["fault"],
        spans_cut=any(frames[0] < cut <= frames[-1] for cut in truth["cuts"]),
        even=len(frames) == config.clips.frames and bool((np.diff(frames) > 0).all()),
        pelvis_error=pelvis_error, body_error=body_error, joints_inside=joints_inside,
        ends_inside=ends_inside, filled=filled, out_true=float(out.mean()),
        translation_true=float(np.linalg.norm(translation, axis=1).mean()) * REFERENCE / side,
        zoom_true=float(np.abs(zoom).mean()) * 100, shaken=truth["spec"]["fault"] == "shake" and clip.steady is None,
    )  # fmt: skip


def share_of_ends(joints: np.ndarray, inside_clip: np.ndarray, shown: np.ndarray, picture: np.ndarray) -> float:
    """Of all frames' wrists and ankles that lie within the source's picture, the share within what the clip shows.

    Args:
        joints: (frames, 33, >=2) in source pixels; inside_clip: the same in clip pixels.
        shown: (n, 4) where the picture lies in the clip; picture: (2,) the source's width and height.
    """
    there = ((joints[:, ENDS, :2] >= 0) & (joints[:, ENDS, :2] < picture)).all(-1)
    low, high = shown[:, None, :2] - 1, shown[:, None, 2:] + 1  # of rounding
    held = ((inside_clip[:, ENDS, :2] >= low) & (inside_clip[:, ENDS, :2] <= high)).all(-1)
    return float(held[there].mean()) if there.any() else 1.0


def _camera_steps(truth: dict[str, Any], frames: np.ndarray) -> np.ndarray:
    """(n - 1, 2, 3) affines that carry the background of each clip frame to the next, from world-to-picture maps."""
    whole = np.array([[*truth["camera"][f], [0, 0, 1]] for f in frames], dtype=np.float64)
    return np.asarray((whole[1:] @ np.linalg.inv(whole[:-1]))[:, :2])


def precision_recall(found: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """(precision, recall); 1 where there is nothing to find."""
    hits = float((found & true).sum())
    return hits / max(found.sum(), 1) if found.any() else 1.0, hits / true.sum() if true.any() else 1.0


def verdicts(judged: Judged) -> tuple[tuple[bool, bool], tuple[bool, bool]]:
    """(true, found): the camera moves; the dancer is out of the frame."""
    heavy = judged.translation_true > HEAVY_TRANSLATION or judged.zoom_true > HEAVY_ZOOM or judged.shaken
    out = judged.out_true > OUT_SHARE
    return (heavy, bool(judged.reasons & CAMERA_REASONS)), (out, "out_of_frame" in judged.reasons)


def wrong(judged: list[Judged]) -> list[str]:
    """The clips whose verdict is not the truth's, a line each."""
    lines = []
    for one in judged:
        for name, (true, found) in zip(("camera", "out of frame"), verdicts(one)):
            if true != found:
                numbers = {k: one.clip.row[k] for k in ("out_of_frame", "no_pose", "cam_translation", "steadied")}
                lines.append(
                    f"{one.video} {one.clip.clip_id}: {name} {true}, found {found}; {one.out_true:.3f} {numbers}"
                )
    return lines


def summary(judged: list[Judged]) -> dict[str, float]:
    """The figures that must hold."""
    ok = [j for j in judged if not j.reasons]
    (camera_true, camera_found), (out_true, out_found) = np.array([verdicts(j) for j in judged]).transpose(1, 2, 0)
    moving = [j for j in judged if j.translation_true > 1 and j.clip.row["cam_translation"] is not None]
    ratios = np.array([j.clip.row["cam_translation"] / j.translation_true for j in moving] or [1.0])
    camera, out = precision_recall(camera_found, camera_true), precision_recall(out_found, out_true)
    return {
        "clips": len(judged), "ok": len(ok), "spans_cut": sum(j.spans_cut for j in judged),
        "uneven": sum(not j.even for j in judged),
        "pelvis_within_3pc": float(np.mean([j.pelvis_error <= 0.03 for j in ok])),
        "body_within_8pc": float(np.mean([abs(j.body_error) <= 0.08 for j in ok])),
        "joints_inside_frames": float(np.mean([j.joints_inside for j in ok])),
        "least_ends_inside": float(np.min([j.ends_inside for j in ok])),
        "camera_clips": int(camera_true.sum()), "camera_precision": camera[0], "camera_recall": camera[1],
        "out_clips": int(out_true.sum()), "out_precision": out[0], "out_recall": out[1],
        "translation_ratio_min": float(ratios.min()), "translation_ratio_max": float(ratios.max()),
        "translation_within_10pc": float((np.abs(ratios - 1) <= 0.1).mean()),
    }  # fmt: skip

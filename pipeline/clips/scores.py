"""Scores of a clip: measured numbers, no decisions. Pixels are those of the stored clip, times are in its frames."""

import math
from typing import Any

import cv2
import numpy as np
from scipy.ndimage import uniform_filter1d

from pipeline.analysis.arrays import Analysis
from pipeline.analysis.camera import decompose
from pipeline.analysis.pose import (
    CORE,
    LEFT_ELBOW,
    LEFT_WRIST,
    LIMBS,
    MAIN,
    RIGHT_ELBOW,
    RIGHT_WRIST,
    body_length,
    pelvis,
)
from pipeline.analysis.tracking import main_joints_inside
from pipeline.clips.crop import Crop, placed
from pipeline.clips.frame_grid import FrameGrid
from pipeline.picture_size import PictureSize

REFERENCE = 512  # pixels are stated for a clip of this height
MIN_KNOWN = 0.5  # share of camera steps below which camera motion is unknown
SHAKE_WINDOW_S = 0.5
# A dancer last seen with the pelvis this near a border (sides, top and bottom; in body lengths) and gone has left.
EDGE = np.array([0.6, 0.4])
WALK_FRAMES = 15  # frames: who walks on for as long again and is then at a border is leaving
QUIET_CHANGE = 0.15  # of the usual change
LOST_LIMBS = 3  # of 8: as many hidden limbs as make a frame one with the dancer out of it
UPPER = [*CORE, LEFT_ELBOW, RIGHT_ELBOW, LEFT_WRIST, RIGHT_WRIST]


def scores(
    analysis: Analysis,
    window: FrameGrid,
    landmarks: np.ndarray,
    known: np.ndarray,
    shape: tuple[int, int],
    crop: Crop | None,
    size: PictureSize,
    duplicate_change: float,
) -> dict[str, Any]:
    """Every score of one clip's picture; None where it cannot be measured.

    Args:
        landmarks: (frames, 33, 4) of the dancer in pixels of the picture that is cut; known: (frames,) bool.
        shape: (height, width) of the picture that is cut: the source's, or the steadied one.
        crop: None where alignment rejected the clip: then pixels are those of the whole picture at 512.
        size: of the clip.
    """
    side = crop.height if crop else max(shape)
    middle = (crop.at(len(landmarks)).mean(0) + crop.size / 2) if crop else np.array([shape[1] / 2, shape[0] / 2])
    detections = detections_in(analysis, window)
    result = camera_scores(analysis, window, middle, REFERENCE / side)
    result |= {
        "visibility": _mean(landmarks[known][:, UPPER if shows_upper(crop) else MAIN, 3]),
        "people": _mean(np.diff(analysis.people_end, prepend=0)[detections]),
        "blur": _mean(analysis.blur[detections]),
        "brightness": _mean(analysis.brightness[detections]),
        "duplicated": duplicated(analysis.change, window.frames, duplicate_change),
        "motion_energy": motion_energy(landmarks, known, REFERENCE / side),
        "body_size": None,
        "pelvis_x": None,
        "pelvis_y": None,
        "out_of_crop_joints": None,
        "upscale": None,
        "filled": None,
    }
    if crop:
        placement = placed(crop, shape, size)
        inside = placement.chosen(known).landmarks(landmarks[known])
        checked = CORE if shows_upper(crop) else MAIN
        held = main_joints_inside(inside, np.zeros(2), np.array(size), checked).all(1)
        result |= {
            "out_of_crop_joints": _mean(np.logical_not(held)),
            "body_size": float(np.median(body_length(inside))) / size.height,
            "pelvis_x": float(pelvis(inside)[:, 0].mean()) / size.width,
            "pelvis_y": float(pelvis(inside)[:, 1].mean()) / size.height,
            "upscale": size.height / crop.height,
            "filled": placement.filled,
        }
    return result


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None


def detections_in(analysis: Analysis, window: FrameGrid) -> np.ndarray:
    """Indices of the detections within a clip."""
    low, high = np.searchsorted(analysis.pose_frames, [window.frames[0], window.frames[-1] + 1])
    return np.arange(low, high)


def camera_scores(analysis: Analysis, window: FrameGrid, middle: np.ndarray, scale: float) -> dict[str, float | None]:
    """Background motion per clip frame, at the middle of the crop.

    cam_translation: mean length in pixels; cam_zoom: mean |zoom| in per cent; cam_rotation: mean degrees;
    cam_shake: RMS difference, in pixels, of single steps from their moving average over half a second.
    """
    first, last = window.frames[0], window.frames[-1]
    inside = (analysis.camera_frames[:, 0] >= first) & (analysis.camera_frames[:, 1] <= last)
    steps, pairs = analysis.camera[inside], analysis.camera_frames[inside]
    good = np.isfinite(steps[:, 0, 0])
    names = ("cam_translation", "cam_zoom", "cam_rotation", "cam_shake")
    if not len(good) or good.mean() < MIN_KNOWN:
        return dict.fromkeys(names)
    seconds = (analysis.pts[pairs[:, 1]] - analysis.pts[pairs[:, 0]])[good]
    frames = seconds * float(window.fps)
    translation, zoom, rotation = decompose(steps[good], middle)
    speed = translation * scale / frames[:, None]
    between = np.diff(analysis.pts[pairs[good, 0]])
    width = max(3, round(SHAKE_WINDOW_S / float(np.median(between))) | 1) if len(between) else 1
    shake = speed - _moving_average(speed, width)
    values = (
        float(np.linalg.norm(speed, axis=1).mean()),
        float((np.abs(zoom) / frames).mean()) * 100,
        float((np.abs(rotation) / frames).mean()),
        math.sqrt(float((shake**2).sum(1).mean())),
    )
    return dict(zip(names, values, strict=True))


def _moving_average(speed: np.ndarray, width: int) -> np.ndarray:
    """Centred mean of (n, 2) speeds; at the ends they continue by point reflection: a steady turn has no shake."""
    half = min(width // 2, len(speed) - 1)
    if half == 0:
        return speed
    before = 2 * speed[0] - speed[half:0:-1]
    after = 2 * speed[-1] - speed[-2 : -half - 2 : -1]
    padded = np.concatenate([before, speed, after])
    return uniform_filter1d(padded, 2 * half + 1, axis=0)[half:-half]


def shows_upper(crop: Crop | None) -> bool:
    """Whether legs are not asked for."""
    return crop is not None and crop.framing == "upper"


def out_of_frame(
    landmarks: np.ndarray, known: np.ndarray, shape: tuple[int, int], upper: bool
) -> dict[str, float | None]:
    """Shares of frames and of joints out of the source picture, and of frames without the dancer.

    A frame counts as out when a core joint or LOST_LIMBS limb joints lie outside, or when the dancer is not
    found and was last seen at a border or walking to it, or is next seen coming from it. Legs are not asked for
    where the framing is `upper`.
    """
    high = np.array([shape[1], shape[0]], float)
    core = main_joints_inside(landmarks, np.zeros(2), high, CORE)
    limbs = main_joints_inside(landmarks, np.zeros(2), high, UPPER[len(CORE) :] if upper else LIMBS)
    out = known & (~core.all(1) | ((~limbs).sum(1) >= LOST_LIMBS))
    length = body_length(landmarks)
    hips = pelvis(landmarks)
    walked = np.concatenate([np.repeat(hips[:1], WALK_FRAMES, 0), hips])[: len(hips)]
    walks = np.concatenate([hips, np.repeat(hips[-1:], WALK_FRAMES, 0)])[WALK_FRAMES:]

    def near(place: np.ndarray) -> np.ndarray:
        """Frames in which a pelvis there would be at a border, or beyond it."""
        return np.asarray((np.minimum(place, high - place) < EDGE * length[:, None]).any(1) | ~core.all(1))

    out |= gone(known, near(hips) | near(2 * hips - walked), near(hips) | near(2 * hips - walks))
    joints = np.concatenate([core, limbs], 1)
    return {
        "out_of_frame": float(out.mean()),
        "out_of_frame_joints": _mean(~joints[known]),
        "no_pose": float((~known).mean()),
    }


def gone(known: np.ndarray, leaving: np.ndarray, coming: np.ndarray) -> np.ndarray:
    """Unknown frames before which the dancer was last seen leaving, or after which first seen coming."""
    frames = np.arange(len(known))
    before = np.maximum.accumulate(np.where(known, frames, -1))
    after = np.minimum.accumulate(np.where(known, frames, len(known))[::-1])[::-1]
    left = (before >= 0) & leaving[np.maximum(before, 0)]
    came = (after < len(known)) & coming[np.minimum(after, len(known) - 1)]
    return np.asarray(~known & (left | came))


def duplicated(change: np.ndarray, frames: np.ndarray, threshold: float) -> float:
    """Share of a clip's steps over which the source's picture stays the same.

    Compression changes a repeated frame, too, and more so where it is coarse: so a step is also a repetition
    where it changes far less than the clip's steps usually do.

    Args:
        change: (source frames,) largest block change since the frame before.
        threshold: largest change of a repeated frame, 8-bit levels.
    """
    most = np.maximum.reduceat(change[: frames[-1] + 1], frames[:-1] + 1)
    return float((most < max(threshold, QUIET_CHANGE * float(np.median(most)))).mean())


def motion_energy(landmarks: np.ndarray, known: np.ndarray, scale: float) -> float | None:
    """Mean speed of the main joints over steps between known frames, in clip pixels a frame."""
    both = known[1:] & known[:-1]
    speed = np.linalg.norm(np.diff(landmarks[:, MAIN, :2], axis=0), axis=-1) * scale
    return _mean(speed[both])


def clip_hash(thumb: np.ndarray, landmarks: np.ndarray) -> int:
    """64 bits: near duplicates differ in few of them.

    The upper half is a perceptual hash of the middle picture (signs of its lowest DCT terms around their
    median), the lower half of the dance (signs of wrist and ankle positions around the pelvis at four times),
    so that two dances before one background stay apart.
    """
    terms = cv2.dct(thumb.astype(np.float32))[:6, :6].ravel()[1:33]
    at = np.linspace(0, len(landmarks) - 1, 6).round().astype(int)[1:-1]
    joints = landmarks[at][:, LIMBS[2:4] + LIMBS[6:8], :2] - pelvis(landmarks[at])[:, None]
    usual = np.median(landmarks[:, LIMBS[2:4] + LIMBS[6:8], :2] - pelvis(landmarks)[:, None], axis=0)
    bits = np.concatenate([terms > np.median(terms), (joints > usual).ravel()])
    return int("".join("1" if bit else "0" for bit in bits), 2)

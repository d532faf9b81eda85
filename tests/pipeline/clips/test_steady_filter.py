"""What ffmpeg draws of a steadied picture lies where the sample says, to a small part of a pixel."""

import os
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.clips.crop import Crop, placed
from pipeline.clips.steadying.camera_path import affines_of
from pipeline.clips.steadying.steady import Steady, chained, inverse
from pipeline.config import CropConfig, VideoConfig
from pipeline.shards.augment import Recipe
from pipeline.shards.encode_clip import VariantJob, encode_variants
from pipeline.video.ffmpeg import open_source
from tests.pipeline.videos import LIMITS, ffmpeg, luma_of, pass_over

FRAMES, WIDTH, HEIGHT = 12, 320, 400
SOURCE = np.array([WIDTH, HEIGHT], float)


def cameras() -> np.ndarray:
    rng = np.random.default_rng(5)
    found = rng.normal(0, [0.01, 0.01, 4, 4], (FRAMES, 4))
    found[0] = 0
    return found


def filmed(folder: Path) -> tuple[Path, np.ndarray]:
    """A lossless video of one large soft picture before a camera that moves; (frames, H, W) luma of it."""
    random, path = np.random.default_rng(4), folder / "blobs.mkv"
    world = cv2.GaussianBlur(random.uniform(0, 255, (HEIGHT + 200, WIDTH + 200)).astype(np.float32), (0, 0), 5)
    world = cv2.normalize(world, None, 30, 220, cv2.NORM_MINMAX)
    shown = []
    for affine in affines_of(cameras(), SOURCE / 2):
        moved = affine.copy()
        moved[:, 2] += affine[:, :2] @ [-99.5, -99.5] - 0.5
        shown.append(cv2.warpAffine(world, moved, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC))
    frames = np.clip(np.round(shown), 0, 255).astype(np.uint8)
    ffmpeg("-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{WIDTH}x{HEIGHT}", "-r", "25", "-i", "pipe:0", "-c:v", "ffv1",
           "-pix_fmt", "yuv420p", "-color_range", "tv", str(path), stdin=frames.tobytes())  # fmt: skip
    return path, np.stack(pass_over(path)[2])[:, :HEIGHT]


def held() -> Steady:
    """The camera of `cameras` held where it was in the first frame."""
    affines = inverse(affines_of(cameras(), SOURCE / 2))
    return Steady(np.arange(FRAMES), affines, np.zeros(2), np.zeros(2, np.int64), SOURCE).over(np.arange(FRAMES))


def encoded(path: Path, crop: Crop, config: CropConfig) -> list[np.ndarray]:
    """The luma planes of the clip, nearly lossless."""
    found, pts, _ = pass_over(path)
    job = VariantJob(np.arange(FRAMES), crop, Recipe(), path.with_suffix(".mp4"), held())
    descriptor = open_source(bytes(path))
    try:
        encode_variants(descriptor, found, pts, [job], Fraction(25), config, VideoConfig(crf=1), LIMITS)
    finally:
        os.close(descriptor)
    return luma_of(job.out)


def shift_between(seen: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(2,) pixels by which one picture lies beside another, by least squares over gradients (Lucas, Kanade 1981)."""
    down, right = np.gradient(wanted.astype(float))
    gradients, apart = np.stack([-right.ravel(), -down.ravel()], 1), (seen.astype(float) - wanted).ravel()
    return np.asarray(np.linalg.lstsq(gradients, apart, rcond=None)[0])


@pytest.mark.parametrize("shape", ["160x160", "256x384"])
@pytest.mark.parametrize("outside", [False, True])
def test_the_same_place_of_the_world_stays_at_its_place_of_the_clip(shape: str, outside: bool, tmp_path: Path) -> None:
    path, frames = filmed(tmp_path)
    config = CropConfig(shape=shape)
    height, corner = (420, [-60, -30]) if outside else (240, [20, 10])
    crop = Crop(np.array([corner]), int(height * config.size.aspect) // 2 * 2, height, "full")
    seen = encoded(path, crop, config)
    placement = placed(crop, held().shape, config.size)
    assert (placement.filled > 0.02) == outside
    left, top, right, bottom = placement.picture[0]
    inner = np.s_[top + 4 : bottom - 4, left + 4 : right - 4]
    source, picture = placement.source[0], placement.picture[0]
    scale = (picture[2:] - picture[:2]) / (source[2:] - source[:2])
    to_clip = np.zeros((FRAMES, 2, 3))
    to_clip[:, 0, 0], to_clip[:, 1, 1] = scale
    to_clip[:, :, 2] = picture[:2] - source[:2] * scale
    for number, affine in enumerate(chained(to_clip, held().at(np.arange(FRAMES)))):
        affine[:, 2] += affine[:, :2] @ [0.5, 0.5] - 0.5
        wanted = cv2.warpAffine(frames[number], affine, tuple(config.size), flags=cv2.INTER_CUBIC)
        assert np.abs(shift_between(seen[number][inner], wanted[inner])).max() < 0.05, "of a pixel"
        assert np.abs(seen[number][inner].astype(int) - wanted[inner]).mean() < 2
    apart = [np.abs(one[inner].astype(int) - seen[0][inner]).mean() for one in seen[1:]]
    before = [np.abs(one.astype(int) - frames[0]).mean() for one in frames[1:]]
    assert np.mean(apart) < 0.2 * np.mean(before)


def test_a_gliding_crop_shows_all_that_it_says(tmp_path: Path) -> None:
    path, _ = filmed(tmp_path)
    config = CropConfig(shape="160x160", mode="follow")
    corners = np.stack([2 * np.arange(FRAMES), np.full(FRAMES, 40)], 1)
    still = encoded(path, Crop(np.array([[0, 40]]), 240, 240, "full"), config)
    glides = encoded(path, Crop(corners, 240, 240, "full"), config)
    for number, (one, other) in enumerate(zip(still, glides, strict=True)):
        shift = np.array([[1, 0, -number * 2 * 160 / 240], [0, 1, 0]], float)
        wanted = cv2.warpAffine(one, shift, (160, 160), flags=cv2.INTER_CUBIC)
        assert np.abs(shift_between(other[10:-10, 10:-40], wanted[10:-10, 10:-40])).max() < 0.1

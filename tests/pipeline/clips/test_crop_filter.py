"""A crop that reaches out of the picture, as ffmpeg draws it: the picture lies where it should, the rest is filled."""

import os
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.clips.crop import Crop, placed
from pipeline.config import CropConfig, VideoConfig
from pipeline.picture_size import PictureSize
from pipeline.shards.augment import Recipe, flipped_picture
from pipeline.shards.encode_clip import VariantJob, encode_variants
from pipeline.video.ffmpeg import open_source
from tests.pipeline.crops import square
from tests.pipeline.videos import LIMITS, ffmpeg, luma_of, pass_over

FRAMES, WIDTH, HEIGHT = 12, 160, 288


def drawn(folder: Path, tint: int = 0) -> Path:
    """A lossless upright video of soft blobs that move, so that misplaced pixels show."""
    random, path = np.random.default_rng(4), folder / "blobs.mkv"
    base = cv2.GaussianBlur(random.integers(16, 236, (HEIGHT, WIDTH + 40)).astype(np.uint8), (0, 0), 6)
    base = cv2.normalize(base, None, 30 + tint, 220, cv2.NORM_MINMAX)
    frames = np.stack([base[:, 2 * n : 2 * n + WIDTH] for n in range(FRAMES)])
    ffmpeg("-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{WIDTH}x{HEIGHT}", "-r", "25", "-i", "pipe:0", "-c:v", "ffv1",
           "-pix_fmt", "yuv420p", "-color_range", "tv", str(path), stdin=frames.tobytes())  # fmt: skip
    return path


def encoded(path: Path, crop: Crop, config: CropConfig, flip: bool = False) -> list[np.ndarray]:
    """The luma planes of the clip, nearly lossless."""
    found, pts, _ = pass_over(path)
    take = VariantJob(np.arange(FRAMES), crop, Recipe(flip=flip), path.with_suffix(f".{config.fill}.mp4"))
    descriptor = open_source(bytes(path))
    try:
        encode_variants(descriptor, found, pts, [take], Fraction(25), config, VideoConfig(crf=1), LIMITS)
    finally:
        os.close(descriptor)
    return luma_of(take.out)


@pytest.mark.parametrize("fill", ["edge", "blur", "mirror"])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("shape", ["128x128", "96x160"])
def test_the_picture_lies_in_its_rectangle_and_something_of_its_kind_around_it(
    fill: str, flip: bool, shape: str, tmp_path: Path
) -> None:
    config = CropConfig(shape=shape, fill=fill)
    tall = 320
    crop = Crop(np.array([[-70, -20]]), int(tall * config.size.aspect) // 2 * 2, tall, "full")
    path = drawn(tmp_path)
    _, _, pictures = pass_over(path)
    placement = placed(crop, (HEIGHT, WIDTH), config.size)
    [[x0, y0, x1, y1]] = placement.picture
    left, top, right, bottom = placement.source[0].astype(int)
    [[u0, v0, u1, v1]] = flipped_picture(placement.picture, config.size.width) if flip else placement.picture
    for got, picture in zip(encoded(path, crop, config, flip), pictures):
        assert got.shape == (config.size.height, config.size.width)
        wanted = cv2.resize(
            picture[:HEIGHT][top:bottom, left:right], (int(x1 - x0), int(y1 - y0)), None, 0, 0, cv2.INTER_AREA
        )
        inside = got[v0:v1, u0:u1]
        assert np.abs((wanted[:, ::-1] if flip else wanted).astype(int) - inside).mean() < 3
        outside = np.ones(got.shape, bool)
        outside[v0:v1, u0:u1] = False
        assert abs(float(got[outside].mean()) - float(inside.mean())) < 30  # no black bar


def test_a_crop_in_a_corner_is_mirrored_over_and_over(tmp_path: Path) -> None:
    """Three quarters are filled: more than the picture is wide, so that it is mirrored more than once."""
    crop = square([[-460, 40]], 600)
    config = CropConfig(shape=128, fill="mirror")
    got = encoded(drawn(tmp_path), crop, config)[0]
    assert got[20, :60].std() > 10
    assert got.min() > 16


def test_nothing_of_what_fills_a_moving_crop_reaches_the_pictures_rectangle(tmp_path: Path) -> None:
    """The same crop of a picture with white drawn on at all sides: inside the rectangle the clip is the same."""
    corners = np.stack([np.arange(FRAMES) * 4 - 60, np.full(FRAMES, -10)], 1)
    config = CropConfig(shape=128, mode="follow")
    path, wide = drawn(tmp_path), tmp_path / "wide.mkv"
    ffmpeg("-i", str(path), "-vf", f"pad={WIDTH + 400}:{HEIGHT + 200}:200:100:color=white", "-c:v", "ffv1", str(wide))
    placement = placed(square(corners, 300), (HEIGHT, WIDTH), PictureSize(128, 128))
    plain = encoded(path, square(corners, 300), config)
    padded = encoded(wide, square(corners + np.array([200, 100]), 300), config)
    for one, other, (x0, y0, x1, y1) in zip(plain, padded, placement.picture):
        apart = np.abs(one[y0:y1, x0:x1].astype(int) - other[y0:y1, x0:x1])
        assert apart.max() <= 6
        assert apart.mean() < 1


def test_a_moving_crop_reaches_out_without_a_jerk(tmp_path: Path) -> None:
    corners = np.stack([np.arange(FRAMES) * 6 - 80, np.arange(FRAMES) * 2 - 30], 1)
    config = CropConfig(shape=128, mode="follow")
    path = drawn(tmp_path)
    _, _, pictures = pass_over(path)
    placement = placed(square(corners, 300), (HEIGHT, WIDTH), config.size)
    assert 0.3 < placement.filled < 0.7
    got = encoded(path, square(corners, 300), config)
    for number, (x0, y0, x1, y1) in enumerate(placement.picture):
        whole = cv2.copyMakeBorder(pictures[number][:HEIGHT], 300, 300, 300, 300, cv2.BORDER_REPLICATE)
        x, y = corners[number] + 300
        wanted = cv2.resize(whole[y : y + 300, x : x + 300], (128, 128), interpolation=cv2.INTER_AREA).astype(int)
        assert np.abs(wanted - got[number])[y0:y1, x0:x1].mean() < 3


def test_colours_are_kept_in_what_is_filled(tmp_path: Path) -> None:
    path = tmp_path / "red.mkv"
    ffmpeg("-f", "lavfi", "-i", f"color=c=0xC83C28:s={WIDTH}x{HEIGHT}:r=25:d=0.5", "-pix_fmt", "yuv420p",
           "-c:v", "ffv1", "-colorspace", "bt709", "-color_range", "tv", str(path))  # fmt: skip
    found, pts, _ = pass_over(path)
    for fill in ("edge", "blur", "mirror"):
        take = VariantJob(np.arange(8), square([[-60, -10]], 300), Recipe(), tmp_path / f"{fill}.mp4")
        descriptor = open_source(bytes(path))
        config = CropConfig(shape=128, fill=fill)
        encode_variants(descriptor, found, pts, [take], Fraction(25), config, VideoConfig(crf=4), LIMITS)
        os.close(descriptor)
        with av.open(str(take.out)) as container:
            planes = next(container.decode(video=0)).to_ndarray(format="yuv420p").astype(int)
        for plane in (planes[:128], planes[128:160], planes[160:]):
            assert np.ptp(plane) <= 3

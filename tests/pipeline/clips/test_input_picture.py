"""An input picture lands where clips have their dancer, or the user is told in a sentence what is wrong with it."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from data_catalog.base.errors import LongdanceError
from pipeline.analysis.pose import PoseFinder, pelvis
from pipeline.clips.fill import fill_outside
from pipeline.clips.input_picture import aligned_picture, largest_person, middle_part, read_picture
from pipeline.config import CropConfig
from pipeline.picture_size import PictureSize


@pytest.fixture(scope="module")
def photo(dancer: Path) -> np.ndarray:
    """A frame of the drawn dancer with wall around it, so that there is room for a crop: 750x960."""
    with av.open(str(dancer)) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
    return np.pad(frame, ((240, 240), (240, 240), (0, 0)), mode="edge")


def test_the_dancer_of_a_picture_is_placed_as_in_a_clip(photo: np.ndarray, pose_model: Path, finder: PoseFinder):
    config = CropConfig()
    aligned, region = aligned_picture(photo, "photo", pose_model, config, PictureSize(256, 256))
    assert aligned.shape == (256, 256, 3)
    assert region == (0, 0, 256, 256)
    [landmarks] = finder.find(aligned)
    x, y = pelvis(landmarks) / 256
    assert x == pytest.approx(0.5, abs=0.06)
    assert y == pytest.approx(config.pelvis_y, abs=0.1)


def test_of_several_people_the_largest_is_taken(photo: np.ndarray, finder: PoseFinder):
    [person] = finder.find(photo)
    near, far = person.copy(), person.copy()
    near[:, :2] *= 1.3
    far[:, :2] = far[:, :2] * 0.5 + 300
    assert np.array_equal(largest_person(np.stack([far, near, person])), near)


def test_a_picture_without_a_person_is_refused_with_a_way_out(pose_model: Path):
    with pytest.raises(LongdanceError, match=r"No person was found in wall\.png.*--no-align"):
        aligned_picture(np.full((300, 300, 3), 90, np.uint8), "wall.png", pose_model, CropConfig(), PictureSize(64, 64))


def test_a_dancer_far_too_small_is_refused(photo: np.ndarray, pose_model: Path):
    with pytest.raises(LongdanceError, match=r"cannot be cropped as clips are.*--no-align"):
        aligned_picture(photo, "photo", pose_model, CropConfig(), PictureSize(2048, 2048))


def test_what_lies_outside_of_a_tight_picture_is_filled_and_its_place_is_told(dancer: Path, pose_model: Path):
    with av.open(str(dancer)) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
    tight = frame[:, frame.shape[1] // 2 - 90 : frame.shape[1] // 2 + 90]
    size = PictureSize(160, 160)
    aligned, region = aligned_picture(tight, "photo", pose_model, CropConfig(max_filled=0.95), size)
    x0, y0, x1, y1 = region
    assert (x1 - x0) * (y1 - y0) < 0.9 * size.area
    assert aligned.shape == (160, 160, 3)
    assert np.array_equal(fill_outside(aligned, region), aligned)
    other = aligned.copy()
    other[:, :x0] = 0
    assert np.array_equal(fill_outside(other, region), aligned)


@pytest.mark.parametrize(("size", "sides"), [((64, 64), (100, 200)), ((32, 64), (125, 175))])
def test_the_middle_part_needs_nobody(size: tuple[int, int], sides: tuple[int, int]):
    picture = np.zeros((100, 300, 3), np.uint8)
    picture[:, sides[0] : sides[1]] = 255
    part = middle_part(picture, PictureSize(*size))
    assert part.shape == (size[1], size[0], 3)
    assert (part == 255).all()


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_pictures_of_common_kinds_are_read(kind: str, tmp_path: Path):
    Image.new("RGB", (40, 30), (200, 100, 50)).save(tmp_path / f"p.{kind}")
    picture = read_picture(tmp_path / f"p.{kind}")
    assert picture.shape == (30, 40, 3)
    assert np.abs(picture.mean((0, 1)) - [200, 100, 50]).max() < 4


def test_exif_turns_a_picture_upright_and_transparency_is_white(tmp_path: Path):
    turned = Image.new("RGBA", (40, 30), (0, 0, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "p.png", exif=exif)
    picture = read_picture(tmp_path / "p.png")
    assert picture.shape == (40, 30, 3)
    assert (picture == 255).all()


def test_grey_of_16_bits_keeps_its_brightness_and_of_32_bits_is_refused(tmp_path: Path):
    grey = np.linspace(0, 65535, 64 * 64).reshape(64, 64)
    Image.fromarray(grey.astype(np.uint16)).save(tmp_path / "grey.png")
    assert np.abs(read_picture(tmp_path / "grey.png")[..., 1] - grey / 257).max() <= 1
    Image.fromarray(grey.astype(np.float32)).save(tmp_path / "grey.tiff")
    with pytest.raises(LongdanceError, match="pixels of 32 bits"):
        read_picture(tmp_path / "grey.tiff")


def test_a_picture_too_long_for_what_scales_it_is_refused(tmp_path: Path):
    Image.new("RGB", (60000, 4)).save(tmp_path / "strip.png")
    with pytest.raises(LongdanceError, match="60000x4 pixels: at most 16384 a side"):
        read_picture(tmp_path / "strip.png")
    with pytest.raises(LongdanceError, match="it is a folder"):
        read_picture(tmp_path)


def test_what_is_no_picture_is_refused_in_one_sentence(tmp_path: Path):
    (tmp_path / "text.png").write_text(json.dumps({"not": "a picture"}))
    Image.new("RGB", (64, 64)).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:60])
    (tmp_path / "script.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    for name in ("text.png", "cut.png", "script.eps", "absent.png"):
        with pytest.raises(LongdanceError, match="cannot be read as a picture"):
            read_picture(tmp_path / name)

"""Settings of the build: shapes as people write them, old names and old records as they were meant."""

import logging

import pytest
from pydantic import ValidationError

from pipeline.batches.prepare_sources import build_keys
from pipeline.config import BuildConfig, CropConfig
from pipeline.picture_size import PictureSize

OLD_CROP = {
    "mode": "static", "size": 512, "body": 0.62, "pelvis_y": 0.55, "margin": 0.03, "max_grow": 1.07, "min_shrink": 0.3,
    "max_upscale": 2.0, "follow_speed": 0.01,
}  # fmt: skip
"""A crop as builds recorded it while every clip was a square within the picture."""


@pytest.mark.parametrize(
    ("given", "size"),
    [("384x640", (384, 640)), ("512", (512, 512)), (256, (256, 256)), ("512x512", (512, 512)), (" 96x160 ", (96, 160))],
)
def test_a_shape_is_width_x_height_or_the_side_of_a_square(given: str | int, size: tuple[int, int]) -> None:
    config = CropConfig(shape=given)
    assert config.size == size
    assert config.shape == f"{size[0]}x{size[1]}"
    assert PictureSize.parse(config.size.short) == size


@pytest.mark.parametrize("given", ["384x640x3", "384*640", "100x160", "48x640", "2048x512", "x640", "0x64", "-64"])
def test_what_is_no_shape_is_refused_in_words(given: str) -> None:
    with pytest.raises(ValidationError, match=r"multiples of 16|width x height"):
        CropConfig(shape=given)


def test_the_old_name_of_the_shape_works_with_a_notice(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        config = BuildConfig.model_validate({"crop": {"size": 256}})
    assert config.crop.shape == "256x256"
    assert config.crop.fit == "body"
    assert "'size' of CropConfig is called 'shape' now" in caplog.text


def test_a_recorded_build_means_what_it_meant_and_has_the_names_that_it_had(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        config = BuildConfig.recorded({"crop": OLD_CROP, "encode": {"crf": 18}})
    assert (config.crop.fit, config.crop.shape, config.crop.body, config.video.crf) == ("upper", "512x512", 0.62, 18)
    assert not caplog.text
    assert config.crop.identity() == OLD_CROP
    again = BuildConfig.recorded(config.model_dump(mode="json"))
    assert build_keys(again) == build_keys(config)
    assert BuildConfig.recorded({}) == BuildConfig()


def test_what_does_not_matter_to_a_crop_is_no_part_of_its_name() -> None:
    upper = CropConfig(fit="upper")
    assert upper.identity() == CropConfig(fit="upper", fill="blur", max_filled=0.1).identity()
    assert CropConfig().identity() != CropConfig(fill="blur").identity()
    assert CropConfig(fit="upper", shape="384x640").identity()["shape"] == "384x640"


def test_a_moving_window_is_filled_by_its_edge_alone() -> None:
    with pytest.raises(ValidationError, match="filled by 'edge'"):
        CropConfig(mode="follow", fill="mirror")

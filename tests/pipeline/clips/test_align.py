"""The crop that holds the body: the dance inside, pelvis and size at their place, no more filled than need be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_catalog.base.errors import RejectedError
from pipeline.analysis.pose import LEFT_ANKLE, LEFT_WRIST, RIGHT_ANKLE, RIGHT_WRIST, pelvis
from pipeline.clips.align import SNAP, plan_crop
from pipeline.clips.body_extent import BODY, standing_height
from pipeline.clips.crop import Crop, placed
from pipeline.config import CropConfig
from tests.pipeline.crops import in_clip, planned
from tests.pipeline.people import dance

CONFIG = CropConfig()
FRAMES = 40
KNOWN = np.ones(FRAMES, bool)
ENDS = [LEFT_WRIST, RIGHT_WRIST, LEFT_ANKLE, RIGHT_ANKLE]
shapes = st.sampled_from(["512x512", "384x640", "640x384", "512x640"])
modes = st.sampled_from(["static", "follow"])


def ends_held(landmarks: np.ndarray, crop: Crop, shape: tuple[int, int], config: CropConfig) -> float:
    """Of wrists and ankles within the source's picture, the share within what the clip shows of it."""
    placement = placed(crop, shape, config.size)
    points, inside = landmarks[:, ENDS, :2], placement.landmarks(landmarks)[:, ENDS, :2]
    there = ((points >= 0) & (points < [shape[1], shape[0]])).all(-1)
    low, high = placement.picture[:, None, :2] - 3, placement.picture[:, None, 2:] + 3
    return float(((inside >= low) & (inside <= high)).all(-1)[there].mean()) if there.any() else 1.0


@settings(deadline=None, max_examples=200)
@given(
    st.tuples(st.integers(200, 2200), st.integers(200, 2200)), st.tuples(st.floats(0.1, 0.9), st.floats(0.5, 1.2)),
    st.floats(0.3, 1.2), st.floats(0, 2), modes, shapes, st.floats(0, 0.1),
)  # fmt: skip
def test_a_crop_has_the_clips_shape_and_even_pixels_and_shows_some_of_the_picture(
    shape: tuple[int, int], place: tuple[float, float], height: float, swing: float, mode: str, clip: str, margin: float
) -> None:
    config = CropConfig(mode=mode, shape=clip, margin=margin)
    landmarks = dance(FRAMES, place[0] * shape[1], place[1] * shape[0], height * shape[0], swing)
    crop = planned(landmarks, shape, config)
    if crop is None:
        return
    assert crop.width % 2 == crop.height % 2 == 0
    assert crop.width == pytest.approx(crop.height * config.size.aspect, abs=2)
    assert (crop.corners % 2 == 0).all()
    assert crop.corners.dtype.kind == "i"
    assert len(crop.corners) == (1 if mode == "static" else FRAMES)
    assert placed(crop, shape, config.size).shows_enough
    assert config.size.height / crop.height <= config.max_upscale * 1.02


@settings(deadline=None, max_examples=60)
@given(st.floats(0.3, 0.7), st.floats(0.5, 0.9), modes, st.sampled_from([(1920, 1080), (1024, 576), (1080, 1920)]))
def test_pelvis_and_body_size_are_at_their_place_however_little_room_there_is(
    x: float, share: float, mode: str, shape: tuple[int, int]
) -> None:
    landmarks = dance(FRAMES, x * shape[1], 0.95 * shape[0], share * shape[0], swing=0.02)
    config = CropConfig(mode=mode, max_filled=0.9)
    crop = plan_crop(landmarks, KNOWN, shape, config)
    inside = in_clip(landmarks, crop, shape)
    place = pelvis(inside).mean(0) / 512 - [0.5, config.pelvis_y]
    assert np.abs(place).max() < 0.02 + SNAP
    assert standing_height(inside) / 512 == pytest.approx(config.body, rel=0.02)
    assert crop.framing == "full"


@settings(deadline=None, max_examples=60)
@given(st.floats(0.3, 0.7), st.floats(0, 0.25), st.floats(0.3, 0.9), shapes)
def test_a_static_crop_holds_the_dance_as_far_as_the_picture_shows_it(
    x: float, swing: float, share: float, clip: str
) -> None:
    shape, config = (1920, 1080), CropConfig(shape=clip, max_grow=3)
    landmarks = dance(181, x * 1080, 1800, share * 1920, swing)
    crop = planned(landmarks, shape, config)
    assert crop is not None
    assert ends_held(landmarks, crop, shape, config) > 0.99


@settings(deadline=None, max_examples=60)
@given(st.floats(0.3, 1.3), st.floats(0.1, 0.8), modes)
def test_no_more_is_filled_than_is_allowed_unless_the_dance_would_not_fit(share: float, most: float, mode: str) -> None:
    shape, config = (1920, 1080), CropConfig(mode=mode, max_filled=most)
    landmarks = dance(FRAMES, 540, 1850, share * 1920, swing=0.02)
    crop = planned(landmarks, shape, config)
    assert crop is not None
    filled = placed(crop, shape, config.size).filled
    free = plan_crop(landmarks, KNOWN, shape, CropConfig(mode=mode, max_filled=0.98))
    slack = 0.03 if mode == "follow" else 0.01
    if filled > most + slack:  # it has closed in as far as it could: the dance alone fills it
        points = np.clip(landmarks[:, BODY, :2], 0, [1080, 1920])
        assert np.ptp(points, axis=1).max() > 0.85 * crop.height
    if placed(free, shape, config.size).filled <= most:
        assert crop.height == free.height
    assert crop.height <= free.height


@pytest.mark.parametrize("below", [2, 6, 10])
def test_a_crop_that_would_reach_out_by_next_to_nothing_stays_inside(below: int) -> None:
    landmarks = dance(FRAMES, 1000, 1900, 1000, swing=0.01)
    free = plan_crop(landmarks, KNOWN, (4000, 2000), CONFIG)
    height = int(free.corners[0, 1] + free.height) - below
    assert below < SNAP * free.height
    crop = plan_crop(landmarks, KNOWN, (height, 2000), CONFIG)
    assert placed(crop, (height, 2000), CONFIG.size).filled == 0
    assert free.corners[0, 1] - crop.corners[0, 1] == pytest.approx(below, abs=2)


def test_a_wide_dance_makes_the_crop_grow_but_no_further_than_it_may() -> None:
    shape = (2000, 4000)
    small = plan_crop(dance(181, 2000, 1500, 600, swing=0.02), np.ones(181, bool), shape, CONFIG)
    wide = plan_crop(dance(181, 2000, 1500, 600, swing=0.6), np.ones(181, bool), shape, CONFIG)
    wider = plan_crop(dance(181, 2000, 1500, 600, swing=2), np.ones(181, bool), shape, CONFIG)
    assert small.height < wide.height <= wider.height
    assert wider.height == pytest.approx(small.height * CONFIG.max_grow, rel=0.01)


@pytest.mark.parametrize(
    ("landmarks", "known", "shape", "code"),
    [
        (dance(FRAMES, 500, 800, 300), ~KNOWN, (1000, 1000), "no_dancer"),
        (dance(FRAMES, 500, 800, 100), KNOWN, (1000, 1000), "dancer_too_small"),
        (dance(FRAMES, 2500, 800, 400), KNOWN, (1000, 1000), "crop_outside_picture"),
    ],
)
def test_what_cannot_be_aligned_is_rejected_by_name(
    landmarks: np.ndarray, known: np.ndarray, shape: tuple[int, int], code: str
) -> None:
    with pytest.raises(RejectedError) as caught:
        plan_crop(landmarks, known, shape, CONFIG)
    assert caught.value.code == code


def test_frames_without_the_dancer_do_not_move_the_crop() -> None:
    landmarks = dance(FRAMES, 700, 900, 300)
    known = KNOWN.copy()
    known[10:20] = False
    strange = landmarks.copy()
    strange[10:20, :, :2] += 400
    shape = (1200, 1600)
    crops = [plan_crop(points, known, shape, CONFIG) for points in (landmarks, strange)]
    assert (crops[0].corners == crops[1].corners).all()

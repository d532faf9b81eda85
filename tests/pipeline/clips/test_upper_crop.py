"""`crop.fit=upper`: inside the picture always, whole even pixels, the dancer at its place where the picture allows."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from data_catalog.base.errors import RejectedError
from pipeline.analysis.pose import pelvis
from pipeline.clips.align import plan_crop
from pipeline.clips.body_extent import BODY, standing_height
from pipeline.clips.crop import Crop
from pipeline.config import CropConfig
from tests.pipeline.crops import in_clip, planned
from tests.pipeline.people import dance, person

CONFIG = CropConfig(fit="upper", body=0.62, max_grow=1.07, max_upscale=2)
FRAMES = 40
KNOWN = np.ones(FRAMES, bool)

sizes = st.tuples(st.integers(200, 2200), st.integers(200, 2200))
places = st.tuples(st.floats(0.1, 0.9), st.floats(0.5, 1.2))
heights = st.floats(0.3, 1.2)


def check(crop: Crop, shape: tuple[int, int], config: CropConfig) -> None:
    """What every crop must be."""
    assert crop.width == crop.height
    assert crop.height % 2 == 0
    assert crop.height >= 2
    assert crop.corners.dtype.kind == "i"
    assert (crop.corners % 2 == 0).all()
    assert (crop.corners >= 0).all()
    assert (crop.corners + crop.size <= [shape[1], shape[0]]).all()
    if min(shape) >= config.size.height / config.max_upscale:
        assert config.size.height / crop.height <= config.max_upscale * 1.02


@settings(deadline=None, max_examples=200)
@given(sizes, places, heights, st.floats(0, 2), st.sampled_from(["static", "follow"]), st.floats(0, 0.1))
def test_a_crop_lies_in_the_picture_on_even_pixels_and_within_the_enlargement(
    shape: tuple[int, int], place: tuple[float, float], height: float, swing: float, mode: str, margin: float
) -> None:
    config = CONFIG.model_copy(update={"mode": mode, "margin": margin})
    landmarks = dance(FRAMES, place[0] * shape[1], place[1] * shape[0], height * shape[0], swing)
    crop = planned(landmarks, shape, config)
    if crop is None:
        return
    check(crop, shape, config)
    assert len(crop.corners) == (1 if mode == "static" else FRAMES)


@settings(deadline=None, max_examples=60)
@given(st.floats(0.4, 0.6), st.floats(200, 500), st.sampled_from(["static", "follow"]))
def test_with_room_on_all_sides_the_pelvis_and_the_body_size_are_on_target(x: float, height: float, mode: str) -> None:
    shape = (2000, 2000)
    landmarks = dance(FRAMES, x * 2000, 1200, height, swing=0.02)
    crop = planned(landmarks, shape, CONFIG.model_copy(update={"mode": mode}))
    assert crop is not None
    inside = in_clip(landmarks, crop)
    assert np.abs(pelvis(inside).mean(0) / 512 - [0.5, CONFIG.pelvis_y]).max() < 0.02
    assert standing_height(inside) / 512 == pytest.approx(CONFIG.body, rel=0.02)
    assert crop.framing == "full"


@settings(deadline=None, max_examples=60)
@given(st.floats(0.3, 0.7), st.floats(0, 0.15))
def test_with_room_on_all_sides_a_static_crop_holds_the_whole_dance(x: float, swing: float) -> None:
    landmarks = dance(181, x * 2000, 1200, 400, swing)
    crop = planned(landmarks, (2000, 2000), CONFIG)
    assert crop is not None
    inside = in_clip(landmarks, crop)[:, BODY, :2]
    outside = ((inside < 0) | (inside > 512)).any(2).mean()
    assert outside < 0.01


def test_at_the_border_the_crop_shifts_and_keeps_its_size() -> None:
    free = planned(dance(FRAMES, 1000, 1200, 400), (2000, 2000), CONFIG)
    near = planned(dance(FRAMES, 200, 1200, 400), (2000, 2000), CONFIG)
    assert free is not None
    assert near is not None
    assert near.height == free.height
    assert near.corners[0, 0] == 0


def test_in_a_small_picture_the_crop_shrinks() -> None:
    landmarks = dance(FRAMES, 300, 560, 500, swing=0.01)
    crop = planned(landmarks, (600, 600), CONFIG)
    assert crop is not None
    assert crop.height == 600
    check(crop, (600, 600), CONFIG)


def test_where_the_legs_do_not_fit_the_head_is_kept() -> None:
    landmarks = dance(FRAMES, 300, 1150, 1000, swing=0.01)
    crop = planned(landmarks, (1200, 600), CONFIG)
    assert crop is not None
    assert crop.framing == "upper"
    assert (in_clip(landmarks, crop)[:, 0, 1] > 0).all()


@pytest.mark.parametrize(
    ("landmarks", "known", "shape", "code"),
    [
        (dance(FRAMES, 500, 800, 300), ~KNOWN, (1000, 1000), "no_dancer"),
        (dance(FRAMES, 500, 800, 100), KNOWN, (1000, 1000), "dancer_too_small"),
        (dance(FRAMES, 100, 800, 900), KNOWN, (1000, 200), "crop_outside_picture"),
        (dance(FRAMES, 1250, 800, 400), KNOWN, (1000, 1000), "crop_outside_picture"),
    ],
)
def test_what_cannot_be_aligned_is_rejected_by_name(
    landmarks: np.ndarray, known: np.ndarray, shape: tuple[int, int], code: str
) -> None:
    with pytest.raises(RejectedError) as caught:
        plan_crop(landmarks, known, shape, CONFIG)
    assert caught.value.code == code


def test_enlargement_up_to_the_limit_is_allowed_and_beyond_it_is_not() -> None:
    height = CONFIG.size.height / CONFIG.max_upscale * CONFIG.body
    allowed = planned(dance(FRAMES, 500, 800, height * 1.04), (1000, 1000), CONFIG)
    assert allowed is not None
    assert planned(dance(FRAMES, 500, 800, height * 0.96), (1000, 1000), CONFIG) is None


def test_a_picture_too_small_for_the_enlargement_is_rejected() -> None:
    assert planned(dance(FRAMES, 100, 190, 180, swing=0.01), (200, 200), CONFIG) is None


def test_frames_without_the_dancer_do_not_move_the_crop() -> None:
    landmarks = dance(FRAMES, 700, 900, 300)
    known = KNOWN.copy()
    known[10:20] = False
    strange = landmarks.copy()
    strange[10:20] = person(50, 300, 900)
    shape = (1200, 1600)
    assert (
        plan_crop(strange, known, shape, CONFIG).corners == plan_crop(landmarks, known, shape, CONFIG).corners
    ).all()


@settings(deadline=None)
@given(st.floats(0.0005, 0.05), st.integers(0, 5))
def test_a_following_window_moves_no_faster_than_its_bound(speed: float, seed: int) -> None:
    config = CONFIG.model_copy(update={"mode": "follow", "follow_speed": speed})
    landmarks = dance(120, 1500, 900, 300, swing=1.5, seed=seed)
    crop = planned(landmarks, (1200, 3000), config)
    assume(crop is not None)
    assert crop is not None
    assert np.abs(np.diff(crop.corners, axis=0)).max() <= speed * (crop.height + 2) + 2  # corners and side are even


def test_a_following_window_keeps_up_with_a_dancer_who_crosses_the_picture() -> None:
    landmarks = np.stack([person(600 + 8 * t, 900, 300) for t in range(181)])
    crop = planned(landmarks, (1200, 3000), CONFIG.model_copy(update={"mode": "follow", "follow_speed": 0.05}))
    assert crop is not None
    inside = in_clip(landmarks, crop)
    assert np.abs(pelvis(inside)[20:-20, 0] - 256).max() < 25
    assert not np.array_equal(crop.corners[0], crop.corners[-1])

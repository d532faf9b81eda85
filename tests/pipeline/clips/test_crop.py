"""Where a clip shows the source: the same for landmarks, for what is filled, and through flip, zoom and shift."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analysis.pose import body_length
from pipeline.clips.crop import KERNEL, Crop, placed
from pipeline.picture_size import PictureSize
from tests.pipeline.crops import in_clip, square
from tests.pipeline.people import dance

SIZES = st.sampled_from([PictureSize(512, 512), PictureSize(384, 640), PictureSize(640, 384), PictureSize(128, 128)])
even = st.integers(-400, 900).map(lambda n: 2 * n)


def crops(size: PictureSize) -> st.SearchStrategy[Crop]:
    """Crops of a clip's shape, inside and outside of a picture."""
    tall = st.integers(60, 1200).map(lambda n: 2 * n)
    return st.builds(
        lambda x, y, h: Crop(np.array([[x, y]]), round(h * size.aspect / 2) * 2, h, "full"), even, even, tall
    )


@settings(deadline=None)
@given(st.integers(0, 300), st.integers(0, 300), st.integers(50, 900), st.sampled_from([128, 512]))
def test_landmarks_go_to_the_clip_and_back(x: int, y: int, half: int, side: int) -> None:
    landmarks = dance(7, 400, 900, 600)
    crop, size = square([[2 * x, 2 * y]], 2 * half), PictureSize(side, side)
    inside = in_clip(landmarks, crop, size=size)
    back = inside[..., :2] * crop.height / side + crop.corners
    assert np.allclose(back, landmarks[..., :2])
    assert np.allclose(body_length(inside), body_length(landmarks) * side / crop.height)
    assert np.array_equal(inside[..., 3], landmarks[..., 3])
    corner = in_clip(np.full((1, 33, 4), [2 * x, 2 * y, 0, 1.0]), crop, size=size)
    assert np.allclose(corner[..., :2], 0)


@settings(deadline=None, max_examples=300)
@given(st.data(), SIZES, st.tuples(st.integers(100, 2400), st.integers(100, 2400)))
def test_the_rectangle_is_the_part_of_the_picture_that_the_crop_shows(
    data: st.DataObject, size: PictureSize, shape: tuple[int, int]
) -> None:
    crop = data.draw(crops(size))
    placement = placed(crop, shape, size)
    [[x0, y0, x1, y1]], [source] = placement.picture, placement.source
    assert 0 <= x0 <= x1 <= size.width
    assert 0 <= y0 <= y1 <= size.height
    picture = np.array([shape[1], shape[0]])
    if not placement.shows_enough:
        return
    assert (placement.picture % 2 == 0).all()
    assert (source[:2] >= 0).all()
    assert (source[2:] <= picture).all()
    true = np.array([np.maximum(-crop.corners[0], 0), np.minimum(picture - crop.corners[0], crop.size)])
    assert np.abs(np.array([[x0, y0], [x1, y1]]) - true * np.array(size) / crop.size).max() <= 3
    corners = np.zeros((1, 33, 4))
    corners[0, :2, :2] = source.reshape(2, 2)
    assert np.allclose(placement.landmarks(corners)[0, :2, :2], [[x0, y0], [x1, y1]])
    assert placement.filled == pytest.approx(1 - (x1 - x0) * (y1 - y0) / size.area)


@given(SIZES, st.data())
def test_a_crop_within_the_picture_is_not_filled_and_scaled_as_a_whole(size: PictureSize, data: st.DataObject) -> None:
    crop = data.draw(crops(size))
    shape = (int(crop.corners[0, 1] + crop.height) + 7, int(crop.corners[0, 0] + crop.width) + 7)
    if (crop.corners < 0).any():
        return
    placement = placed(crop, shape, size)
    assert placement.picture.tolist() == [[0, 0, *size]]
    assert placement.source.tolist() == [[*crop.corners[0], *(crop.corners[0] + crop.size)]]
    assert placement.filled == 0


@settings(deadline=None)
@given(st.integers(-300, 300), st.integers(100, 900), st.integers(0, 5))
def test_a_moving_crop_leaves_out_what_scaling_mixes_and_maps_landmarks_without_rounding(
    start: int, half: int, speed: int
) -> None:
    steps = np.arange(20)
    crop = square(np.stack([2 * (start + speed * steps), np.full(20, -100)], 1), 2 * half)
    shape = (1600, 1200)
    placement = placed(crop, shape, PictureSize(512, 512))
    scale = 512 / crop.height
    low = np.maximum(-crop.corners, 0) * scale
    cut = (low > 0) & (placement.picture[:, :2] < 512)
    assert (placement.picture[:, :2] - low >= KERNEL - 1e-6)[cut].all()
    landmarks = dance(20, 500, 1200, 700)
    if not placement.shows_enough:
        return
    assert np.allclose(placement.landmarks(landmarks)[..., :2], (landmarks[..., :2] - crop.corners[:, None]) * scale)


def test_frames_are_chosen_of_a_moving_crop_and_all_are_alike_of_one_that_stays() -> None:
    moving = placed(square([[0, 0], [2, 0], [4, 0]], 100), (200, 200), PictureSize(64, 64))
    assert moving.chosen(np.array([True, False, True])).source[:, 0].tolist() == [0, 4]
    still = placed(square([[0, 0]], 100), (200, 200), PictureSize(64, 64))
    assert still.chosen(np.array([True, False, True])) is still

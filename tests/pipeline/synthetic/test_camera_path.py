"""Camera paths keep the speeds they promise, in pixels of an aligned clip per clip frame."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.synthetic.camera_path import Array, camera_path

SIZE = (540, 960)
UNIT = 1.05


def path(kind: str | None, seed: int, stride: int) -> Array:
    return camera_path(kind, 240 * stride, stride, UNIT, SIZE, np.random.default_rng(seed))[::stride]


def translation(affines: Array) -> Array:
    """Movement of the picture's middle between clip frames, in clip pixels: (T - 1,)."""
    centre = np.array(SIZE) / 2
    back = [np.linalg.solve(a[:, :2], centre - a[:, 2]) for a in affines]
    moved = [b[:, :2] @ w + b[:, 2] - centre for w, b in zip(back, affines[1:])]
    return np.asarray(np.linalg.norm(moved, axis=1) / UNIT)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 2]))
def test_a_still_camera_hardly_drifts(seed: int, stride: int) -> None:
    assert translation(path(None, seed, stride)).max() < 0.3


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 2]))
def test_a_pan_is_three_to_nine_pixels_a_frame(seed: int, stride: int) -> None:
    speed = translation(path("pan", seed, stride))
    assert 3.0 < np.median(speed) < 10.0
    assert speed.max() < 12.0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 2]))
def test_a_shake_has_three_to_eight_pixels_root_mean_square(seed: int, stride: int) -> None:
    assert 3.0 < np.sqrt(np.mean(translation(path("shake", seed, stride)) ** 2)) < 8.5


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 2]))
def test_a_zoom_goes_in_and_out_at_its_rate(seed: int, stride: int) -> None:
    zoom = np.linalg.norm(path("zoom", seed, stride)[:, :, 0], axis=1)
    rate = np.diff(np.log(zoom))
    assert 0.004 < np.median(np.abs(rate)) < 0.0135
    assert rate.min() < 0 < rate.max()
    assert zoom.max() / zoom.min() < 1.6


@pytest.mark.parametrize("kind", [None, "pan", "zoom", "shake"])
def test_the_same_seed_gives_the_same_path(kind: str | None) -> None:
    np.testing.assert_array_equal(path(kind, 3, 1), path(kind, 3, 1))

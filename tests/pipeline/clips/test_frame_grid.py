"""A clip's frames: exactly n, evenly spaced in time, none twice, all of one shot."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_catalog.base.errors import RejectedError
from pipeline.clips.frame_grid import MAX_GRID_ERROR, FrameGrid, frame_grids, native_rate
from pipeline.config import ClipConfig

CONFIG = ClipConfig(frames=9)
WHOLE_RATES = ["24", "25", "24000/1001", "30000/1001", "30", "20", "22", "33"]
HALVED_RATES = ["50", "60", "60000/1001", "48"]
ODD_RATES = ["34", "36", "37.5", "39"]


def even(rate: str | Fraction, count: int, start: float = 0.0) -> np.ndarray:
    """(count,) seconds, rounded to milliseconds as matroska does."""
    return np.round(start + np.arange(count) / float(Fraction(rate)), 3)


def cut_up(count: int, cuts: set[int]) -> list[tuple[int, int]]:
    edges = [0, *sorted(c for c in cuts if 0 < c < count), count]
    return list(pairwise(edges))


def check(windows: list[FrameGrid], pts: np.ndarray, shots: list[tuple[int, int]], config: ClipConfig) -> None:
    """What every window of any source must be."""
    taken: set[int] = set()
    for window in windows:
        frames = window.frames
        assert len(frames) == config.frames
        assert (np.diff(frames) > 0).all(), "a frame comes twice"
        start, end = shots[window.shot]
        assert start <= frames[0]
        assert frames[-1] < end, "a window leaves its shot"
        assert not taken & set(frames.tolist()), "two windows share a frame"
        taken |= set(frames.tolist())
        ideal = np.arange(len(frames)) / float(window.fps)
        off = pts[frames] - pts[frames[0]] - ideal
        off -= (off.max() + off.min()) / 2
        assert np.abs(off).max() <= (MAX_GRID_ERROR + 0.02) / float(window.fps) + 0.002, "the motion is not even"


irregular = st.lists(st.sampled_from([8, 16, 17, 33, 34, 40, 50, 67, 100, 400]), min_size=1, max_size=150)
cuts_of = st.sets(st.integers(1, 150), max_size=4)


@settings(deadline=None, max_examples=150)
@given(irregular, cuts_of, st.integers(2, 25), st.sampled_from([None, "20", "24", "30"]))
def test_windows_of_any_times_are_whole_even_and_within_a_shot(
    steps: list[int], cuts: set[int], frames: int, fps: str | None
) -> None:
    pts = np.concatenate([[0], np.cumsum(steps)]) / 1000 + 1.5
    config = ClipConfig(frames=frames, fps=fps)
    shots = cut_up(len(pts), cuts)
    try:
        windows = frame_grids(pts, shots, config)
    except RejectedError:
        assert float(native_rate(pts)[0]) < float(Fraction(fps or 20))
        return
    check(windows, pts, shots, config)
    for window in windows:
        assert 19.5 <= float(window.fps) <= 33.1


@settings(deadline=None)
@given(st.sampled_from(WHOLE_RATES), st.integers(1, 120), cuts_of, st.floats(0, 50))
def test_rates_up_to_33_are_taken_frame_for_frame(rate: str, count: int, cuts: set[int], start: float) -> None:
    pts = even(rate, count + 1, start)
    shots = cut_up(len(pts), cuts)
    windows = frame_grids(pts, shots, CONFIG)
    check(windows, pts, shots, CONFIG)
    assert all(np.diff(window.frames).tolist() == [1] * 8 for window in windows)
    assert len(windows) == sum((end - first) // 9 for first, end in shots)


@pytest.mark.parametrize("rate", [*WHOLE_RATES, *HALVED_RATES, "100", "120", "240"])
def test_the_exact_rate_is_kept(rate: str) -> None:
    windows = frame_grids(even(rate, 400), [(0, 400)], CONFIG)
    divided = {"50": 2, "60": 2, "60000/1001": 2, "48": 2, "100": 4, "120": 4, "240": 8}.get(rate, 1)
    assert {window.fps for window in windows} == {Fraction(rate) / divided}


@settings(deadline=None)
@given(st.sampled_from(HALVED_RATES), st.integers(1, 120), cuts_of)
def test_every_second_frame_of_a_fast_source_is_taken(rate: str, count: int, cuts: set[int]) -> None:
    pts = even(rate, count + 1)
    shots = cut_up(len(pts), cuts)
    windows = frame_grids(pts, shots, CONFIG)
    check(windows, pts, shots, CONFIG)
    assert all(np.diff(window.frames).tolist() == [2] * 8 for window in windows)
    assert len(windows) == sum((end - first + 1) // 2 // 9 for first, end in shots)


@pytest.mark.parametrize("rate", ODD_RATES)
def test_rates_that_cannot_be_divided_are_resampled_by_timestamps(rate: str) -> None:
    pts = even(rate, 200)
    windows = frame_grids(pts, [(0, 200)], CONFIG)
    check(windows, pts, [(0, 200)], CONFIG)
    assert windows
    assert {20, 24, 25, 30} >= {int(window.fps) for window in windows}


@pytest.mark.parametrize("rate", ["25", "30", "30000/1001", "50", "60", "34"])
def test_a_given_rate_is_resampled_to_by_timestamps(rate: str) -> None:
    config = ClipConfig(frames=9, fps="24")
    pts = even(rate, 240)
    windows = frame_grids(pts, [(0, 240)], config)
    check(windows, pts, [(0, 240)], config)
    assert {window.fps for window in windows} == {Fraction(24)}
    assert len(windows) >= int(240 / float(Fraction(rate)) * 24 / 9) - 1


def test_a_source_at_the_given_rate_is_taken_frame_for_frame() -> None:
    windows = frame_grids(even("24", 90), [(0, 90)], ClipConfig(frames=9, fps="24"))
    assert [window.frames.tolist() for window in windows] == [list(range(i, i + 9)) for i in range(0, 90, 9)]


@pytest.mark.parametrize(("rate", "fps"), [("15", None), ("8", None), ("19", None), ("20", "24"), ("25", "30")])
def test_a_source_that_is_too_slow_is_rejected_and_never_padded(rate: str, fps: str | None) -> None:
    with pytest.raises(RejectedError) as caught:
        frame_grids(even(rate, 300), [(0, 300)], ClipConfig(frames=9, fps=fps))
    assert caught.value.code == "low_rate"
    assert f"{float(Fraction(rate)):g} frames per second" in caught.value.detail


@pytest.mark.parametrize("rate", ["24", "25", "30"])
def test_a_dropped_frame_breaks_a_window_and_is_not_made_up_for(rate: str) -> None:
    kept = np.delete(np.arange(100), [40, 41])
    pts = even(rate, 100)[kept]
    windows = frame_grids(pts, [(0, len(pts))], CONFIG)
    check(windows, pts, [(0, len(pts))], CONFIG)
    assert {window.fps for window in windows} == {Fraction(rate)}
    assert len(windows) == 40 // 9 + 58 // 9


def test_a_phone_whose_times_jitter_counts_as_even() -> None:
    pts = even("30", 200) + np.random.default_rng(1).uniform(-0.003, 0.003, 200)
    assert native_rate(pts)[1]
    assert {window.fps for window in frame_grids(pts, [(0, 200)], CONFIG)} == {Fraction(30)}


def test_a_variable_rate_is_resampled_at_the_rate_that_gives_most_clips() -> None:
    """25 and 50 frames per second in turn: at 25 all of it is even."""
    steps = np.tile([0.04] * 10 + [0.02] * 10, 10)
    pts = np.cumsum(steps)
    windows = frame_grids(pts, [(0, len(pts))], CONFIG)
    check(windows, pts, [(0, len(pts))], CONFIG)
    assert sum(len(window.frames) for window in windows) > 0.9 * (pts[-1] - pts[0]) * float(windows[0].fps)


@pytest.mark.parametrize("rate", ["100000", "90000"])
def test_absurd_timestamps_are_no_fault_of_ours(rate: str) -> None:
    pts = np.arange(300) / float(rate)
    assert frame_grids(pts, [(0, 300)], CONFIG) == []


def test_shots_that_are_too_short_give_nothing() -> None:
    pts = even("25", 40)
    assert frame_grids(pts, [(0, 8), (8, 16), (16, 40)], CONFIG)[0].shot == 2
    assert frame_grids(pts, cut_up(40, {8, 16, 24, 32}), CONFIG) == []

"""Key poses lie on the beats, however the tempo wanders, through breaks, and from second 0 to the end."""

import numpy as np
import pytest

from model.choreography.beat_grid import at_frames, at_keys, beat_grid


def test_the_first_key_of_a_beat_is_the_beat_itself():
    beats = np.cumsum(np.linspace(0.4, 0.6, 12)) - 0.3
    grid = beat_grid(beats, 5.0, 4)
    on_beats = grid.seconds[grid.phases == 0]
    inside = beats[(beats >= 0) & (beats <= 5)]
    assert np.abs(inside[:, None] - on_beats).min(1).max() < 1e-9
    assert grid.heard
    assert grid.seconds[0] <= 0 < grid.seconds[1]
    assert grid.seconds[-1] >= 5.0


def test_the_pulse_goes_on_where_beats_were_not_heard_and_beyond_the_last():
    beats = np.delete(np.arange(20) * 0.5, [7, 8, 9])
    grid = beat_grid(beats, 30.0, 2)
    assert np.allclose(np.diff(grid.seconds), 0.25)
    assert grid.seconds[-1] >= 30


@pytest.mark.parametrize("beats", [None, np.array([0.1, 0.2])])
def test_without_music_there_is_a_steady_pulse(beats):
    grid = beat_grid(beats, 6.0, 4, tempo=120)
    assert not grid.heard
    assert np.allclose(np.diff(grid.seconds), 0.125)
    assert grid.tempo == pytest.approx(120)


def test_a_smooth_curve_goes_through_its_keys_again():
    curve = np.sin(np.arange(121) / 30 * 2 * np.pi * 0.9)[:, None]
    grid = beat_grid(np.arange(-1, 12) * 0.5, 4.0, 8)
    assert np.abs(at_frames(at_keys(curve, 30, grid), grid, 121, 30) - curve).max() < 0.03

"""Beats are where they were played: of drawn music in every groove, of long music, and of none."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soxr

from data_catalog.base.locks import in_turn
from pipeline.analysis.beat_tracking import BLOCK_S, OVERLAP_S, RATE, sound_blocks, track_beats, with_steady_edges
from pipeline.synthetic.music import RATE as DRAWN_RATE
from pipeline.synthetic.music import Music, draw_music, random_music
from tests.pipeline.sounds import click_track

NEAR_S = 0.05


def heard(music: Music, seconds: float) -> np.ndarray:
    """Drawn music as the analysis hears it: mono, (samples,) float32 at RATE."""
    samples = draw_music(music, seconds).mean(1) / 32768
    return np.asarray(soxr.resample(samples, DRAWN_RATE, RATE), np.float32)


def shares(found: np.ndarray, played: np.ndarray) -> tuple[float, float]:
    """(share of the beats played that were found, share of those found that were played), within 50 ms."""
    apart = np.abs(found[:, None] - played[None])
    return float((apart.min(0) <= NEAR_S).mean()), float((apart.min(1) <= NEAR_S).mean())


def test_95_of_100_beats_of_drawn_music_are_found_within_50_ms_and_no_others() -> None:
    results = []
    for seed in range(40):
        music, seconds = random_music(seed), 7.0 + seed % 7
        results.append(shares(track_beats(sound_blocks([heard(music, seconds)])), music.beats(seconds)))
    recall, precision = np.mean(results, axis=0)
    assert recall >= 0.95
    assert precision >= 0.95


@pytest.mark.parametrize("tempo", [92.0, 110.0, 128.0])
def test_beats_are_neither_early_nor_late(tempo: float) -> None:
    played = np.arange(0.3, 14.5, 60 / tempo)
    found = track_beats(sound_blocks([click_track(played, 15.0, RATE).astype(np.float32)]))
    off = found[:, None] - played[None]
    nearest = off[np.arange(len(found)), np.abs(off).argmin(1)]
    assert abs(np.median(nearest)) < 0.008
    assert shares(found, played)[0] == 1.0


def test_a_long_source_of_two_songs_has_the_beats_of_both_and_none_twice() -> None:
    first, second = Music(98 / 60, 1.3, 1), Music(121 / 60, 0.4, 2)
    seconds = 100.0
    sound = np.concatenate([heard(first, seconds), heard(second, seconds)])
    played = np.concatenate([first.beats(seconds), second.beats(seconds) + seconds])
    found = track_beats(sound_blocks(np.array_split(sound, 77)))
    recall, precision = shares(found, played)
    assert recall >= 0.95
    assert precision >= 0.95
    assert np.diff(found).min() > 0.25


def test_silence_and_nothing_at_all_have_no_beats() -> None:
    assert len(track_beats(sound_blocks([np.zeros(10 * RATE, np.float32)]))) == 0
    assert len(track_beats(sound_blocks([]))) == 0
    assert len(track_beats(sound_blocks([np.ones(3, np.float32)]))) == 0


@pytest.mark.parametrize("seconds", [0.5, 60.0, 109.9, 110.1, 260.0])
def test_blocks_overlap_and_together_are_the_whole(seconds: float) -> None:
    sound = np.arange(int(seconds * RATE), dtype=np.float32)
    blocks = list(sound_blocks(np.array_split(sound, 13)))
    step = int((BLOCK_S - 2 * OVERLAP_S) * RATE)
    for number, block in enumerate(blocks):
        assert block[0] == number * step
        assert number == len(blocks) - 1 or len(block) == int(BLOCK_S * RATE)
    assert blocks[-1][-1] == sound[-1]
    assert len(blocks) == 1 or len(blocks[-1]) >= int(BLOCK_S * RATE)


def test_edges_follow_the_pulse_and_few_beats_are_left_alone() -> None:
    beats = np.arange(20) * 0.5
    wrong = beats.copy()
    wrong[[0, 1, -3, -1]] += [0.2, -0.1, 0.08, 0.17]
    np.testing.assert_allclose(with_steady_edges(wrong), beats)
    np.testing.assert_array_equal(with_steady_edges(wrong[:5]), wrong[:5])


def test_the_tracker_waits_until_there_is_sound() -> None:
    """It takes seconds to import: a build without sound, and every command, does without."""
    code = "import flows.build_dataset, sys; print(*sys.modules)"
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "pipeline.analysis.beat_tracking" in listed
    assert not {"librosa", "numba", "soundfile", "soxr", "pyloudnorm"} & set(listed)


def test_it_works_where_neither_the_library_nor_a_home_can_be_written(tmp_path: Path) -> None:
    """As in a container whose user has no home: numba would refuse to be imported."""
    code = "from pipeline.analysis.beat_tracking import _writable; print(_writable())"
    closed = tmp_path / "file"
    closed.touch()
    env = {**os.environ, "XDG_CACHE_HOME": str(closed), "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).parent == tmp_path
    env["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == tmp_path / "cache" / "longdance" / "librosa"


AT_ONCE = """
import numpy as np
from pipeline.analysis.beat_tracking import RATE, beats_of_block
clicks = np.zeros(10 * RATE, np.float32)
clicks[:: RATE // 2] = 1
print(len(beats_of_block(clicks)))
"""


@pytest.mark.soak
def test_processes_that_compile_at_once_leave_a_cache_that_others_can_use(tmp_path: Path) -> None:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    for _ in range(2):
        command = [sys.executable, "-c", AT_ONCE]
        children = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(4)]
        counts = {child.communicate()[0].strip() for child in children}
        assert {child.returncode for child in children} == {0}
        assert len(counts) == 1


def test_whoever_compiles_does_it_alone(tmp_path: Path) -> None:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    with in_turn(tmp_path / "compiling"):
        child = subprocess.Popen([sys.executable, "-c", AT_ONCE], env=environment, stdout=subprocess.DEVNULL)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(10)
        assert not list(tmp_path.rglob("*.nbc"))
    child.kill()
    child.wait()

"""What is heard in a source: from when to when, its beats on the pictures' clock, or why there is nothing."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.analysis.sound_pass import Heard, listen, load, save
from pipeline.synthetic.music import RATE, draw_music, random_music, write_music
from pipeline.synthetic.synth import SynthVideo, write_video
from pipeline.video.ffmpeg import open_source
from tests.pipeline.sounds import write_wav
from tests.pipeline.videos import LIMITS, ffmpeg

NEAR_S = 0.05


def heard_in(path: Path, stop_s: float = 30.0) -> Heard:
    descriptor = open_source(bytes(path))
    try:
        return listen(descriptor, stop_s, LIMITS)
    finally:
        os.close(descriptor)


def filmed(path: Path, wav: Path, *arguments: str, late: float = 0.0, seconds: float = 10.0) -> Path:
    """A film of nothing with a sound."""
    ffmpeg(
        "-f", "lavfi", "-i", f"testsrc2=s=64x64:r=25:d={seconds}", "-itsoffset", str(late), "-i", str(wav),
        "-c:v", "libx264", "-preset", "ultrafast", *arguments, str(path),
    )  # fmt: skip
    return path


def share(found: np.ndarray, wanted: np.ndarray) -> float:
    """Share of the wanted times within 50 ms of one that was found."""
    return float((np.abs(found[:, None] - wanted[None]).min(0) <= NEAR_S).mean())


def test_beats_of_drawn_videos_are_where_their_truth_says(tmp_path: Path) -> None:
    """Through the whole way: drawn, coded as AAC, heard through the door."""
    for seed, fault in ((1, None), (2, "two_dancers"), (3, "variable_rate")):
        spec = SynthVideo(name=f"v{seed}", seed=seed, width=96, height=170, frames=200, fps="20", fault=fault)
        path = write_video(spec, tmp_path)
        played = np.array(json.loads(path.with_suffix(".json").read_text())["beats_s"])
        found = np.array(heard_in(path).beats)
        assert share(found, played) >= 0.95
        assert share(played, found) >= 0.95


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_beats_of_sound_that_begins_late_are_on_the_pictures_clock(name: str, tmp_path: Path) -> None:
    music = random_music(4)
    write_music(tmp_path / "music.wav", draw_music(music, 12.0))
    heard = heard_in(filmed(tmp_path / name, tmp_path / "music.wav", "-c:a", "aac", late=2.3, seconds=16))
    played = music.beats(12.0) + 2.3
    assert share(np.array(heard.beats), played) >= 0.95
    assert heard.start_s == pytest.approx(2.3, abs=0.03)
    assert heard.end_s == pytest.approx(14.3, abs=0.05)


def test_the_ends_of_what_is_heard_are_known_and_nothing_beyond_the_pictures_is(tmp_path: Path) -> None:
    tone = np.sin(np.arange(4 * 48000) * 0.1) * 0.3
    tone[: 48000 // 2] = 0
    path = filmed(tmp_path / "a.mov", write_wav(tmp_path / "a.wav", tone, 48000), "-c:a", "pcm_s16le", seconds=5)
    heard = heard_in(path)
    assert (heard.start_s, heard.end_s) == (pytest.approx(0.5, abs=2e-3), pytest.approx(4.0, abs=2e-3))
    assert heard_in(path, stop_s=2.0).end_s == pytest.approx(2.0, abs=2e-3)
    assert heard.within(0.0, 0.6)
    assert heard.within(3.9, 9.0)
    assert not heard.within(4.1, 9.0)
    assert not heard.within(0.0, 0.4)


def test_silence_is_no_sound_and_says_so(tmp_path: Path) -> None:
    heard = heard_in(filmed(tmp_path / "a.mp4", write_wav(tmp_path / "a.wav", np.zeros(48000), 48000), "-c:a", "aac"))
    assert (heard.reason, heard.sounds, heard.within(0, 1), heard.beats) == ("silent", False, False, ())


def test_what_was_heard_is_read_as_it_was_written(tmp_path: Path) -> None:
    for heard in (Heard(None, None, 0.5, 3.0, -0.02, (0.7, 1.2)), Heard("no_sound", "None.", 0.0, 0.0, 0.0, ())):
        save(heard, tmp_path / "heard.json")
        assert load(tmp_path / "heard.json") == heard


def test_music_at_any_rate_and_in_stereo_is_heard_alike(tmp_path: Path) -> None:
    music = random_music(5)
    samples = draw_music(music, 10.0)
    write_music(tmp_path / "music.wav", samples)
    assert samples.shape == (10 * RATE, 2)
    for name, audio in (("a.mp4", ("-c:a", "aac", "-ar", "32000", "-ac", "1")), ("b.mkv", ("-c:a", "libopus"))):
        found = np.array(heard_in(filmed(tmp_path / name, tmp_path / "music.wav", *audio)).beats)
        assert share(found, music.beats(10.0)) >= 0.95

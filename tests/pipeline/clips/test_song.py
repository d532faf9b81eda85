"""A song's beats are found where they are; what cannot be danced to is refused in one sentence."""

from pathlib import Path

import numpy as np
import pytest

from data_catalog.base.errors import LongdanceError
from pipeline.clips.song import RATE, read_song
from pipeline.synthetic.music import RATE as DRAWN_RATE
from pipeline.synthetic.music import draw_music, random_music, write_music


def test_a_drawn_song_is_read_with_its_beats(tmp_path: Path) -> None:
    music = random_music(5)
    write_music(tmp_path / "song.wav", draw_music(music, 12))
    song = read_song(tmp_path / "song.wav")
    assert song.seconds == pytest.approx(12, abs=0.1)
    assert song.sound.dtype == np.int16
    truth = music.beats(12)
    apart = np.abs(song.beats[:, None] - truth).min(1)
    assert np.median(apart) < 0.03
    assert len(read_song(tmp_path / "song.wav", 4.0).sound) == 4 * RATE


def test_what_is_no_song_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("la la la")
    write_music(tmp_path / "silence.wav", np.zeros((5 * DRAWN_RATE, 2), np.int16))
    quiet = np.random.default_rng(0).normal(0, 40, (3 * DRAWN_RATE // 2, 2)).astype(np.int16)
    write_music(tmp_path / "short.wav", quiet[: DRAWN_RATE // 4])
    for name, words in {
        "words.txt": "has nothing to dance to",
        "silence.wav": "digital silence",
        "short.wav": "No beats were found",
        "none.mp3": "cannot be opened",
    }.items():
        with pytest.raises(LongdanceError, match=words) as error:
            read_song(tmp_path / name)
        assert str(error.value).count(". ") <= 1
        assert "\n" not in str(error.value)


def test_a_song_of_an_hour_wants_a_number_of_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.clips.song.LONGEST_S", 8.0)
    write_music(tmp_path / "long.wav", draw_music(random_music(1), 12))
    with pytest.raises(LongdanceError, match="lasts longer than 0 minutes: say by --frames"):
        read_song(tmp_path / "long.wav")
    assert read_song(tmp_path / "long.wav", 5.0).seconds == pytest.approx(5)

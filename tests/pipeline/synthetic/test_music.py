"""Drawn music: its strokes are on the beats that its truth tells, and everybody in a video dances to it."""

import json
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.synthetic.footage import Shot
from pipeline.synthetic.music import GROOVES, RATE, Music, draw_music, random_music
from pipeline.synthetic.recording import content_frames, shots_of
from pipeline.synthetic.synth import SynthVideo, write_video

SMALL = SynthVideo(width=96, height=170, frames=40, fps="20", seed=6)


def shots(spec: SynthVideo) -> list[Shot]:
    return shots_of(spec, content_frames(spec)[1])


def test_beats_are_evenly_spaced_within_the_music() -> None:
    music = Music(2.0, 1.25, 0)
    np.testing.assert_allclose(music.beats(3.0), [0.375, 0.875, 1.375, 1.875, 2.375, 2.875])
    for seed in range(20):
        beats = random_music(seed).beats(8.0)
        assert (beats >= 0).all()
        assert (beats < 8.0).all()
        assert 92 / 60 * 8 - 1 <= len(beats) <= 128 / 60 * 8 + 1


def test_every_groove_strikes_the_first_beat_of_the_bar() -> None:
    for kicks, snares, hats in GROOVES.values():
        assert kicks[0] == 0
        assert 2 in snares
        assert max(*kicks, *snares, *hats) < 8


def test_the_kick_sounds_on_the_first_beat_of_the_bar_and_not_before() -> None:
    for seed in range(8):
        music = random_music(seed)
        track = np.abs(draw_music(music, 9.0).astype(float)).max(1)
        for bar in np.arange(np.ceil(music.beat_offset / 4) * 4, music.beat_offset + 14, 4):
            at = round((bar - music.beat_offset) / music.beats_per_second * RATE)
            if RATE // 10 < at < len(track) - RATE // 10:
                assert track[at : at + 2000].max() > 2 * track[at - 1500 : at - 50].max()


def test_the_same_music_gives_the_same_samples_and_another_seed_others() -> None:
    assert (draw_music(random_music(3), 2.0) == draw_music(random_music(3), 2.0)).all()
    assert not np.array_equal(draw_music(Music(2.0, 1.0, 3), 2.0), draw_music(Music(2.0, 1.0, 4), 2.0))
    assert np.abs(draw_music(random_music(3), 2.0).astype(int)).max() < 32767


@pytest.mark.parametrize("changes", [{"fault": "two_dancers"}, {"cuts": (13, 27)}, {"fault": "no_dancer"}])
def test_all_of_a_video_dance_to_the_same_music(changes: dict[str, object]) -> None:
    made = shots(SMALL.model_copy(update=changes))
    assert len({shot.music for shot in made}) == 1
    assert shots(SMALL)[0].music != shots(SMALL.model_copy(update={"seed": 7}))[0].music


def test_a_video_holds_its_music_as_long_as_its_pictures_and_one_without_says_so(tmp_path: Path) -> None:
    path = write_video(SMALL, tmp_path)
    truth = json.loads(path.with_suffix(".json").read_text())
    assert 92 <= truth["tempo"] <= 128
    np.testing.assert_allclose(np.diff(truth["beats_s"]), 60 / truth["tempo"], atol=1e-4)
    with av.open(str(path)) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
        assert samples / RATE == pytest.approx(2.0, abs=0.03)
    silent = SMALL.model_copy(update={"name": "silent", "sound": False})
    path = write_video(silent, tmp_path)
    truth = json.loads(path.with_suffix(".json").read_text())
    assert (truth["tempo"], truth["beats_s"]) == (None, [])
    with av.open(str(path)) as container:
        assert not container.streams.audio

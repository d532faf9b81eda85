"""How well a dance meets its music: the formula, and drawn dancers who dance on beats."""

from fractions import Fraction

import numpy as np
import pytest

from pipeline.analysis.pose import MAIN
from pipeline.analysis.sound_pass import Heard
from pipeline.clips.beats import SIGMA_S, beat_alignment, beat_scores, kinematic_beats, music_beats, tempo_of
from pipeline.synthetic.recording import content_frames, shots_of
from pipeline.synthetic.video_plan import plan_videos

FPS = Fraction(30)
STEADY = Heard(None, None, 0.0, 20.0, 0.0, tuple(np.arange(0.25, 20, 0.5).tolist()))


def swaying(seconds: float, beat_s: float, rest_s: float, fps: Fraction = FPS) -> np.ndarray:
    """(frames, 33, 4) of a body that comes to rest at `rest_s` and every `beat_s` after it, and moves between."""
    at = np.arange(round(seconds * fps)) / float(fps)
    landmarks = np.zeros((len(at), 33, 4))
    landmarks[:, :, 0] = 100 * np.cos(np.pi * (at - rest_s) / beat_s)[:, None]
    return landmarks


def known(landmarks: np.ndarray) -> np.ndarray:
    return np.ones(len(landmarks), bool)


def test_kinematic_beats_are_where_the_body_rests() -> None:
    for fps in (Fraction(24), FPS, Fraction(60)):
        found = kinematic_beats(landmarks := swaying(6, 0.5, 0.303, fps), known(landmarks), fps)
        np.testing.assert_allclose(found, np.arange(0.303, 5.9, 0.5), atol=0.6 / float(fps))


def test_no_kinematic_beat_is_found_beside_frames_without_the_dancer_or_in_a_frozen_body() -> None:
    landmarks = swaying(6, 0.5, 0.3)
    hidden = known(landmarks)
    hidden[80:100] = False
    found = kinematic_beats(landmarks, hidden, FPS)
    assert len(found) >= 7
    assert not ((found > 75 / 30) & (found < 105 / 30)).any()
    assert len(kinematic_beats(np.ones((60, 33, 4)), np.ones(60, bool), FPS)) == 0


@pytest.mark.parametrize("off_s", [0.0, 0.02, 0.05, 0.1])
def test_the_score_is_the_papers(off_s: float) -> None:
    music = np.arange(0.5, 8, 0.5)
    assert beat_alignment(music + off_s, music) == pytest.approx(np.exp(-(off_s**2) / (2 * SIGMA_S**2)))
    assert SIGMA_S == 0.05


def test_the_mean_is_over_kinematic_beats_each_with_its_nearest_of_the_music() -> None:
    music, dance = np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.5])
    assert beat_alignment(dance, music) == pytest.approx((1 + np.exp(-(0.5**2) / (2 * SIGMA_S**2))) / 2)
    assert beat_alignment(dance, np.empty(0)) is None
    assert beat_alignment(np.empty(0), music) is None


def test_a_clip_has_its_own_beats_and_their_tempo() -> None:
    landmarks = swaying(6, 0.5, 0.25)
    row = beat_scores(STEADY, 2.0, FPS, landmarks, known(landmarks))
    assert (row["sound"], row["beats"], row["tempo"]) == (True, 12, pytest.approx(120))
    assert row["beat_alignment"] > 0.9
    assert beat_scores(STEADY, 2.25, FPS, landmarks, known(landmarks))["beat_alignment"] < 0.1


def test_a_faster_variants_beats_are_as_much_nearer() -> None:
    np.testing.assert_allclose(music_beats(STEADY, 2.0, 2.0, 1.25), np.array([0.25, 0.75, 1.25, 1.75, 2.25]) / 1.25)
    assert tempo_of(music_beats(STEADY, 2.0, 6.0, 1.25)) == pytest.approx(150)
    assert tempo_of(np.array([1.0])) is None


@pytest.mark.parametrize(
    "heard",
    [
        Heard("no_sound", "The file has no audio track.", 0.0, 0.0, 0.0, ()),
        Heard(None, None, 0.0, 1.9, 0.0, (0.5, 1.0, 1.5)),
        Heard(None, None, 8.1, 20.0, 0.0, (8.5, 9.0)),
    ],
)
def test_a_clip_in_whose_time_nothing_is_heard_has_no_sound(heard: Heard) -> None:
    landmarks = swaying(6, 0.5, 0.25)
    row = beat_scores(heard, 2.0, FPS, landmarks, known(landmarks))
    assert row == {"sound": False, "tempo": None, "beats": None, "beat_alignment": None}


def test_sound_without_a_beat_is_sound_without_a_tempo() -> None:
    landmarks = swaying(6, 0.5, 0.25)
    row = beat_scores(Heard(None, None, 0.0, 20.0, 0.0, ()), 2.0, FPS, landmarks, known(landmarks))
    assert row == {"sound": True, "tempo": None, "beats": 0, "beat_alignment": None}


def test_drawn_dancers_meet_their_own_music_better_than_the_same_music_a_third_of_a_beat_late() -> None:
    own, late = [], []
    for spec in [spec for spec in plan_videos(40, 21) if spec.fault is None][:16]:
        shot = shots_of(spec, content_frames(spec)[1])[0]
        landmarks = np.zeros((spec.frames, 33, 4))
        landmarks[:, MAIN, :2] = shot.joints()[:, 0, MAIN]
        seconds = float(spec.frames / spec.rate)
        dance = kinematic_beats(landmarks, known(landmarks), spec.rate)
        beats = shot.music.beats(seconds)
        own.append(beat_alignment(dance, beats))
        late.append(beat_alignment(dance, beats + 0.3 / shot.music.beats_per_second))
    assert np.mean(own) > 1.2 * np.mean(late)

"""The beats of a clip's music, and how well the dance meets them."""

from fractions import Fraction
from typing import Any

import numpy as np
from scipy.signal import argrelextrema

from pipeline.analysis.pose import MAIN
from pipeline.analysis.sound_pass import Heard

SIGMA_S = 3 / 60  # Li et al.: 3 frames at 60 a second
APART_S = 10 / 60  # their evaluation's: a minimum is the least of 10 frames at 60 a second on both sides


def music_beats(heard: Heard, start_s: float, seconds: float, speed: float = 1.0) -> np.ndarray:
    """Beats of a stretch of the source that begins at `start_s` and is played `speed` times as fast: seconds of it."""
    beats = (np.asarray(heard.beats) - start_s) / speed
    return beats[(beats >= 0) & (beats < seconds)]


def tempo_of(beats: np.ndarray) -> float | None:
    """Beats a minute; None for fewer than two."""
    return 60 / float(np.median(np.diff(beats))) if len(beats) > 1 else None


def kinematic_beats(landmarks: np.ndarray, known: np.ndarray, fps: Fraction) -> np.ndarray:
    """Seconds at which the body comes to rest: local minima of the mean speed of the main joints.

    Args:
        landmarks: (frames, 33, >=2) of the dancer; known: (frames,) bool, no minimum is found beside an unknown frame.
    """
    speed = np.linalg.norm(np.diff(landmarks[:, MAIN, :2], axis=0), axis=-1).mean(-1)
    order = max(1, round(APART_S * float(fps)))
    minima = argrelextrema(speed, np.less, order=order)[0]
    unknown = np.flatnonzero(~(known[1:] & known[:-1]))
    trusted = [m for m in minima if not (np.abs(unknown - m) <= order).any()]
    return (np.array(trusted, float) + 0.5) / float(fps)


def beat_alignment(dance: np.ndarray, music: np.ndarray) -> float | None:
    """The beat alignment score: 1 where the dance comes to rest on beats of the music alone, 0 far from them.

    Li et al. 2021, "AI Choreographer: Music Conditioned 3D Dance Generation with AIST++", section 5.2.3:
    1/m sum_i exp(-min_j (t_i - t_j)^2 / (2 sigma^2)) over the m kinematic beats t_i, t_j the beats of the music,
    sigma 3 frames at 60 a second. None where there are none of either.
    """
    if not len(dance) or not len(music):
        return None
    nearest = np.abs(dance[:, None] - music[None]).min(1)
    return float(np.exp(-(nearest**2) / (2 * SIGMA_S**2)).mean())


def beat_scores(
    heard: Heard, start_s: float, fps: Fraction, landmarks: np.ndarray, known: np.ndarray
) -> dict[str, Any]:
    """`sound` (whether a clip has any), `tempo`, `beats` (how many) and `beat_alignment`; None where not measured.

    Args:
        start_s: the clip's first frame in its source.
        landmarks: (frames, 33, 4) of the dancer at `fps`; known: (frames,) bool.
    """
    seconds = len(landmarks) / float(fps)
    if not heard.within(start_s, start_s + seconds):
        return {"sound": False, "tempo": None, "beats": None, "beat_alignment": None}
    beats = music_beats(heard, start_s, seconds)
    around = np.asarray(heard.beats) - start_s  # the beat that a first move meets may lie before the clip
    dance = kinematic_beats(landmarks, known, fps)
    return {
        "sound": True,
        "tempo": tempo_of(beats),
        "beats": len(beats),
        "beat_alignment": beat_alignment(dance, around) if len(beats) else None,
    }

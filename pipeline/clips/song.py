"""A song that somebody wants danced to: its samples and its beats."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_catalog.base.errors import LongdanceError
from pipeline.analysis.sound_pass import listen
from pipeline.config import LimitsConfig
from pipeline.video.sound import read_sound

RATE = 48000
CHANNELS = 2
LONGEST_S = 1200.0
"""Seconds of a song that are listened to, where nobody says how many are wanted."""


@dataclass(frozen=True)
class Song:
    """A song from its first sample on."""

    sound: np.ndarray
    """int16 (samples, 2) at RATE."""
    beats: np.ndarray
    """Seconds."""

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.sound) / RATE


def read_song(path: Path, seconds: float | None = None) -> Song:
    """The first `seconds` of a file's sound, or all of it.

    Raises LongdanceError, in one sentence: no file, no sound, silence, no beats, longer than LONGEST_S.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise LongdanceError(f"The song {path} cannot be opened ({error.strerror}): give a file with sound.") from error
    limits = LimitsConfig()
    try:
        heard = listen(descriptor, LONGEST_S + 60 if seconds is None else seconds, limits)
        if not heard.sounds:
            why = heard.detail or heard.reason
            raise LongdanceError(f"The song {path} has nothing to dance to ({why}): give a file with music.")
        if seconds is None and heard.end_s > LONGEST_S:
            raise LongdanceError(
                f"The song {path} lasts longer than {LONGEST_S / 60:.0f} minutes: say by --frames how long the dance "
                "is to be."
            )
        length = heard.end_s if seconds is None else seconds
        span = (0, round(length * RATE))
        sound = read_sound(descriptor, heard.shift_s, [span], RATE, CHANNELS, limits)[0]
    finally:
        os.close(descriptor)
    if len(heard.beats) < 2:
        raise LongdanceError(f"No beats were found in the song {path}: give music with a pulse.")
    return Song(np.clip(np.round(sound * 32768.0), -32768, 32767).astype(np.int16), np.array(heard.beats))

"""A dance that nobody danced, for a person in a picture: as `choreograph` and `generate --dance new` make it."""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from data_catalog.base.paths import DataFolder
from model.choreography.beat_grid import beat_grid
from model.choreography.choreographer import Choreographer
from model.choreography.compose import DanceOrder, compose
from model.choreography.config import dance_config
from model.choreography.dances import StoredDance, dance_of, stored_dance
from model.data.samples import read_samples
from model.errors import DataError
from pipeline.clips.song import Song, read_song
from pipeline.picture_size import PictureSize


@dataclass(frozen=True)
class NewDance:
    """What a new dance is to be."""

    run: Path
    frames: int | None = None
    """None: as many as the song lasts, or MOST_OFTEN."""
    music: Path | None = None
    style: str | None = None
    """A clip of `data` to dance like."""
    data: Path | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    """Of `model.choreography.config.DanceConfig`, where they differ."""


MOST_OFTEN = 724
"""Frames of a dance where nobody says how many."""


@dataclass(frozen=True)
class Danced:
    """A new dance, and the song that it is danced to."""

    dance: StoredDance
    song: Song | None
    record: dict[str, Any]
    """Names the choreographer."""

    @property
    def beats(self) -> np.ndarray:
        """Seconds at which it was told a beat; none without music."""
        return np.empty(0) if self.dance.beats is None else self.dance.beats


def new_dance(wanted: NewDance, start: np.ndarray, size: PictureSize, fps: Fraction) -> Danced:
    """Make it for the person with `start` (33, 4) in a picture of that size.

    Raises LongdanceError's kinds, each with one sentence.
    """
    choreographer = Choreographer.open(wanted.run)
    config = dance_config(**wanted.settings)
    seconds = None if wanted.frames is None else wanted.frames / float(fps)
    song = None if wanted.music is None else read_song(wanted.music, seconds)
    frames = wanted.frames or (round(song.seconds * float(fps)) if song else MOST_OFTEN)
    style = None if wanted.style is None else _style(wanted, choreographer.network.config.keys_per_beat)
    order = DanceOrder(start, size, frames, fps, song.beats if song else None, style)
    return Danced(compose(choreographer.network, order, config), song, choreographer.record)


def _style(wanted: NewDance, keys_per_beat: int) -> np.ndarray:
    """The key poses of the clip to dance like."""
    if wanted.data is None:
        raise DataError(f"The style {wanted.style!r} is a clip of a data set: name it with --data.")
    root = DataFolder.built(wanted.data).root
    sample = next((sample for sample in read_samples(root) if sample.clip_id == wanted.style), None)
    if sample is None:
        raise DataError(f"The data set {wanted.data} has no stored clip {wanted.style!r} to dance like.")
    dance = dance_of(stored_dance(root, sample), sample.key, sample.source_id, keys_per_beat)
    if dance is None:
        raise DataError(f"Clip {wanted.style!r} is shorter than two beats: name another style.")
    return dance.numbers


def pulse(danced: Danced) -> np.ndarray:
    """Seconds of the beats within the dance."""
    length = len(danced.dance.landmarks) / float(danced.dance.fps)
    if not len(danced.beats):
        return np.empty(0)
    grid = beat_grid(danced.beats, length, 1)
    return grid.seconds[(grid.seconds >= 0) & (grid.seconds < length)]

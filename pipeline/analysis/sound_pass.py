"""The one pass over a source's sound: where there is any, and where its beats are. Kept by content, like the other.

Beats are the source's and not its clips': a tracker wants more music than a clip holds, and another crop or another
length of clips hears nothing again.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from data_catalog.base.errors import RejectedError
from data_catalog.base.files import read_sealed, sha256_json, write_sealed
from pipeline.analysis.beat_tracking import RATE, sound_blocks, track_beats
from pipeline.config import LimitsConfig
from pipeline.video.sound import clock_shift, decode_sound

VERSION = 1  # raise it when the same sound would give other numbers
SILENCE = 2**-15  # a step of 16 bits


@dataclass(frozen=True)
class Heard:
    """What a source sounds like. Seconds are those of its pictures' clock."""

    reason: str | None  # why it has no sound: no_sound, sound_codec, damaged, timeout, silent; None where it has
    detail: str | None
    start_s: float  # the first and the end of the last moment that is no digital silence
    end_s: float
    shift_s: float  # by which ffmpeg's clock of the sound is moved to be the pictures'
    beats: tuple[float, ...]

    @property
    def sounds(self) -> bool:
        """Whether there is anything to hear."""
        return self.reason is None

    def within(self, start_s: float, end_s: float) -> bool:
        """Whether there is anything to hear between two moments."""
        return self.sounds and start_s < self.end_s and end_s > self.start_s


def sound_key() -> str:
    """The name under which results of this code are kept: no setting changes them."""
    return sha256_json(["sound", VERSION])[:16]


def listen(descriptor: int, stop_s: float, limits: LimitsConfig) -> Heard:
    """Decode a source's sound up to `stop_s` and find its beats; why there is none is an answer, no error.

    Raises KilledError.
    """
    ends = _Ends()
    try:
        shift_s = clock_shift(descriptor, limits)
        with decode_sound(descriptor, shift_s, stop_s, RATE, 1, limits) as chunks:
            beats = track_beats(sound_blocks(ends.watch(chunks)))
    except RejectedError as error:
        return Heard(error.code, error.detail, 0.0, 0.0, 0.0, ())
    if ends.first is None:
        return Heard("silent", "The sound is digital silence.", 0.0, 0.0, shift_s, ())
    return Heard(None, None, ends.first / RATE, ends.end / RATE, shift_s, tuple(np.round(beats, 4).tolist()))


class _Ends:
    """The first sample and the end of the last one that is no silence."""

    def __init__(self) -> None:
        self.first: int | None = None
        self.end = self.seen = 0

    def watch(self, chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Pass mono chunks (n, 1) on as (n,)."""
        for chunk in chunks:
            loud = np.flatnonzero(np.abs(chunk[:, 0]) > SILENCE)
            if len(loud):
                self.first = self.seen + int(loud[0]) if self.first is None else self.first
                self.end = self.seen + int(loud[-1]) + 1
            self.seen += len(chunk)
            yield chunk[:, 0]


def save(heard: Heard, path: Path) -> None:
    """Write it as JSON, atomically."""
    write_sealed(path, asdict(heard))


def load(path: Path) -> Heard:
    """What `save` wrote. Raises LongdanceError if it is damaged."""
    stored = {name: value for name, value in read_sealed(path).items() if name != "seal"}
    return Heard(**{**stored, "beats": tuple(stored["beats"])})

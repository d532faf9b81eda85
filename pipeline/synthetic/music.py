"""The music that drawn dancers dance to: drums, a bass and a few chords on exactly known beats."""

import wave
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from pipeline.synthetic.body.brush import Array

Choice = TypeVar("Choice")
RATE = 44100
# Kick, snare and hat of a groove: which eighths of a bar of eight they strike.
GROOVES = {
    "house": ((0, 2, 4, 6), (2, 6), (1, 3, 5, 7)),
    "disco": ((0, 2, 4, 6), (2, 6, 7), (0, 1, 2, 3, 4, 5, 6, 7)),
    "pop": ((0, 4), (2, 6), (0, 1, 2, 3, 4, 5, 6, 7)),
    "rock": ((0, 3, 4), (2, 6), (0, 2, 4, 6)),
    "funk": ((0, 3, 5), (2, 6), (0, 1, 2, 3, 4, 5, 6, 7)),
    "hip_hop": ((0, 1, 5), (2, 6), (0, 2, 3, 4, 6, 7)),
}
BASSES = (((0, 0), (3, 0), (4, 7), (6, 12)), ((0, 0), (2, 0), (4, 0), (6, 7)), ((0, 0), (1, 12), (4, 0), (5, 12)))
CHORDS = ((0, 5, 7, 3), (0, 8, 3, 10), (0, 3, 5, 7), (0, 0, 5, 7))  # a root a bar, half tones above the key


@dataclass(frozen=True)
class Music:
    """A steady pulse and the seed of its sound; `beat_offset` is the beat at time 0."""

    beats_per_second: float
    beat_offset: float
    seed: int

    def beats(self, seconds: float) -> Array:
        """Times of all beats in [0, seconds)."""
        count = np.arange(np.ceil(self.beat_offset), np.ceil(self.beat_offset + seconds * self.beats_per_second))
        return np.asarray((count - self.beat_offset) / self.beats_per_second)


def random_music(seed: int) -> Music:
    """Music for a video in which nobody dances."""
    rng = np.random.default_rng([seed, 11])
    return Music(rng.uniform(92, 128) / 60, rng.uniform(0.5, 6.0), seed)


def draw_music(music: Music, seconds: float) -> np.ndarray:
    """(samples, 2) int16 at RATE: `seconds` of the music, in a style of its own."""
    rng = np.random.default_rng([music.seed, 10])
    band = _Band(music, round(seconds * RATE))
    kicks, snares, hats = _choose(rng, tuple(GROOVES.values()))
    band.play(kicks, _kick(rng.uniform(42, 58)), 0.9)
    band.play(snares, _snare(rng), 0.5)
    band.play(hats, _hat(rng), rng.uniform(0.12, 0.25), pan=rng.uniform(-0.5, 0.5))
    roots = _choose(rng, CHORDS)
    key = rng.uniform(40, 62)
    for eighth, step in _choose(rng, BASSES):
        band.play_notes((eighth,), [_note(key * 2 ** ((root + step) / 12), 0.3, 4) for root in roots], 0.35)
    strength = rng.uniform(0.05, 0.12)
    for step, pan in ((0, -0.4), (7, 0.4), (16, 0.0)):
        chord = [_note(4 * key * 2 ** ((root + step) / 12), 0.5, 6) for root in roots]
        band.play_notes((0, 3, 6), chord, strength, pan)
    room = rng.normal(0, 0.002, band.track.shape)
    mixed = np.tanh(0.8 * band.track + room)  # a tape's soft limit
    return np.asarray(np.round(0.8 * 32767 * mixed), np.int16)


def write_music(path: Path, samples: np.ndarray) -> None:
    """int16 (samples, channels) as a WAV at RATE."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.astype("<i2").tobytes())


class _Band:
    """A stereo track that sounds are added to by their eighth of the bar."""

    def __init__(self, music: Music, samples: int) -> None:
        self.music, self.track = music, np.zeros((samples, 2))

    def play(self, eighths: tuple[int, ...], sound: Array, gain: float, pan: float = 0.0) -> None:
        """The same sound at these eighths of every bar."""
        self.play_notes(eighths, [sound], gain, pan)

    def play_notes(self, eighths: tuple[int, ...], sounds: list[Array], gain: float, pan: float = 0.0) -> None:
        """One sound a bar, in turn. `pan`: -1 left to 1 right."""
        music, sides = self.music, gain * np.sqrt(np.array([1 - pan, 1 + pan]) / 2)
        seconds = len(self.track) / RATE
        first = int(music.beat_offset // 4) - 1
        last = int((music.beat_offset + seconds * music.beats_per_second) // 4) + 1
        for bar in range(first, last + 1):
            for eighth in eighths:
                beat = 4 * bar + eighth / 2
                at = round((beat - music.beat_offset) / music.beats_per_second * RATE)
                sound = sounds[bar % len(sounds)]
                start, stop = max(at, 0), min(at + len(sound), len(self.track))
                if start < stop:
                    self.track[start:stop] += sound[start - at : stop - at, None] * sides


def _choose(rng: np.random.Generator, choices: tuple[Choice, ...]) -> Choice:
    return choices[int(rng.integers(len(choices)))]


def _fading(seconds: float, half_life: float) -> tuple[Array, Array]:
    """(times, a loudness that falls by half every `half_life` seconds), with an end that does not click."""
    times = np.arange(int(seconds * RATE)) / RATE
    return times, 0.5 ** (times / half_life) * np.minimum(1, (seconds - times) / 0.01)


def _kick(pitch: float) -> Array:
    times, loudness = _fading(0.3, 0.05)
    return np.asarray(loudness * np.sin(2 * np.pi * (pitch * times - 3.0 * 0.5 ** (times / 0.015))))


def _snare(rng: np.random.Generator) -> Array:
    times, loudness = _fading(0.2, 0.03)
    return np.asarray(loudness * (0.6 * rng.normal(0, 0.5, len(times)) + 0.5 * np.sin(2 * np.pi * 190 * times)))


def _hat(rng: np.random.Generator) -> Array:
    times, loudness = _fading(0.08, 0.012)
    return np.asarray(loudness * np.diff(rng.normal(0, 0.6, len(times) + 1)))


def _note(pitch: float, seconds: float, partials: int) -> Array:
    times, loudness = _fading(seconds, seconds / 4)
    waves = [np.sin(2 * np.pi * pitch * k * times) / k for k in range(1, partials + 1)]
    return np.asarray(np.minimum(1, times / 0.004) * loudness * np.sum(waves, axis=0))

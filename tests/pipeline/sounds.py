"""Click tracks: strokes at known times, found again to a fraction of a sample."""

import wave
from pathlib import Path

import numpy as np

WIDTH_S, PITCH_HZ, REACH_S = 0.0005, 3000.0, 0.004  # a stroke is a short burst that any codec keeps in its place


def stroke(offset_s: np.ndarray) -> np.ndarray:
    """A burst's value at times from its middle."""
    return np.asarray(np.exp(-((offset_s / WIDTH_S) ** 2)) * np.cos(2 * np.pi * PITCH_HZ * offset_s))


def click_track(times: np.ndarray, seconds: float, rate: int) -> np.ndarray:
    """(samples,) float64 with a stroke at each time, between samples too."""
    at, track = np.arange(round(seconds * rate)) / rate, np.zeros(round(seconds * rate))
    for time in times:
        low, high = np.searchsorted(at, [time - REACH_S, time + REACH_S])
        track[low:high] += 0.8 * stroke(at[low:high] - time)
    return track


def write_wav(path: Path, track: np.ndarray, rate: int) -> Path:
    """(samples,) or (samples, channels), full scale 1, as 16 bits."""
    samples = np.round(track.reshape(len(track), -1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def write_clicks(path: Path, times: np.ndarray, seconds: float, rate: int = 48000) -> Path:
    """A click track as a WAV."""
    return write_wav(path, click_track(times, seconds, rate), rate)


def click_errors(sound: np.ndarray, rate: int, expected_s: np.ndarray, speed: float = 1.0) -> np.ndarray:
    """How far, in samples, the strokes of (samples,) lie from where they are expected.

    Strokes whose surroundings are not all there are left out. `speed`: strokes that were played faster are shorter.
    """
    reach, search = round(2 * REACH_S * rate), round(0.02 * rate)
    shape = stroke(speed * np.arange(-reach, reach + 1) / rate)
    errors = []
    for time in expected_s:
        start = round(time * rate) - search - reach
        if start < 0 or start + 2 * (search + reach) + 1 > len(sound):
            continue
        likeness = np.correlate(sound[start : start + 2 * (search + reach) + 1].astype(float), shape, "valid")
        peak = int(likeness.argmax())
        assert 0 < peak < len(likeness) - 1, f"no stroke within 20 ms of {time:.3f} s"
        before, best, after = likeness[peak - 1 : peak + 2]
        between = (before - after) / (2 * (before - 2 * best + after))
        errors.append(start + reach + peak + between - time * rate)
    return np.array(errors)

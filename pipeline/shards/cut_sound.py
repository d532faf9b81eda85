"""A sample's sound: cut to the sample out of its source, as fast as its variant, one level for all if wanted, FLAC.

A faster variant's music is faster and higher, as a record is that turns faster. Stretchers that keep the pitch move
what they stretch: ffmpeg's atempo shifts single beats by up to 19 ms, rubberband by 9, and smear the strokes; turned
faster, every beat stays where the dance meets it, to the sample. FLAC, because it gives the same bytes everywhere,
holds exactly the samples that were cut (a lossy codec pads them), and opens in browsers and training code alike.
"""

import io
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from data_catalog.base.errors import RejectedError
from pipeline.config import LimitsConfig, SoundConfig
from pipeline.shards.encode_clip import VariantJob
from pipeline.video.sound import read_sound

VERSION = 1  # raise it when the same cut would give other bytes
MARGIN = 1024  # samples around a cut that is resampled: its ends ring otherwise
HIGHEST = 10 ** (-1 / 20)  # full scale less 1 dB: no level is raised beyond it
MEASURED_S = 0.4  # ITU-R BS.1770 measures no less


@dataclass(frozen=True)
class SoundCut:
    """Where a sample's sound lies in its source."""

    start_s: float  # the sample's first frame
    speed: float  # seconds of the source in a second of the sample
    samples: int

    def span(self, rate: int) -> tuple[int, int]:
        """[start, stop) of the source's samples that are needed; `of_span` takes them."""
        margin = 0 if self.speed == 1 else MARGIN
        start = round(self.start_s * rate - margin * self.speed)
        return start, start + math.ceil((self.samples + 2 * margin) * self.speed)

    def of_span(self, sound: np.ndarray, rate: int) -> np.ndarray:
        """(samples, channels) of the sample out of those of its span."""
        if self.speed == 1:
            return sound
        import soxr

        turned = np.asarray(soxr.resample(sound, rate * self.speed, rate, "VHQ"))
        return turned[MARGIN : MARGIN + self.samples]


def cut_of(job: VariantJob, pts: np.ndarray, fps: Fraction, rate: int) -> SoundCut:
    """The sound of a sample: it begins with the first frame and lasts as long as the video."""
    samples = round(len(job.frames) * rate / fps)
    return SoundCut(float(pts[job.frames[0]]), job.recipe.tempo, samples)


def cut_sounds(
    descriptor: int, shift_s: float, cuts: Sequence[SoundCut], config: SoundConfig, limits: LimitsConfig
) -> list[np.ndarray]:
    """float32 (samples, channels) of each cut, the source decoded once; arguments and errors as of `decode_sound`."""
    spans = [cut.span(config.rate) for cut in cuts]
    sounds = read_sound(descriptor, shift_s, spans, config.rate, config.channels, limits)
    return [cut.of_span(sound, config.rate) for cut, sound in zip(cuts, sounds, strict=True)]


def loudness(sound: np.ndarray, rate: int) -> float | None:
    """Integrated loudness in LUFS (ITU-R BS.1770-4); None for silence, and for less than it can measure."""
    import pyloudnorm

    if len(sound) < MEASURED_S * rate:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the logarithm of nothing
        value = float(pyloudnorm.Meter(rate).integrated_loudness(sound.astype(np.float64)))
    return round(value, 2) if math.isfinite(value) else None


def levelled(sound: np.ndarray, rate: int, wanted: float | None) -> tuple[np.ndarray, float]:
    """(the sound at the wanted loudness, the gain in dB): one factor for all of it, so that its dynamics stay.

    It is raised until its highest peak is at HIGHEST and no further. As it is where nothing is wanted or measured.
    """
    measured = loudness(sound, rate) if wanted is not None else None
    if wanted is None or measured is None:
        return sound, 0.0
    gain = 10 ** ((wanted - measured) / 20)
    if gain > 1:
        gain = max(1.0, min(gain, HIGHEST / float(np.abs(sound).max())))
    return sound * np.float32(gain), round(20 * math.log10(gain), 2)


def write_flac(sound: np.ndarray, rate: int) -> bytes:
    """float (samples, channels) as 16-bit FLAC; what is beyond full scale is clipped."""
    import soundfile

    steps = np.clip(np.round(sound * 32768.0), -32768, 32767).astype(np.int16)
    buffer = io.BytesIO()
    soundfile.write(buffer, steps, rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def read_flac(data: bytes) -> tuple[np.ndarray, int]:
    """(int16 (samples, channels), rate) of a stored sound.

    Raises:
        RejectedError: `encode_failed`, it does not decode.
    """
    import soundfile

    try:
        sound, rate = soundfile.read(io.BytesIO(data), dtype="int16", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise RejectedError("encode_failed", f"The sound does not decode: {error}.") from error
    return np.asarray(sound), int(rate)


def sound_member(sound: np.ndarray, cut: SoundCut, config: SoundConfig) -> tuple[bytes, dict[str, Any]]:
    """(the member's bytes, what a sample's json says of them)."""
    placed, gain_db = levelled(sound, config.rate, config.loudness)
    said: dict[str, Any] = {"rate": config.rate, "channels": config.channels, "samples": cut.samples}
    said |= {"start_s": cut.start_s, "speed": cut.speed}
    said |= {"loudness": loudness(placed, config.rate), "gain_db": gain_db}
    return write_flac(placed, config.rate), said


def verify_sound(data: bytes, said: dict[str, Any]) -> None:
    """Decode a stored sound back.

    Raises:
        RejectedError: `encode_failed`, with what differs.
    """
    sound, rate = read_flac(data)
    found = {"rate": rate, "channels": sound.shape[1], "samples": len(sound)}
    wrong = [f"{name} is {value}, expected {said[name]}" for name, value in found.items() if value != said[name]]
    if wrong:
        raise RejectedError("encode_failed", f"The stored sound does not verify: {', '.join(wrong)}.")

"""A sample's sound is that of its frames, to the sample: strokes lie where the pictures they were struck with do."""

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from data_catalog.base.errors import RejectedError
from pipeline.clips.frame_grid import frame_grids
from pipeline.config import ClipConfig, SoundConfig
from pipeline.shards.augment import Recipe, retimed
from pipeline.shards.cut_sound import (
    HIGHEST,
    SoundCut,
    cut_of,
    cut_sounds,
    levelled,
    loudness,
    read_flac,
    sound_member,
    verify_sound,
    write_flac,
)
from pipeline.shards.encode_clip import VariantJob
from pipeline.video.ffmpeg import open_source
from pipeline.video.sound import clock_shift
from tests.pipeline.crops import square
from tests.pipeline.sounds import click_errors, write_clicks, write_wav
from tests.pipeline.videos import LIMITS, SIDE, ffmpeg, pass_over, read_numbers, write_numbered

COUNT, EVERY = 230, 6  # frames of a video, frames from stroke to stroke
WHOLE = square([[0, 0]], SIDE)
X264 = ("-c:v", "libx264", "-crf", "12", "-pix_fmt", "yuv420p", "-bf", "2")
PCM, AAC = ("-c:a", "pcm_s16le"), ("-c:a", "aac", "-b:a", "160k")
EXACT_TIMES = ("-fps_mode", "passthrough", "-enc_time_base", "1/1000")
CONFIG = SoundConfig()


def sounding(
    path: Path, rate: str, *arguments: str, late: float = 0.0, sampled: int = 44100, times: np.ndarray | None = None
) -> Path:
    """A numbered video with a stroke at every sixth frame's time, its sound beginning `late` seconds after it."""
    struck = (np.arange(COUNT) / float(Fraction(rate)) if times is None else times)[EVERY:-EVERY:EVERY]
    struck = struck[struck > late + 0.05]
    wav = write_clicks(path.with_suffix(".wav"), struck - late, struck[-1] - late + 0.2, sampled)
    maps = ("-map", "0:v", "-map", "1:a")
    return write_numbered(
        path, COUNT, *maps, *X264, *arguments, rate=rate, before=("-itsoffset", str(late), "-i", str(wav))
    )


def jobs_of(pts: np.ndarray, tempos: tuple[float, ...] = (1.0, 0.87, 1.13)) -> tuple[list[VariantJob], Fraction]:
    """The clips of a video, and variants of each at other tempos where it has the frames."""
    windows = frame_grids(pts, [(0, len(pts))], ClipConfig(frames=40))
    jobs = []
    for window in windows:
        for tempo in tempos:
            frames = window.frames if tempo == 1 else retimed(pts, window.frames, (0, len(pts)), tempo)
            if frames is not None:
                jobs.append(VariantJob(frames, WHOLE, Recipe(tempo=tempo), Path("unused")))
    return jobs, windows[0].fps


def errors_of(path: Path, config: SoundConfig = CONFIG, after_s: float = 0.0) -> dict[float, np.ndarray]:
    """By tempo, how many samples each stroke lies from the time at which its frame is shown in the sample.

    `after_s`: strokes before it are not in the file.
    """
    _, pts, pictures = pass_over(path)
    shown = [read_numbers(picture[: len(picture) * 2 // 3]) for picture in pictures]
    struck = pts[[i for i, number in enumerate(shown) if number % EVERY == 0 and EVERY <= number < COUNT - EVERY]]
    struck = struck[struck > after_s]
    jobs, fps = jobs_of(pts)
    cuts = [cut_of(job, pts, fps, config.rate) for job in jobs]
    descriptor = open_source(bytes(path))
    try:
        sounds = cut_sounds(descriptor, clock_shift(descriptor, LIMITS), cuts, config, LIMITS)
    finally:
        os.close(descriptor)
    found: dict[float, list[np.ndarray]] = {}
    for job, cut, sound in zip(jobs, cuts, sounds, strict=True):
        assert len(sound) == cut.samples == round(len(job.frames) * config.rate / fps)
        expected = (struck - pts[job.frames[0]]) / job.recipe.tempo
        expected = expected[(expected > 0) & (expected < cut.samples / config.rate)]
        if sound.any():
            errors = click_errors(sound.mean(1), config.rate, expected, job.recipe.tempo)
            found.setdefault(job.recipe.tempo, []).append(errors)
    return {tempo: np.concatenate(parts) for tempo, parts in found.items()}


def assert_exact(errors: dict[float, np.ndarray], tempos: set[float], strokes: int = 10) -> None:
    assert errors.keys() >= tempos
    for tempo, found in errors.items():
        assert len(found) >= strokes, tempo
        assert np.abs(found).max() <= 1, f"tempo {tempo}: {np.abs(found).max():.2f} samples"


@pytest.mark.parametrize("rate", ["24", "25", "30000/1001", "30", "50", "60"])
def test_the_sound_is_cut_to_the_sample_at_every_rate_and_tempo(rate: str, tmp_path: Path) -> None:
    slow = {0.87} if rate in ("50", "60") else set()  # others would have to repeat frames
    assert_exact(errors_of(sounding(tmp_path / "a.mp4", rate, *AAC)), {1.0, 1.13} | slow)


def test_the_sound_of_a_variable_rate_is_cut_to_the_sample(tmp_path: Path) -> None:
    n = np.arange(COUNT)
    times = (3 * n + n * n % 3 + 40 * (n >= 30)) / 100
    uneven = (
        "-vf",
        "settb=1/100,setpts=3*N+mod(N*N\\,3)+gte(N\\,30)*40",
        "-fps_mode",
        "passthrough",
        "-enc_time_base",
        "1/1000",
    )
    errors = errors_of(sounding(tmp_path / "v.mp4", "25", *uneven, *AAC, times=times))
    assert_exact(errors, {1.0, 1.13})


@pytest.mark.parametrize(("name", "audio"), [("a.mp4", AAC), ("a.mov", PCM), ("a.mkv", ("-c:a", "flac"))])
def test_a_sound_that_begins_late_stays_where_its_file_puts_it(
    name: str, audio: tuple[str, ...], tmp_path: Path
) -> None:
    path = sounding(tmp_path / name, "30", *audio, late=1.25)
    assert_exact(errors_of(path, after_s=1.3), {1.0, 1.13})


def test_a_picture_that_begins_late_keeps_its_sound(tmp_path: Path) -> None:
    shifted = ("-vf", "settb=1/1000,setpts=PTS+700", *EXACT_TIMES)
    times = np.arange(COUNT) / 25 + 0.7
    for name, audio in (("p.mp4", AAC), ("p.mkv", ("-c:a", "flac"))):
        assert_exact(errors_of(sounding(tmp_path / name, "25", *shifted, *audio, times=times)), {1.0, 1.13})


def test_a_stream_copy_that_hides_frames_before_its_start_keeps_its_sound(tmp_path: Path) -> None:
    whole = sounding(tmp_path / "whole.mov", "25", "-g", "24", *PCM)
    ffmpeg("-ss", "1.4", "-i", str(whole), "-c", "copy", str(tmp_path / "cut.mov"))
    assert_exact(errors_of(tmp_path / "cut.mov"), {1.0, 1.13})


@pytest.mark.parametrize(
    ("name", "audio"),
    [
        ("a.mov", PCM), ("f.mkv", ("-c:a", "flac")), ("o.mp4", ("-c:a", "libopus", "-b:a", "160k", "-ar", "48000")),
        ("m.mp4", ("-c:a", "libmp3lame", "-b:a", "192k")), ("v.mkv", ("-c:a", "libvorbis", "-q:a", "6")),
        ("l.m4v", ("-c:a", "alac", "-f", "mov")), ("p.avi", ("-bf", "0", "-c:a", "pcm_s16le")),
    ],
)  # fmt: skip
def test_the_sound_of_every_usual_codec_is_cut_to_the_sample(name: str, audio: tuple[str, ...], tmp_path: Path) -> None:
    assert_exact(errors_of(sounding(tmp_path / name, "30", *audio)), {1.0, 1.13})


def test_other_rates_and_stereo_are_exact_too(tmp_path: Path) -> None:
    path = sounding(tmp_path / "a.mov", "30", *PCM, "-ac", "2")
    assert_exact(errors_of(path, SoundConfig(rate=22050, channels=2)), {1.0, 1.13})


def cut_one(path: Path, cut: SoundCut, config: SoundConfig = CONFIG) -> np.ndarray:
    descriptor = open_source(bytes(path))
    try:
        return cut_sounds(descriptor, clock_shift(descriptor, LIMITS), [cut], config, LIMITS)[0]
    finally:
        os.close(descriptor)


def test_sound_of_the_wanted_rate_is_stored_bit_for_bit(tmp_path: Path) -> None:
    steps = np.random.default_rng(0).integers(-32768, 32768, (96000, 1))
    wav = write_wav(tmp_path / "noise.wav", steps / 32767, 48000)
    path = write_numbered(tmp_path / "a.mov", 50, "-map", "0:v", "-map", "1:a", *X264, *PCM, before=("-i", str(wav)))
    flac, said = sound_member(cut_one(path, SoundCut(0.4, 1.0, 48000)), SoundCut(0.4, 1.0, 48000), CONFIG)
    stored, rate = read_flac(flac)
    original = np.round(steps / 32767 * 32767).astype(np.int16)
    assert rate == 48000
    assert (stored == original[19200 : 19200 + 48000]).all()
    assert (said["samples"], said["channels"], said["gain_db"]) == (48000, 1, 0.0)


def test_where_the_source_is_silent_or_over_there_is_silence(tmp_path: Path) -> None:
    wav = write_wav(tmp_path / "tone.wav", np.full(24000, 0.5), 48000)
    path = write_numbered(
        tmp_path / "a.mov", 60, "-map", "0:v", "-map", "1:a", *X264, *PCM, before=("-itsoffset", "0.5", "-i", str(wav))
    )
    sound = cut_one(path, SoundCut(0.25, 1.0, 96000))[:, 0]
    assert not sound[:12000].any()
    assert np.allclose(sound[12000:36000], 0.5, atol=1e-4)
    assert not sound[36000:].any()
    assert len(sound) == 96000


def test_two_channels_are_mixed_without_clipping_and_one_becomes_two_as_loud(tmp_path: Path) -> None:
    for channels, level in ((1, 0.99), (2, 0.99 / np.sqrt(2))):
        wav = write_wav(tmp_path / "loud.wav", np.full((48000, 3 - channels), 0.99), 48000)
        maps = ("-map", "0:v", "-map", "1:a")
        path = write_numbered(tmp_path / f"{channels}.mov", 25, *maps, *X264, *PCM, before=("-i", str(wav)))
        sound = cut_one(path, SoundCut(0.1, 1.0, 9600), SoundConfig(channels=channels))
        assert sound.shape == (9600, channels)
        assert np.allclose(sound, level, atol=1e-3)


def noise(level: float, seconds: float = 3.0) -> np.ndarray:
    return np.random.default_rng(1).normal(0, level, (int(48000 * seconds), 1)).astype(np.float32)


@pytest.mark.parametrize("level", [0.002, 0.05, 0.2])
def test_samples_are_brought_to_the_wanted_loudness_by_one_factor(level: float) -> None:
    sound = noise(level)
    placed, gain_db = levelled(sound, 48000, -23.0)
    assert loudness(placed, 48000) == pytest.approx(-23.0, abs=0.05)
    assert np.allclose(placed, sound * 10 ** (gain_db / 20), rtol=2e-3)


def test_no_sound_is_raised_beyond_its_peak() -> None:
    sound = noise(0.001)
    sound[1000] = 0.5
    placed, gain_db = levelled(sound, 48000, -14.0)
    assert np.abs(placed).max() == pytest.approx(HIGHEST, rel=1e-5)
    assert gain_db == pytest.approx(20 * np.log10(HIGHEST / 0.5), abs=0.01)


@pytest.mark.parametrize("sound", [np.zeros((48000, 1), np.float32), noise(0.1, 0.2)])
def test_silence_and_what_is_too_short_to_measure_stay_as_they_are(sound: np.ndarray) -> None:
    placed, gain_db = levelled(sound, 48000, -14.0)
    assert (placed == sound).all()
    assert (gain_db, loudness(sound, 48000)) == (0.0, None)


def test_the_same_sound_gives_the_same_bytes_and_clipping_does_not_wrap() -> None:
    sound = noise(0.6)
    assert write_flac(sound, 48000) == write_flac(sound.copy(), 48000)
    stored, _ = read_flac(write_flac(sound, 48000))
    assert (np.sign(stored[np.abs(sound) > 0.1]) == np.sign(sound[np.abs(sound) > 0.1])).all()


def test_a_damaged_or_shorter_sound_does_not_verify() -> None:
    cut = SoundCut(0.0, 1.0, 48000)
    flac, said = sound_member(noise(0.1, 1.0), cut, CONFIG)
    verify_sound(flac, said)
    with pytest.raises(RejectedError, match="samples is 48000, expected 48001"):
        verify_sound(flac, {**said, "samples": 48001})
    with pytest.raises(RejectedError, match="does not decode"):
        verify_sound(b"no sound", said)

"""A video with its sound put in plays both, each at its time, and its pictures are what they were."""

from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.video.add_sound import add_sound
from tests.pipeline.sounds import click_errors, click_track
from tests.pipeline.videos import numbers_in, write_numbered

X264 = ("-c:v", "libx264", "-crf", "12", "-pix_fmt", "yuv420p", "-bf", "2", "-g", "12")


def joined(video: Path, sound: np.ndarray, rate: int) -> Path:
    path = video.with_name("joined.mp4")
    with video.open("rb") as file:
        add_sound(file, sound, rate, path)
    return path


def decoded(path: Path) -> tuple[np.ndarray, float]:
    """(samples,) of the sound at 48000, and the video's seconds."""
    with av.open(str(path)) as container:
        seconds = float(container.streams.video[0].duration * container.streams.video[0].time_base)
        frames = [frame.to_ndarray().mean(0) for frame in container.decode(audio=0)]
    return np.concatenate(frames), seconds


@pytest.mark.parametrize(("rate", "channels", "frames"), [(48000, 1, 60), (44100, 2, 60), (22050, 1, 250)])
def test_strokes_stay_where_they_were_and_pictures_as_they_were(
    rate: int, channels: int, frames: int, tmp_path: Path
) -> None:
    video = write_numbered(tmp_path / "a.mp4", frames, *X264)
    times = np.arange(0.3, frames / 25 - 0.1, 0.4)
    track = np.round(click_track(times, frames / 25 + 1, rate) * 32767).astype(np.int16)
    path = joined(video, np.repeat(track[:, None], channels, 1), rate)
    sound, seconds = decoded(path)
    errors = click_errors(sound, 48000, times)
    assert len(errors) == len(times)
    assert np.abs(errors).max() < 2
    assert seconds == pytest.approx(frames / 25)
    assert len(sound) / 48000 < frames / 25 + 0.05
    assert numbers_in(path) == numbers_in(video)


def test_the_same_video_and_sound_give_the_same_bytes_and_a_shorter_sound_ends(tmp_path: Path) -> None:
    video = write_numbered(tmp_path / "a.mp4", 50, *X264)
    sound = np.random.default_rng(0).integers(-9000, 9000, (48000, 1)).astype(np.int16)
    first = joined(video, sound, 48000).read_bytes()
    again = joined(video, sound, 48000)
    assert first == again.read_bytes()
    assert len(decoded(again)[0]) / 48000 == pytest.approx(1.0, abs=0.05)

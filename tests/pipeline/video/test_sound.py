"""The door for sound: no other file is opened, no other codec decodes, and nothing takes longer than its pictures."""

import os
import random
from pathlib import Path

import numpy as np
import psutil
import pytest

from data_catalog.base.errors import KilledError, RejectedError
from pipeline.config import LimitsConfig
from pipeline.video.ffmpeg import open_source
from pipeline.video.sound import CODECS, clock_shift, decode_sound, read_sound
from tests.pipeline.opened import watching
from tests.pipeline.sounds import write_clicks, write_wav
from tests.pipeline.videos import LIMITS, ffmpeg, write_numbered

X264 = ("-c:v", "libx264", "-crf", "30", "-pix_fmt", "yuv420p")
SINE = ("-f", "lavfi", "-i", "sine=f=440:r=48000:d=2")
BOTH = ("-map", "0:v", "-map", "1:a")


def read(path: Path, seconds: float = 3.0, limits: LimitsConfig = LIMITS) -> np.ndarray:
    """(samples, 1) of a file's first seconds at 8000 a second."""
    descriptor = open_source(bytes(path))
    try:
        shift_s = clock_shift(descriptor, limits)
        return read_sound(descriptor, shift_s, [(0, int(8000 * seconds))], 8000, 1, limits)[0]
    finally:
        os.close(descriptor)


def code_of(path: Path) -> str:
    with pytest.raises(RejectedError) as caught:
        read(path)
    assert caught.value.detail.endswith(".")
    return caught.value.code


def sounding(path: Path, *arguments: str) -> Path:
    return write_numbered(path, 50, *BOTH, *X264, *arguments, before=SINE)


def test_a_video_without_a_track_says_so(tmp_path: Path) -> None:
    assert code_of(write_numbered(tmp_path / "a.mp4", 25, *X264)) == "no_sound"


@pytest.mark.parametrize(
    ("name", "codec"),
    [("d.mkv", "dca"), ("t.mkv", "truehd"), ("w.mkv", "wavpack"), ("a.mkv", "tta"), ("g.mkv", "g722"),
     ("n.mov", "nellymoser"), ("y.mkv", "adpcm_yamaha"), ("s.mkv", "adpcm_swf")],
)  # fmt: skip
def test_no_codec_off_the_list_is_decoded(name: str, codec: str, tmp_path: Path) -> None:
    rate = ("-ar", "16000" if codec == "g722" else "22050") if codec in ("g722", "nellymoser", "adpcm_swf") else ()
    path = sounding(tmp_path / name, "-c:a", codec, "-strict", "-2", *rate)
    with pytest.raises(RejectedError) as caught:
        read(path)
    assert caught.value.code == "sound_codec"
    assert caught.value.detail.startswith(f"The sound is {codec}, which is none of aac,")
    assert codec not in CODECS.split(",")


def test_the_track_marked_as_default_is_taken(tmp_path: Path) -> None:
    loud, quiet = (write_wav(tmp_path / f"{level}.wav", np.full(96000, level), 48000) for level in (0.5, 0.25))
    for default, level in ((0, 0.5), (1, 0.25)):
        path = write_numbered(
            tmp_path / f"{default}.mov", 50, "-map", "0:v", "-map", "1:a", "-map", "2:a", *X264, "-c:a", "pcm_s16le",
            f"-disposition:a:{1 - default}", "0", f"-disposition:a:{default}", "default",
            before=("-i", str(loud), "-i", str(quiet)),
        )  # fmt: skip
        assert np.allclose(read(path)[2000:12000], level, atol=0.01)


def hostile_files(raw: Path) -> list[Path]:
    """Files that name `secret.mp4`, that lie, or that are broken; each holds or promises sound."""
    secret = sounding(raw / "secret.mp4", "-c:a", "aac")
    content = secret.read_bytes()
    noise = random.Random(3)
    broken = bytearray(content)
    for _ in range(3000):
        broken[noise.randrange(content.index(b"mdat") + 8, len(content))] ^= 1 << noise.randrange(8)
    files = {
        "hls.mp4": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.mp4\n#EXT-X-ENDLIST\n",
        "concat.mp4": f"ffconcat version 1.0\nfile '{secret}'\n".encode(),
        "dash.mp4": b'<?xml version="1.0"?>\n<MPD><BaseURL>secret.mp4</BaseURL></MPD>\n',
        "lrc.mp4": b"[00:00.00]secret.mp4\n" * 20,
        "wav_list.mp4": b"RIFF\x00\x00\x00\x00WAVEfmt secret.mp4" + bytes(200),
        "midi.mp4": b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x00\x60" + bytes(500),
        "random.mp4": random.Random(1).randbytes(50000),
        "half.mp4": content[: len(content) // 2],
        "broken.mp4": bytes(broken),
    }
    for name, data in files.items():
        (raw / name).write_bytes(data)
    return [raw / name for name in files]


def test_a_hostile_file_opens_no_other_and_is_an_answer(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for path in hostile_files(raw):
        with watching(raw) as opened:
            assert code_of(path) in ("damaged", "no_sound"), path.name
        assert opened == {path.name}
    children = psutil.Process().children(recursive=True)
    assert [child for child in children if "ffmpeg" in child.name()] == []


def test_opening_is_seen(tmp_path: Path) -> None:
    """The watch that the test above rests on."""
    (tmp_path / "a").touch()
    with watching(tmp_path) as opened:
        (tmp_path / "a").read_bytes()
    assert opened == {"a"}


def test_sound_that_outlasts_the_pictures_is_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "long.mkv"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x64:r=25:d=2", "-f", "lavfi", "-i", "sine=r=8000:d=600",
           *X264, "-c:a", "flac", "-compression_level", "0", str(path))  # fmt: skip
    descriptor = open_source(bytes(path))
    with decode_sound(descriptor, 0.0, 3.0, 8000, 1, LIMITS) as chunks:
        assert sum(len(chunk) for chunk in chunks) == 24000
    os.close(descriptor)


@pytest.mark.parametrize("name", ["a.mkv", "a.mov"])
@pytest.mark.parametrize("late", ["60", "86400"])
def test_sound_that_begins_after_the_pictures_have_ended_is_silence(name: str, late: str, tmp_path: Path) -> None:
    path = write_numbered(
        tmp_path / name, 50, *BOTH, *X264, "-c:a", "aac",
        before=("-itsoffset", late, "-i", str(write_clicks(tmp_path / "a.wav", np.array([0.5]), 1.0))),
    )  # fmt: skip
    assert not read(path).any()


def test_the_wall_clock_ends_a_decode_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = sounding(tmp_path / "a.mp4", "-c:a", "aac")
    with pytest.raises(RejectedError) as caught:
        read(path, limits=LimitsConfig(wall_s=0.001))
    assert caught.value.code == "timeout"
    descriptor = open_source(bytes(path))
    with decode_sound(descriptor, 0.0, 2.0, 8000, 1, LIMITS) as chunks:
        next(chunks)
    os.close(descriptor)
    assert [child for child in psutil.Process().children() if "ffmpeg" in child.name()] == []


def test_an_ffmpeg_that_somebody_kills_says_nothing_about_the_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sounding(tmp_path / "a.mp4", "-c:a", "aac")
    killed = tmp_path / "ffmpeg"
    killed.write_text("#!/bin/sh\nkill -9 $$\n")
    killed.chmod(0o755)
    monkeypatch.setattr("pipeline.video.ffmpeg.ffmpeg_exe", lambda: str(killed))
    with pytest.raises(KilledError):
        read(path)


def test_stretches_are_the_same_whatever_else_is_read_with_them(tmp_path: Path) -> None:
    path = sounding(tmp_path / "a.mp4", "-c:a", "aac")
    descriptor = open_source(bytes(path))
    try:
        spans = [(-50, 3000), (2000, 9000), (7999, 8000), (15000, 17000), (40000, 40010)]
        [whole] = read_sound(descriptor, 0.0, [(-50, 41000)], 8000, 1, LIMITS)
        for (start, stop), sound in zip(spans, read_sound(descriptor, 0.0, spans, 8000, 1, LIMITS), strict=True):
            [alone] = read_sound(descriptor, 0.0, [(start, stop)], 8000, 1, LIMITS)
            assert (sound == whole[start + 50 : stop + 50]).all()
            assert (sound == alone).all()
    finally:
        os.close(descriptor)
    assert not whole[:50].any()
    assert not whole[-10000:].any()
    assert np.abs(whole).max() > 0.1

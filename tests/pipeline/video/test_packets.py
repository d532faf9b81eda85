"""How long a file is: sound, subtitles and clocks may say what they like, a file that was cut short is known."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data_catalog.base.errors import RejectedError
from pipeline.analysis.source_pass import check_times
from pipeline.video.ffmpeg import open_source
from pipeline.video.packets import PacketCount, count_packets, refuse_truncated
from tests.pipeline.videos import LIMITS, ffmpeg, pass_over, read_numbers, write_numbered

X264 = ("-c:v", "libx264", "-crf", "20", "-pix_fmt", "yuv420p", "-bf", "2", "-g", "25", "-x264-params", "scenecut=0")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "3", "-bf", "2", "-g", "25")
COUNT = 50  # 2 s


def sounded(name: str, seconds: float, *more: str) -> Callable[[Path], Path]:
    return lambda folder: write_numbered(
        folder / name, COUNT, "-map", "0:v", "-map", "1:a", *X264, "-c:a", "aac", *more,
        before=("-f", "lavfi", "-i", f"sine=d={seconds}"),
    )  # fmt: skip


def subtitled(name: str, codec: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "a.srt").write_text("1\n00:00:00,500 --> 00:01:05,000\nstep\n")
        return write_numbered(folder / name, COUNT, "-map", "0:v", "-map", "1:s", *X264, "-c:s", codec,
                              before=("-i", str(folder / "a.srt")))  # fmt: skip

    return make


def jumping(name: str, seconds: float, codec: tuple[str, ...] = X264) -> Callable[[Path], Path]:
    """The clock jumps at a keyframe in the middle."""

    def make(folder: Path) -> Path:
        path = write_numbered(folder / f"before.{name.rpartition('.')[2]}", COUNT, *codec)
        jump = f"+gte(N\\,25)*{seconds}/TB"
        ffmpeg("-i", str(path), "-c", "copy", "-bsf:v", f"setts=pts=PTS{jump}:dts=DTS{jump}", str(folder / name))
        return folder / name

    return make


def joined_backwards(folder: Path) -> Path:
    """A program stream whose second half is from an hour before."""
    halves = [write_numbered(folder / f"{i}.mpg", 25, *MPEG2, "-output_ts_offset", str(3600 - 3600 * i))
              for i in range(2)]  # fmt: skip
    (folder / "back.mpg").write_bytes(b"".join(half.read_bytes() for half in halves))
    return folder / "back.mpg"


WHOLE: dict[str, Callable[[Path], Path]] = {
    "sound of 4 s in mp4": sounded("a.mp4", 4),
    "sound of 9 s in mkv": sounded("a.mkv", 9),
    "sound of 3 s in mov": sounded("a.mov", 3),
    "sound of 4 s in flv": sounded("a.flv", 4),
    "sound of 4 s in avi": sounded("a.avi", 4),
    "sound of 4 s in ts": sounded("a.ts", 4),
    "a subtitle until 65 s in mkv": subtitled("a.mkv", "srt"),
    "a subtitle until 65 s in webvtt": subtitled("a.mkv", "webvtt"),
    "a subtitle until 65 s in mp4": subtitled("a.mp4", "mov_text"),
    "a clock that jumps an hour in ts": jumping("a.ts", 3600),
    "a clock that jumps half a day in ts": jumping("a.ts", 40000),
    "a clock that jumps an hour in mpg": jumping("a.mpg", 3600, MPEG2),
    "a clock that jumps back in mpg": joined_backwards,
    "a clock that begins at an hour in mkv": lambda folder: write_numbered(
        folder / "a.mkv", COUNT, *X264, "-output_ts_offset", "3600"
    ),
}  # fmt: skip


def check(path: Path) -> list[int]:
    """The numbers that are seen, after the checks of an analysis."""
    found, pts, pictures = pass_over(path)
    descriptor = open_source(bytes(path))
    try:
        check_times(pts)
        refuse_truncated(descriptor, pts, found.duration_s, LIMITS)
    finally:
        os.close(descriptor)
    assert np.diff(pts).max() < 0.05
    return [read_numbers(picture[: len(picture) * 2 // 3]) for picture in pictures]


@pytest.mark.parametrize("kind", WHOLE)
def test_the_pictures_own_length_decides(kind: str, tmp_path: Path) -> None:
    numbers = check(WHOLE[kind](tmp_path))
    assert numbers == (list(range(25)) * 2 if "back" in kind else list(range(COUNT)))


CUT = {
    "mkv": sounded("a.mkv", 2),
    "mkv with longer sound": sounded("a.mkv", 4),
    "avi with longer sound": sounded("a.avi", 4),
}


@pytest.mark.parametrize("kind", CUT)
def test_half_a_file_is_truncated_whatever_is_longest_in_it(kind: str, tmp_path: Path) -> None:
    path = CUT[kind](tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(RejectedError, match="header promises") as caught:
        check(path)
    assert caught.value.code == "truncated"


def test_packets_without_presentation_times_are_counted_by_their_place(tmp_path: Path) -> None:
    descriptor = open_source(bytes(write_numbered(tmp_path / "a.avi", COUNT, *X264)))
    try:
        (film,) = count_packets(descriptor, LIMITS, ("0",))
    finally:
        os.close(descriptor)
    assert film == PacketCount(COUNT, pytest.approx(2.0, abs=0.1))


def test_packets_are_counted_by_stream_and_within_the_first_seconds(tmp_path: Path) -> None:
    path = sounded("a.mkv", 4)(tmp_path)
    descriptor = open_source(bytes(path))
    try:
        film, sound = count_packets(descriptor, LIMITS, ("0", "a?"))
        (begun,) = count_packets(descriptor, LIMITS, ("v",), first_s=1.0)
        (no_film,) = count_packets(descriptor, LIMITS, ("d?", "0"))
    finally:
        os.close(descriptor)
    assert film == PacketCount(COUNT, pytest.approx(2.0, abs=0.05))
    assert sound.end_s == pytest.approx(4.0, abs=0.1)
    assert 24 <= begun.packets <= 28
    assert no_film == film

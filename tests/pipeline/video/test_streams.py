"""The film is chosen among a file's streams, however many there are and whatever comes first."""

import re
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from data_catalog.base.errors import RejectedError
from pipeline.video.ffmpeg import CODECS, MAX_STREAMS, ffmpeg_exe
from pipeline.video.packets import PacketCount
from pipeline.video.streams import ACCEPTED, VideoStream, most_likely, video_streams
from tests.pipeline.videos import ffmpeg, pass_over, probed, read_numbers, write_numbered

X264 = ("-c:v", "libx264", "-crf", "20", "-pix_fmt", "yuv420p", "-bf", "2")
COUNT = 50


def shown(path: Path) -> list[int]:
    _, _, pictures = pass_over(path)
    return [read_numbers(picture[: len(picture) * 2 // 3]) for picture in pictures]


def behind(
    name: str, drawn: str, first: tuple[str, ...], *marks: str, film: tuple[str, ...] = X264
) -> Callable[[Path], Path]:
    """A maker of a file whose first video stream is `drawn`, and the second the numbered film."""

    def make(folder: Path) -> Path:
        ffmpeg("-f", "lavfi", "-i", drawn, *first, str(folder / "first.nut"))
        write_numbered(folder / "film.nut", COUNT, *X264)
        marked = [word for i, mark in enumerate(marks) for word in (f"-disposition:v:{i}", mark)]
        ffmpeg("-i", str(folder / "first.nut"), "-i", str(folder / "film.nut"), "-map", "0:v", "-map", "1:v", "-c",
               "copy", *marked, str(folder / name))  # fmt: skip
        return folder / name

    return make


COVER, PREVIEW = "testsrc=s=640x640:r=1:d=1", "testsrc=s=320x180:r=25:d=0.6"
MJPEG, PNG = ("-c:v", "mjpeg", "-frames:v", "1", "-pix_fmt", "yuvj420p"), ("-c:v", "png", "-frames:v", "1")
SECOND = {
    "a cover in mkv": behind("a.mkv", COVER, MJPEG, "0", "default"),
    "a cover in mkv that is marked, too": behind("a.mkv", COVER, MJPEG, "default", "default"),
    "a cover in mkv, nothing is marked": behind("a.mkv", COVER, PNG, "0", "0"),
    "an attached picture in mkv": behind("a.mkv", COVER, MJPEG, "attached_pic", "default"),
    "an attached picture in mp4": behind("a.mp4", COVER, PNG, "attached_pic", "0"),
    "a cover in mov": behind("a.mov", COVER, MJPEG, "0", "default"),
    "a preview in mov": behind("a.mov", PREVIEW, X264, "0", "default"),
    "a preview in mp4 that is marked, too": behind("a.mp4", PREVIEW, X264, "default", "default"),
    "a small picture as long as the film": behind("a.mkv", "testsrc=s=96x54:r=25:d=2", X264, "default", "default"),
}  # fmt: skip


@pytest.mark.parametrize("kind", SECOND)
def test_the_film_is_taken_where_something_else_comes_first(kind: str, tmp_path: Path) -> None:
    path = SECOND[kind](tmp_path)
    assert shown(path) == list(range(COUNT))
    assert probed(path).codec == "h264"


def test_a_file_with_only_a_cover_holds_no_film(tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", COVER, "-f", "lavfi", "-i", "sine=d=1", "-map", "1", "-map", "0", "-c:a", "aac",
           *PNG, "-disposition:v", "attached_pic", str(tmp_path / "song.m4a"))  # fmt: skip
    with pytest.raises(RejectedError, match="only a cover picture") as caught:
        probed(tmp_path / "song.m4a")
    assert caught.value.code == "no_video_stream"


def stream(index: int, *, codec: str = "h264", pixels: int = 100, default: bool = False) -> VideoStream:
    return VideoStream(index, codec, pixels, default, attached=False, text="")


@pytest.mark.parametrize(
    ("films", "ends", "chosen"),
    [
        ([stream(0), stream(1, default=True)], [60, 3], 1),
        ([stream(0, default=True), stream(1)], [3, 60], 0),
        ([stream(0, pixels=900), stream(1)], [3, 60], 1),
        ([stream(0), stream(1, pixels=900)], [58, 60], 1),
        ([stream(0, codec="hap", pixels=900), stream(1)], [60, 60], 1),
        ([stream(0, default=True, codec="hap"), stream(1)], [60, 60], 0),
        ([stream(0), stream(1)], [60, 60], 0),
    ],
)
def test_marks_come_before_length_and_length_before_size(
    films: list[VideoStream], ends: list[float], chosen: int
) -> None:
    assert most_likely(films, [PacketCount(9, end) for end in ends]).index == chosen


def test_a_single_picture_is_no_film_even_if_it_is_the_one_that_is_marked() -> None:
    films = [stream(0, default=True), stream(1)]
    assert most_likely(films, [PacketCount(1, 60), PacketCount(50, 2)]).index == 1


def with_subtitles(folder: Path, name: str, count: int, *maps: str) -> Path:
    """A film beside many subtitles; `maps` says what stands before them."""
    (folder / "a.srt").write_text("1\n00:00:00,100 --> 00:00:01,000\nstep\n")
    film = write_numbered(folder / "film.mp4", COUNT, *X264)
    every = ["-map", "1:0"] * count
    order = [*maps, *every] if maps else [*every, "-map", "0:0"]
    ffmpeg("-i", str(film), "-i", str(folder / "a.srt"), *order, "-c:v", "copy", "-c:s",
           "mov_text" if name.endswith("mp4") else "srt", str(folder / name))  # fmt: skip
    return folder / name


def with_sounds(folder: Path, name: str, count: int) -> Path:
    return write_numbered(
        folder / name, COUNT, *["-map", "1:0"] * count, "-map", "0:0", *X264, "-c:a", "aac", "-b:a", "16k",
        before=("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono:d=2"),
    )  # fmt: skip


MANY: dict[str, Callable[[Path], Path]] = {
    "20 subtitles in mkv": lambda folder: with_subtitles(folder, "a.mkv", 20, "-map", "0:0"),
    "40 subtitles in mp4, the film last": lambda folder: with_subtitles(folder, "a.mp4", 40),
    "300 subtitles in mkv, the film last": lambda folder: with_subtitles(folder, "a.mkv", 300),
    "16 sounds in mp4, the film last": lambda folder: with_sounds(folder, "a.mp4", 16),
    "30 sounds in mkv, the film last": lambda folder: with_sounds(folder, "a.mkv", 30),
}


@pytest.mark.parametrize("kind", MANY)
def test_streams_that_are_not_wanted_cost_no_frame(kind: str, tmp_path: Path) -> None:
    assert shown(MANY[kind](tmp_path)) == list(range(COUNT))


def matroska_of_tracks(count: int) -> bytes:
    """The beginning of a Matroska file that promises so many subtitles (RFC 9559, sections 5.1.4 and 27)."""

    def element(name: bytes, content: bytes) -> bytes:
        return name + (len(content) | 1 << 56).to_bytes(8, "big") + content

    tracks = b"".join(
        element(b"\xae", element(b"\xd7", struct.pack(">I", n)) + element(b"\x73\xc5", struct.pack(">I", n))
                + element(b"\x83", b"\x11") + element(b"\x86", b"S_TEXT/UTF8"))
        for n in range(1, count + 1)
    )  # fmt: skip
    head = element(b"\x1a\x45\xdf\xa3", element(b"\x42\x82", b"matroska"))
    cluster = element(b"\x1f\x43\xb6\x75", element(b"\xe7", b"\x00"))
    return head + element(b"\x18\x53\x80\x67", element(b"\x16\x54\xae\x6b", tracks) + cluster)


def test_a_file_of_thousands_of_streams_is_refused_as_such(tmp_path: Path) -> None:
    """ffmpeg would continue with the first ones, and lose frames without a word."""
    path = tmp_path / "a.mkv"
    path.write_bytes(matroska_of_tracks(MAX_STREAMS + 10))
    with pytest.raises(RejectedError, match=str(MAX_STREAMS)) as caught:
        probed(path)
    assert caught.value.code == "too_many_streams"
    path.write_bytes(matroska_of_tracks(MAX_STREAMS - 10))
    with pytest.raises(RejectedError) as caught:
        probed(path)
    assert caught.value.code == "no_video_stream"


REFUSED = {
    "v210": ("a.mov", "-c:v", "v210"),
    "jpeg2000": ("a.mov", "-c:v", "jpeg2000"),
    "snow": ("a.avi", "-c:v", "snow", "-strict", "-2"),
    "dirac": ("a.mkv", "-c:v", "vc2"),
}


@pytest.mark.parametrize("codec", REFUSED)
def test_a_codec_that_is_refused_is_named(codec: str, tmp_path: Path) -> None:
    name, *arguments = REFUSED[codec]
    with pytest.raises(RejectedError, match=rf"coded as {codec},") as caught:
        probed(write_numbered(tmp_path / name, 5, *arguments))
    assert caught.value.code == "codec_refused"


def test_a_codec_that_nobody_knows_is_named_by_its_tag(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "a.mp4", 5, *X264)
    path.write_bytes(path.read_bytes().replace(b"avc1\x00\x00\x00\x00", b"zq9z\x00\x00\x00\x00"))
    with pytest.raises(RejectedError, match="coded as 'zq9z'") as caught:
        probed(path)
    assert caught.value.code == "codec_refused"


def test_a_refused_sound_says_nothing_about_the_film(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "a.mkv", 5, *X264, "-map", "0:0", "-map", "1:0", "-c:a", "flac", "-t", "1",
                          before=("-f", "lavfi", "-i", "sine=d=1"))  # fmt: skip
    assert probed(path).codec == "h264"


def test_a_codec_is_accepted_exactly_if_a_decoder_of_the_whitelist_is_for_it() -> None:
    listed = subprocess.run([ffmpeg_exe(), "-hide_banner", "-codecs"], capture_output=True, text=True, check=True)
    decoders = set(CODECS.split(","))
    for line in listed.stdout.splitlines():
        if found := re.match(r" D.V... (\w+) ", line):
            named = re.search(r"\(decoders: ([^)]*)\)", line)
            own = set(named[1].split()) if named else {found[1]}
            assert (found[1] in ACCEPTED) == bool(own & decoders), line


def test_the_listing_is_read_by_its_dispositions() -> None:
    text = (
        "[info]   Stream #0:0[0x1](und): Video: mjpeg (Baseline) (jpeg / 0x6765706A), yuvj420p, 96x54 (attached pic)\n"
        "[info]   Stream #0:1(eng): Audio: aac (LC), 44100 Hz, mono, fltp (default)\n"
        "[info]   Stream #0:2: Video: h264 (High), yuv420p(progressive), 640x360, 30 fps, 1k tbn (default) (original)\n"
        "[info]     Metadata:\n[info] Stream mapping:\n[info]   Stream #0:3: Video: h264, yuv420p, 9x9 (default)\n"
    )
    found = video_streams(text)
    assert [(s.index, s.codec, s.pixels, s.default, s.attached) for s in found] == [
        (0, "mjpeg", 96 * 54, False, True),
        (2, "h264", 640 * 360, True, False),
    ]

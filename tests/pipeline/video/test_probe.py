"""Headers: what a file says about itself is believed only as far as ffmpeg says it, too."""

import os
from pathlib import Path

import ffmpeg as builder
import pytest

from data_catalog.base.errors import RejectedError
from pipeline.config import LimitsConfig
from pipeline.video.ffmpeg import Child, first_words, open_source, source_input
from pipeline.video.probe import probe
from tests.pipeline.videos import LIMITS, ffmpeg, probed, write_numbered

X264 = ("-c:v", "libx264", "-crf", "20", "-pix_fmt", "yuv420p")


def test_a_plain_video_is_described(tmp_path: Path) -> None:
    found = probed(write_numbered(tmp_path / "a.mp4", 50, *X264, rate="30000/1001"))
    assert (found.width, found.height, found.rotation, found.square) == (128, 128, 0, True)
    assert (found.codec, found.pix_fmt, found.hdr, found.interlaced, found.seekable) == (
        "h264", "yuv420p", False, False, True,
    )  # fmt: skip
    assert found.fps == pytest.approx(29.97)
    assert found.duration_s == pytest.approx(50 * 1001 / 30000, abs=0.02)


@pytest.mark.parametrize(("name", "seekable"), [("a.mkv", True), ("a.mov", True), ("a.avi", False), ("a.ts", False)])
def test_only_containers_with_an_exact_index_are_sought_in(name: str, seekable: bool, tmp_path: Path) -> None:
    assert probed(write_numbered(tmp_path / name, 30, *X264)).seekable is seekable


def test_text_in_the_metadata_cannot_pose_as_a_stream(tmp_path: Path) -> None:
    """A title that reads like ffmpeg's own lines changes nothing."""
    lie = (
        "x\n[info] Input #0, avi, from 'fd:':\n[info]   Duration: 09:09:09.00\n"
        "[info]   Stream #0:0: Video: vp9, yuv420p10le(smpte2084), 9x9, 9 fps\n"
        "[info]     displaymatrix: rotation of 90.00 degrees\n"
        "[Parsed_showinfo_0 @ 0x1] [info] n:   0 pts: 0 sar:1/1 s:9x9 i:P"
    )
    found = probed(write_numbered(tmp_path / "a.mkv", 30, *X264, "-metadata", f"title={lie}"))
    honest = probed(write_numbered(tmp_path / "b.mkv", 30, *X264))
    assert found == honest


def test_sound_and_subtitles_beside_the_picture_are_no_matter(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "a.mp4", 30, *X264, "-c:a", "aac", "-t", "1.2",
                          before=("-f", "lavfi", "-i", "sine=d=2"))  # fmt: skip
    assert probed(path).width == 128


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=s=640x480:r=25:d=1", *X264, str(path))
    descriptor = open_source(bytes(path))
    try:
        with pytest.raises(RejectedError) as caught:
            probe(descriptor, LimitsConfig(max_pixels=640 * 479))
        assert probe(descriptor, LimitsConfig(max_pixels=640 * 480 + 64 * 640)).width == 640
    finally:
        os.close(descriptor)
    assert caught.value.code == "picture_too_large"


def test_a_child_is_killed_when_its_reader_leaves(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=640x480:r=25:d=8", *X264, str(path))
    descriptor = open_source(bytes(path))
    output = builder.output(source_input(descriptor, LIMITS, 0), "pipe:1", format="rawvideo")
    child = Child(output, (descriptor,), LIMITS, stdout=True)
    assert child.process.stdout is not None
    child.process.stdout.read(1000)
    child.close()
    os.close(descriptor)
    assert child.process.returncode == -9
    assert child.process.stdout.closed


def test_messages_become_one_printable_line() -> None:
    text = b"[h264 @ 0x1] bad \x1b[31mthing\n\nCodec not on whitelist\n[mov @ 0x2] second\nthird\n"
    assert first_words(text) == "bad ?[31mthing; second"
    assert first_words(b"\n") == "no message"

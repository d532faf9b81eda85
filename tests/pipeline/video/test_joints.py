"""Transport streams that were joined end to end lose no frame; where packets are missing they are damaged, as ever."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_catalog.base.errors import RejectedError
from pipeline.video.ffmpeg import decode, open_source
from pipeline.video.filters import sized, upright
from pipeline.video.joints import is_joined
from pipeline.video.probe import probe
from tests.pipeline.videos import LIMITS, SIDE, read_numbers, write_numbered

FRAMES = 60
CODECS = {
    "h264": ("-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-pix_fmt", "yuv420p"),
    "hevc": ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p"),
    "mpeg2": ("-c:v", "mpeg2video", "-q:v", "3", "-pix_fmt", "yuv420p"),
    "h264 of a camcorder": ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-mpegts_m2ts_mode", "1"),
}
PACKET = {"h264 of a camcorder": 192}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A numbered transport stream a codec, with sound; 61 frames of mpeg2, of which the first part's last one goes."""
    folder = tmp_path_factory.mktemp("parts")
    tone = ("-f", "lavfi", "-i", f"sine=d={FRAMES / 25}")
    return {
        name: write_numbered(
            folder / f"{number}.ts", FRAMES, *codec, "-c:a", "mp2", "-f", "mpegts", before=tone
        ).read_bytes()
        for number, (name, codec) in enumerate(CODECS.items())
    }


def joined(path: Path) -> bool:
    descriptor = open_source(bytes(path))
    try:
        return is_joined(descriptor)
    finally:
        os.close(descriptor)


def numbers(path: Path) -> list[int]:
    """The numbers of all frames of a source, as the analysis would see them."""
    descriptor = open_source(bytes(path))
    try:
        found = probe(descriptor, LIMITS)
        graph = sized(upright(descriptor, found, LIMITS), found, SIDE, SIDE, "area")
        with decode(graph, descriptor, (SIDE, SIDE), LIMITS) as frames:
            return [read_numbers(picture[:SIDE]) for _, picture in frames]
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("times", [2, 3])
@pytest.mark.parametrize("codec", CODECS)
def test_a_stream_joined_to_itself_gives_its_frames_once_more(
    codec: str, times: int, parts: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "joined.ts"
    path.write_bytes(parts[codec] * times)
    assert numbers(path) == list(range(FRAMES)) * times


@pytest.mark.parametrize("codec", CODECS)
@given(place=st.floats(0.1, 0.9), lost=st.sampled_from([1, 2, 3, 7, 17]))
@settings(max_examples=60, deadline=None)
def test_missing_packets_are_no_joint_unless_whole_frames_are_gone(
    codec: str, place: float, lost: int, parts: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    size, data = PACKET.get(codec, 188), parts[codec]
    first = int(place * (len(data) // size)) * size
    path = tmp_path_factory.mktemp("lost") / "lost.ts"
    path.write_bytes(data[:first] + data[first + lost * size :])
    if joined(path):  # a picture that needs no other follows what is lost: no more than whole frames can be gone
        found = numbers(path)
        assert found == sorted(set(found) & set(range(FRAMES)))
        assert len(found) >= FRAMES - lost


@pytest.mark.parametrize("codec", CODECS)
def test_a_joined_stream_with_a_missing_packet_is_damaged(codec: str, parts: dict[str, bytes], tmp_path: Path) -> None:
    size, data = PACKET.get(codec, 188), parts[codec]
    of_pictures = (b"\x01\x00", b"\x10\x11")  # packets in which nothing begins
    at = range(0, len(data), size)
    pictures = [one for one in at if data[one + size - 187 : one + size - 185] in of_pictures]
    middle = pictures[len(pictures) // 2]
    path = tmp_path / "damaged.ts"
    path.write_bytes(data + data[:middle] + data[middle + size :])
    with pytest.raises(RejectedError, match="damaged"):
        numbers(path)


def whole_until(data: bytes) -> int:
    """Where a picture in the second half begins: what lies before is whole."""
    return next(at for at in range(len(data) // 376 * 188, len(data), 188) if data[at + 1 : at + 3] == b"\x41\x00")


def test_what_is_left_of_a_stream_that_was_cut_off_goes_on_with_the_next(
    parts: dict[str, bytes], tmp_path: Path
) -> None:
    data = parts["mpeg2"]
    path = tmp_path / "cut.ts"
    path.write_bytes(data[: whole_until(data)] + data)
    found = numbers(path)
    assert found == [*range(len(found) - FRAMES), *range(FRAMES)]
    assert len(found) > FRAMES + 20


def test_other_files_are_no_transport_streams(tmp_path: Path) -> None:
    for content in (b"", b"G", b"G" * 5000, bytes(10_000)):
        (tmp_path / "other").write_bytes(content)
        assert not joined(tmp_path / "other")

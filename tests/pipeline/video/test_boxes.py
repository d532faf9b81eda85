"""A file that was cut short is refused by its boxes; what somebody has appended to a whole one is no matter."""

import os
import random
import struct
from pathlib import Path

import pytest

from data_catalog.base.errors import RejectedError
from pipeline.video.boxes import refuse_cut_short
from pipeline.video.ffmpeg import open_source
from tests.pipeline.videos import pass_over, read_numbers, write_numbered

X264 = ("-c:v", "libx264", "-crf", "20", "-pix_fmt", "yuv420p")
KINDS = {
    "late.mp4": (),
    "fast.mp4": ("-movflags", "+faststart"),
    "late.mov": (),
    "fragments.mp4": ("-movflags", "frag_keyframe+empty_moov"),
}
TRAILERS = {
    "noise": random.Random(5).randbytes(1433),
    "much noise": random.Random(7).randbytes(100_001),
    "text": b"written by some camera, firmware 1.2\n" * 40,
    "zeros": bytes(640),
    "fewer bytes than a header": b"abc",
    "a box, then noise": struct.pack(">I4s", 32, b"GPRO") + bytes(24) + random.Random(2).randbytes(500),
    "a box that ends beyond the file": struct.pack(">I4s", 1 << 20, b"free") + bytes(99),
    "a box of 64 bits that ends beyond the file": struct.pack(">I4sQ", 1, b"uuid", 1 << 60) + bytes(100),
    "a picture": b"\xff\xd8\xff\xe0" + random.Random(1).randbytes(4000),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    return {name: write_numbered(folder / name, 40, *X264, *more).read_bytes() for name, more in KINDS.items()}


def refuse(path: Path) -> None:
    descriptor = open_source(bytes(path))
    try:
        refuse_cut_short(descriptor)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_after_the_last_box_cost_no_frame(kind: str, whole: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / kind
    for name, trailer in TRAILERS.items():
        path.write_bytes(whole[kind] + trailer)
        _, pts, pictures = pass_over(path)
        assert len(pts) == 40, name
        assert [read_numbers(picture[: len(picture) * 2 // 3]) for picture in pictures] == list(range(40)), name


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_ends_within_a_box_of_the_film_is_cut_short(
    kind: str, whole: dict[str, bytes], tmp_path: Path
) -> None:
    path, content = tmp_path / kind, whole[kind]
    end = content.rindex(b"mfra") - 4 if b"mfra" in content else len(content)  # an index of fragments may be missing
    for size in (end - 1, end // 2, 200):
        path.write_bytes(content[:size])
        with pytest.raises(RejectedError, match=f"has {size} bytes") as caught:
            refuse(path)
        assert caught.value.code == "truncated"


def test_a_cut_in_the_film_is_seen_under_a_trailer_that_was_copied_first(
    whole: dict[str, bytes], tmp_path: Path
) -> None:
    """Boxes of any kind may precede the film: as long as it is missing, the file is cut short."""
    path = tmp_path / "a.mp4"
    path.write_bytes(whole["fast.mp4"][:28] + struct.pack(">I4s", 1 << 20, b"free") + bytes(99))
    with pytest.raises(RejectedError, match="promises"):
        refuse(path)


def test_other_containers_have_no_boxes_to_walk(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    path.write_bytes(b"\x1a\x45\xdf\xa3" + random.Random(0).randbytes(400))
    refuse(path)

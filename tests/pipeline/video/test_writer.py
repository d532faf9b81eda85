"""Segments join to an even video; a frame looks the same whatever its neighbours are; a GIF keeps to its limit."""

import resource
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data_catalog.base.errors import LongdanceError
from pipeline.shards.encode_clip import describe
from pipeline.video.writer import encode_segment, join_segments, timescale, write_gif_within

FPS = Fraction(30)


def picture_of(number: int, side: int = 64) -> np.ndarray:
    """A soft pattern that moves: uint8 (side, side, 3)."""
    y, x = np.mgrid[:side, :side]
    waves = [120 + 80 * np.sin((x + shift * number) / 9 + y / 13 + shift) for shift in (1, 2, 3)]
    return np.stack(waves, -1).astype(np.uint8)


def frames_of(path: Path) -> np.ndarray:
    """A video's frames, uint8 RGB."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def made(folder: Path, clip: np.ndarray, size: int = 10) -> Path:
    """A video of the clip, in segments."""
    segments = []
    for start in range(0, len(clip), size):
        segments.append(folder / f"{start}.mp4")
        encode_segment(segments[-1], clip[start : start + size], FPS)
    join_segments(folder / "video.mp4", segments)
    return folder / "video.mp4"


@pytest.mark.parametrize("fps", [Fraction(30), Fraction(25), Fraction(30000, 1001)])
def test_segments_join_to_an_even_video_of_all_frames(fps: Fraction, tmp_path: Path):
    clip = np.stack([picture_of(number) for number in range(25)])
    segments = [tmp_path / "a.mp4", tmp_path / "b.mp4", tmp_path / "c.mp4"]
    for path, part in zip(segments, (clip[:10], clip[10:20], clip[20:]), strict=True):
        encode_segment(path, part, fps)
    join_segments(tmp_path / "video.mp4", segments)
    assert describe(tmp_path / "video.mp4") == {"frames": 25, "width": 64, "height": 64, "fps": fps, "even": True}
    assert np.abs(frames_of(tmp_path / "video.mp4").astype(float) - clip).mean() < 4
    assert not list(tmp_path.glob(".tmp-*"))


def test_the_same_frames_give_the_same_bytes_in_one_process_and_another(tmp_path: Path):
    clip = np.stack([picture_of(number) for number in range(15)])
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one = made(tmp_path / "one", clip).read_bytes()
    child = get_context("spawn").Process(target=made, args=(tmp_path / "two", clip))
    child.start()
    child.join()
    assert (tmp_path / "two" / "video.mp4").read_bytes() == one


def test_a_frame_looks_the_same_whatever_is_made_of_its_neighbours(tmp_path: Path):
    clip = np.stack([picture_of(number) for number in range(20)])
    other = clip.copy()
    other[7:12] = np.random.default_rng(0).integers(0, 255, other[7:12].shape)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = (frames_of(made(tmp_path / name, x)) for name, x in (("one", clip), ("two", other)))
    same = [bool((a == b).all()) for a, b in zip(one, two, strict=True)]
    assert same == [not 7 <= number < 12 for number in range(20)]


def test_frames_of_odd_sides_are_refused(tmp_path: Path):
    with pytest.raises(LongdanceError, match="both sides have to be even"):
        encode_segment(tmp_path / "a.mp4", np.zeros((2, 33, 32, 3), np.uint8), FPS)


@pytest.mark.parametrize("limit", [400_000, 60_000, 15_000])
def test_a_gif_keeps_to_its_limit(limit: int, tmp_path: Path):
    video = made(tmp_path, np.stack([picture_of(number, 128) for number in range(60)]))
    share, side = write_gif_within(tmp_path / "video.gif", video, 60, FPS, limit)
    assert (tmp_path / "video.gif").stat().st_size <= limit
    with Image.open(tmp_path / "video.gif") as gif:
        assert max(gif.size) <= min(side, 128)
        assert abs(getattr(gif, "n_frames", 1) - 60 * share) <= 2


def test_a_gif_of_a_few_frames_that_fits_nowhere_is_refused_and_the_one_that_is_there_stays(tmp_path: Path):
    video = made(tmp_path, np.stack([picture_of(number, 128) for number in range(3)]))
    write_gif_within(tmp_path / "video.gif", video, 3, FPS, 400_000, tmp_path)
    before = (tmp_path / "video.gif").read_bytes()
    with pytest.raises(LongdanceError, match="does not fit"):
        write_gif_within(tmp_path / "video.gif", video, 3, FPS, 100, tmp_path)
    assert (tmp_path / "video.gif").read_bytes() == before
    assert not list(tmp_path.glob(".tmp-*"))


def test_a_gif_that_cannot_be_so_small_is_refused_and_leaves_nothing(tmp_path: Path):
    video = made(tmp_path, np.stack([picture_of(number, 128) for number in range(30)]))
    with pytest.raises(LongdanceError, match="does not fit"):
        write_gif_within(tmp_path / "video.gif", video, 30, FPS, 100)
    assert not (tmp_path / "video.gif").exists()
    assert not list(tmp_path.glob("*palette*"))


def encode_without_room(folder: Path) -> None:
    """Encode where files may have 4 KiB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    try:
        encode_segment(folder / "a.mp4", np.stack([picture_of(0)] * 10), FPS)
    except OSError as error:
        (folder / "errno").write_text(str(error.errno))


def test_no_room_is_an_oserror_and_leaves_no_half_file(tmp_path: Path):
    child = get_context("spawn").Process(target=encode_without_room, args=(tmp_path,))
    child.start()
    child.join()
    assert (tmp_path / "errno").read_text() == "27"
    assert [path.name for path in tmp_path.iterdir()] == ["errno"]


@given(st.fractions(1, 240, max_denominator=1001))
def test_a_frame_lasts_a_whole_number_of_ticks_and_joined_files_keep_theirs(fps: Fraction) -> None:
    for above in (0, 10_000):
        ticks = timescale(fps, above)
        assert (ticks / fps).denominator == 1
        assert ticks > above
    assert timescale(fps) <= max(10_000, fps.numerator)


def test_ticks_of_usual_rates_are_those_that_shards_and_videos_were_written_with() -> None:
    rates = [Fraction(24), Fraction(25), Fraction(30), Fraction(30000, 1001), Fraction(60)]
    assert [timescale(fps) for fps in rates] == [9984, 10000, 9990, 30000, 9960]
    assert [timescale(fps, above=10_000) for fps in rates] == [10008, 10025, 10020, 30000, 10020]

"""A written clip holds exactly the source frames that were asked for, whatever the container and its clock."""

import hashlib
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_catalog.base.errors import RejectedError
from pipeline.clips.crop_filter import corner_expressions
from pipeline.config import CropConfig, VideoConfig
from pipeline.picture_size import PictureSize
from pipeline.shards.augment import Recipe
from pipeline.shards.encode_clip import VariantJob, describe, encode_variants, selection, verify
from pipeline.video.ffmpeg import open_source
from tests.pipeline.crops import square
from tests.pipeline.videos import (
    LIMITS,
    SIDE,
    ffmpeg,
    joined,
    luma_of,
    numbers_in,
    pass_over,
    read_numbers,
    write_numbered,
)

COUNT = 70
SHARP = VideoConfig(crf=10)
WHOLE = square([[0, 0]], SIDE)
X264 = ("-c:v", "libx264", "-crf", "10", "-pix_fmt", "yuv420p")
B_FRAMES = (*X264, "-bf", "3", "-g", "24", "-x264-params", "b-adapt=0:scenecut=0")
# Irregular times, ascending: 2 to 6 ticks of 1/50 s apart.
UNEVEN = ("-vf", "settb=1/50,setpts=3*N+mod(N*N\\,3)+gte(N\\,30)*40", "-fps_mode", "passthrough")
SILENCE = ("-f", "lavfi", "-i", "anullsrc=r=48000:cl=mono")
Maker = Callable[[Path], Path]


def stored(name: str, *arguments: str, rate: str = "25") -> Maker:
    return lambda folder: write_numbered(folder / name, COUNT, *arguments, rate=rate)


def cut_in_a_group(folder: Path) -> Path:
    """A stream copy that begins within a group of pictures: its edit list hides frames before time zero."""
    whole = write_numbered(folder / "whole.mp4", COUNT, *B_FRAMES)
    ffmpeg("-ss", "0.4", "-i", str(whole), "-c", "copy", str(folder / "cut.mp4"))
    return folder / "cut.mp4"


def late_picture(folder: Path) -> Path:
    """Sound begins 0.7 s before the picture, so the file's start is not the picture's."""
    return write_numbered(
        folder / "late.mp4", COUNT, "-map", "0:v", "-map", "1:a", *B_FRAMES, "-c:a", "aac", "-t", "3.6",
        "-vf", "setpts=PTS+0.7/TB", "-fps_mode", "passthrough", before=SILENCE,
    )  # fmt: skip


def other_colours(folder: Path) -> Path:
    """A stream whose colour tags change in the middle: ffmpeg would set up its filters again there."""
    film = write_numbered(folder / "film.mkv", COUNT, "-c:v", "ffv1")
    halves = []
    for half, matrix in enumerate(("bt709", "smpte170m")):
        tags = ("-colorspace", matrix, "-color_primaries", matrix, "-color_trc", matrix, "-color_range", "tv")
        halves.append(folder / f"{half}.ts")
        ffmpeg("-i", str(film), "-vf", f"trim=start_frame={half * 35}:end_frame={half * 35 + 35},setpts=N/25/TB",
               *B_FRAMES, *tags, str(halves[-1]))  # fmt: skip
    return joined(folder / "colours.ts", halves)


CONTAINERS: dict[str, Maker] = {
    "mp4 with B-frames": stored("b.mp4", *B_FRAMES),
    "mp4 with open groups": stored("o.mp4", *X264, "-bf", "3", "-g", "12", "-x264-params", "open-gop=1:b-adapt=0"),
    "mp4 in fragments": stored("f.mp4", *B_FRAMES, "-movflags", "frag_keyframe+empty_moov"),
    "mp4 with an edit list": cut_in_a_group,
    "mp4 without edit lists": stored("n.mp4", *B_FRAMES, "-use_editlist", "0", "-output_ts_offset", "3"),
    "mp4 whose picture begins late": late_picture,
    "mp4 of one group": stored("g.mp4", *X264, "-bf", "2", "-g", "500", "-sc_threshold", "0"),
    "mp4 of uneven times": stored("v.mp4", *B_FRAMES, *UNEVEN),
    "mov of 59.94": stored("r.mov", *B_FRAMES, rate="60000/1001"),
    "hevc": stored("h.mp4", "-c:v", "libx265", "-crf", "12", "-pix_fmt", "yuv420p", "-x265-params",
                   "log-level=error:bframes=4:keyint=24:open-gop=1"),
    "mkv": stored("k.mkv", *B_FRAMES),
    "mkv that starts at ten seconds": stored("t.mkv", *B_FRAMES, "-output_ts_offset", "10"),
    "mkv of uneven times": stored("v.mkv", *B_FRAMES, *UNEVEN),
    "webm": stored("w.webm", "-c:v", "libvpx-vp9", "-crf", "20", "-b:v", "0", "-g", "20", "-cpu-used", "8",
                   "-deadline", "realtime"),
    "av1": stored("a.mkv", "-c:v", "libsvtav1", "-crf", "20", "-preset", "12", "-g", "20", "-svtav1-params",
                  "lookahead=0"),
    "avi of mpeg4": stored("m.avi", "-c:v", "mpeg4", "-q:v", "2", "-g", "24", "-bf", "2"),
    "avi of h264": stored("h.avi", *B_FRAMES),
    "mjpeg avi": stored("j.avi", "-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p"),
    "transport stream": stored("t.ts", *B_FRAMES),
    "program stream": stored("p.mpg", "-c:v", "mpeg2video", "-q:v", "2", "-g", "15", "-bf", "2"),
    "flv": stored("f.flv", *B_FRAMES),
    "gif": stored("g.gif"),
    "ogg": stored("o.ogv", "-c:v", "libtheora", "-q:v", "10"),
    "wmv": stored("w.wmv", "-c:v", "wmv2", "-q:v", "2", "-g", "24"),
    "mxf": stored("x.mxf", "-c:v", "mpeg2video", "-q:v", "2", "-g", "15", "-bf", "2", "-vf", "scale=128:128"),
    "transport stream of other colours": other_colours,
    "raw h264": stored("r.h264", *B_FRAMES),
}  # fmt: skip


def run(path: Path, frame_lists: list[np.ndarray], out: Path, size: int = SIDE) -> list[Path]:
    """Encode takes of a numbered video as the build does: times from the analysis pass, one run."""
    found, pts, _ = pass_over(path)
    jobs = [VariantJob(frames, WHOLE, Recipe(), out / f"take{i}.mp4") for i, frames in enumerate(frame_lists)]
    descriptor = open_source(bytes(path))
    try:
        encode_variants(descriptor, found, pts, jobs, Fraction(25), CropConfig(shape=size), SHARP, LIMITS)
    finally:
        os.close(descriptor)
    return [take.out for take in jobs]


@pytest.mark.parametrize("kind", CONTAINERS)
def test_a_clip_holds_exactly_the_chosen_source_frames(kind: str, tmp_path: Path) -> None:
    path = CONTAINERS[kind](tmp_path)
    _, pts, pictures = pass_over(path)
    shown = [read_numbers(picture[: len(picture) * 2 // 3]) for picture in pictures]
    assert len(shown) >= COUNT - 12
    assert np.diff(shown).tolist() == [1] * (len(shown) - 1)
    assert (np.diff(pts) > 0).all()
    last = len(shown) - 1
    wanted = [
        np.arange(0, 9),
        np.arange(25, 25 + 9 * 3, 3),
        np.array([37, 38, 40, 43, 44, 45, 49, 53, 54]),
        np.arange(last - 8, last + 1),
    ]
    for number, frames in enumerate(wanted):
        (tmp_path / str(number)).mkdir()
        (clip,) = run(path, [frames], tmp_path / str(number))
        assert numbers_in(clip) == [shown[i] for i in frames], f"frames {frames} alone"


COARSE: dict[str, Maker] = {
    "mp4 of 30 ticks a second": stored("t.mp4", *B_FRAMES, "-video_track_timescale", "30", rate="30"),
    "mp4 of 29.97": stored("n.mp4", *B_FRAMES, "-video_track_timescale", "30000", rate="30000/1001"),
    "mjpeg avi of 30": stored("j.avi", "-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p", rate="30"),
    "mkv of 60": stored("k.mkv", *B_FRAMES, rate="60"),
}


@pytest.mark.parametrize("kind", COARSE)
@pytest.mark.parametrize("first", [3, 4, 5, 12])
def test_a_clip_begins_and_ends_at_its_frames_where_a_frame_is_one_tick(kind: str, first: int, tmp_path: Path) -> None:
    path, frames = COARSE[kind](tmp_path), np.arange(first, first + 10)
    (clip,) = run(path, [frames], tmp_path)
    assert numbers_in(clip) == list(frames)


def test_takes_of_one_run_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = CONTAINERS["mp4 with B-frames"](tmp_path)
    wanted = [np.arange(20, 40, 2), np.arange(31, 41), np.array([12, 13, 17, 18, 20, 33, 50, 51, 52, 69])]
    assert [numbers_in(clip) for clip in run(path, wanted, tmp_path)] == [list(frames) for frames in wanted]


def test_a_full_size_clip_of_181_uneven_frames_is_exact(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "long.mp4", 256, *B_FRAMES)
    frames = np.sort(np.random.default_rng(5).permutation(250)[:181])
    (clip,) = run(path, [frames], tmp_path, size=512)
    assert numbers_in(clip) == list(frames)
    verify(clip, 181, PictureSize(512, 512), Fraction(25))


def test_the_same_takes_give_the_same_bytes(tmp_path: Path) -> None:
    path = CONTAINERS["mp4 with B-frames"](tmp_path)
    found, pts, _ = pass_over(path)
    recipe = Recipe(flip=True, zoom=1.02, brightness=0.03, contrast=1.05, saturation=0.95)
    sums = []
    for again in range(2):
        jobs = [VariantJob(np.arange(20, 40), WHOLE, kind, tmp_path / f"{again}{i}.mp4") for i, kind in
                 enumerate([Recipe(), recipe])]  # fmt: skip
        descriptor = open_source(bytes(path))
        crop, rate = CropConfig(shape=256), Fraction(30000, 1001)
        encode_variants(descriptor, found, pts, jobs, rate, crop, VideoConfig(), LIMITS)
        os.close(descriptor)
        sums.append([hashlib.sha256(take.out.read_bytes()).hexdigest() for take in jobs])
    assert sums[0] == sums[1]
    assert sums[0][0] != sums[0][1]


def test_a_flip_mirrors_the_picture_and_colour_changes_it(tmp_path: Path) -> None:
    path = CONTAINERS["mp4 with B-frames"](tmp_path)
    found, pts, _ = pass_over(path)
    jobs = [VariantJob(np.arange(20, 29), WHOLE, recipe, tmp_path / f"{name}.mp4") for name, recipe in
             {"as": Recipe(), "flip": Recipe(flip=True), "dark": Recipe(brightness=-0.05)}.items()]  # fmt: skip
    descriptor = open_source(bytes(path))
    encode_variants(descriptor, found, pts, jobs, Fraction(25), CropConfig(shape=SIDE), SHARP, LIMITS)
    os.close(descriptor)
    plain, flipped, dark = [np.stack(luma_of(take.out)).astype(float) for take in jobs]
    assert np.abs(plain[..., ::-1] - flipped).mean() < 3
    assert np.abs(plain - flipped).mean() > 20
    assert dark[plain > 200].mean() < plain[plain > 200].mean() - 5


@pytest.mark.parametrize("rate", ["24", "25", "30000/1001", "24000/1001", "30", "20", "2997/100", "997/31"])
def test_the_clip_has_the_exact_rate_and_even_times(rate: str, tmp_path: Path) -> None:
    path = CONTAINERS["mp4 of one group"](tmp_path)
    found, pts, _ = pass_over(path)
    take = VariantJob(np.arange(3, 28), WHOLE, Recipe(), tmp_path / "clip.mp4")
    descriptor = open_source(bytes(path))
    encode_variants(descriptor, found, pts, [take], Fraction(rate), CropConfig(shape=SIDE), VideoConfig(), LIMITS)
    os.close(descriptor)
    assert describe(take.out) == {"frames": 25, "width": SIDE, "height": SIDE, "fps": Fraction(rate), "even": True}


def test_a_moving_crop_follows_its_corners(tmp_path: Path) -> None:
    """A picture whose columns state their own x: the clip's first column says where the crop was."""
    width, height, count = 400, 128, 181
    ramp = np.broadcast_to((np.arange(width) // 2).astype(np.uint8) + 20, (count, height, width))
    path = tmp_path / "ramp.mkv"
    ffmpeg("-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{width}x{height}", "-r", "25", "-i", "pipe:0",
           "-c:v", "ffv1", "-pix_fmt", "yuv420p", "-color_range", "tv", str(path), stdin=ramp.tobytes())  # fmt: skip
    random = np.random.default_rng(2)
    x = np.clip(np.cumsum(random.integers(-3, 4, count)) * 2 + 100, 0, width - 128)
    crop = square(np.stack([x, np.zeros(count, int)], 1), 128)
    found, pts, pictures = pass_over(path)
    take = VariantJob(np.arange(count), crop, Recipe(), tmp_path / "clip.mp4")
    descriptor = open_source(bytes(path))
    encode_variants(descriptor, found, pts, [take], Fraction(25), CropConfig(shape=128), VideoConfig(crf=4), LIMITS)
    os.close(descriptor)
    wanted = np.array([pictures[i][:height][:, left : left + 128].mean() for i, left in enumerate(x)])
    got = np.array([picture.mean() for picture in luma_of(take.out)])
    assert np.abs(got - wanted).max() < 0.7


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(0, 400), min_size=1, max_size=60))
def test_a_selection_is_true_for_its_frames_and_no_others(chosen: set[int]) -> None:
    text = selection(np.array(sorted(chosen)))
    scope = {"between": lambda n, a, b: int(a <= n <= b), "mod": lambda a, b: a % b, "no": lambda v: int(not v)}
    found = {n for n in range(401) if eval(text.replace("not(", "no("), {**scope, "n": n})}
    assert found == chosen


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), min_size=1, max_size=40))
def test_corner_expressions_give_each_frames_corner(corners: list[tuple[int, int]]) -> None:
    texts = corner_expressions(square(corners, 10))
    for n, corner in enumerate(corners):
        assert tuple(eval(text, {"n": n, "gte": lambda a, b: int(a >= b)}) for text in texts) == corner


def test_a_clip_with_a_frame_missing_does_not_verify(tmp_path: Path) -> None:
    path = CONTAINERS["mp4 of one group"](tmp_path)
    with pytest.raises(RejectedError, match="frames is 70, expected 71") as caught:
        verify(path, 71, PictureSize(SIDE, SIDE), Fraction(25))
    assert caught.value.code == "encode_failed"


def test_a_clip_of_uneven_times_does_not_verify(tmp_path: Path) -> None:
    path = CONTAINERS["mp4 of uneven times"](tmp_path)
    assert not describe(path)["even"]


def test_what_is_no_video_does_not_verify(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    with pytest.raises(RejectedError, match="does not decode"):
        describe(tmp_path / "clip.mp4")


def test_frames_beyond_the_end_of_a_source_fail_the_clip(tmp_path: Path) -> None:
    path = CONTAINERS["mp4 with B-frames"](tmp_path)
    with pytest.raises(RejectedError) as caught:
        run(path, [np.arange(COUNT - 4, COUNT + 5)], tmp_path)
    assert caught.value.code == "encode_failed"

"""A picture whose size changes inside the stream: each side gives the clips that it would give as a file of its own."""

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_catalog.base.errors import RejectedError
from data_catalog.base.files import read_json
from data_catalog.base.paths import DataFolder
from pipeline.analysis import arrays
from pipeline.analysis.arrays import Analysis
from pipeline.analysis.pose import PoseFinder
from pipeline.analysis.source_pass import analyse
from pipeline.batches.pack_shards import encode_clips
from pipeline.batches.plan_samples import sample_keys
from pipeline.batches.prepare_sources import build_keys, clips_of, prepare_source
from pipeline.clips.make_clips import Clip
from pipeline.config import CropConfig, LandmarksConfig, VariantConfig, VideoConfig
from pipeline.shards.augment import Recipe
from pipeline.shards.encode_clip import VariantJob, encode_variants
from pipeline.video.ffmpeg import open_source
from pipeline.video.pixel_shapes import refuse_changing_pixels
from pipeline.video.probe import probe
from tests.conftest import SMALL
from tests.pipeline.crops import square
from tests.pipeline.videos import LIMITS, SIDE, ffmpeg, joined, luma_of, numbers_in, write_numbered

PLAIN = {"variants": VariantConfig(count=0), "landmarks": LandmarksConfig(every_frame=False)}
CONFIG = SMALL.model_copy(update=PLAIN)
X264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "16", "-bf", "2", "-pix_fmt", "yuv420p")
VP8 = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "2M", "-auto-alt-ref", "0")
LARGE, UPRIGHT, SMALLER, FLAT = "360:640", "270:480", "216:384", "480:360:force_original_aspect_ratio=decrease"
PADDED = ",pad=480:360:(ow-iw)/2:(oh-ih)/2"
# name: (container of the file, container of its parts, codec, sizes)
KINDS: dict[str, tuple[str, str, tuple[str, ...], list[str]]] = {
    "h264 in mp4, falls": ("mp4", "ts", X264, [LARGE, SMALLER]),
    "h264 in ts, rises and falls": ("ts", "ts", X264, [SMALLER, LARGE, SMALLER]),
    "h264 in mkv, upright to flat": ("mkv", "ts", X264, [UPRIGHT, FLAT + PADDED]),
    "vp8 in webm, falls and rises": ("webm", "webm", VP8, [UPRIGHT, SMALLER, UPRIGHT]),
}


def make_part(dancer: Path, path: Path, scale: str, codec: tuple[str, ...]) -> Path:
    ffmpeg("-i", str(dancer), "-vf", f"scale={scale},setsar=1", *codec, str(path))
    return path


def prepared(path: Path, data: DataFolder, finder: PoseFinder) -> tuple[dict[str, Any], Analysis, list[Clip]]:
    """A source that was analysed, tiled and encoded: its manifest, its analysis and its clips."""
    source_id = path.stem.replace("_", "") * 8
    prepare_source(data, source_id, bytes(path), CONFIG, finder)
    manifest = read_json(data.clips(source_id, build_keys(CONFIG).clip_set))
    assert manifest["status"] == "ok", manifest["detail"]
    clips = list(clips_of(data, source_id, manifest, CONFIG))
    encode_clips(data, source_id, bytes(path), [clip.clip_id for clip in clips if clip.crop], CONFIG, finder)
    return manifest, arrays.load(data.analysis(source_id, build_keys(CONFIG).analysis)), clips


def pictures(data: DataFolder, clip: Clip) -> np.ndarray:
    (key,) = sample_keys(clip.clip_id, build_keys(CONFIG).sample_set, 0)
    return np.stack(luma_of(data.staged(key, "mp4")))


SOAKED = ("h264 in ts, rises and falls",)


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=[pytest.mark.soak] * (kind in SOAKED)) for kind in KINDS])
def test_each_side_of_a_change_gives_the_clips_that_it_gives_alone(
    kind: str, tmp_path: Path, dancer: Path, finder: PoseFinder
) -> None:
    container, part_container, codec, sizes = KINDS[kind]
    parts = [make_part(dancer, tmp_path / f"part{i}.{part_container}", size, codec) for i, size in enumerate(sizes)]
    data = DataFolder(tmp_path / "data")
    whole, analysis, clips = prepared(joined(tmp_path / f"whole.{container}", parts, 55 / 25), data, finder)
    assert whole["frames"] == 55 * len(parts)
    assert analysis.sizes[:, 0].tolist() == [55 * i for i in range(len(parts))]
    assert set(analysis.sizes[1:, 0]) <= set(analysis.cuts)
    for number, part in enumerate(parts):
        alone = joined(tmp_path / f"alone{number}.{container}", [part])
        _, _, expected = prepared(alone, data, finder)
        got = [clip for clip in clips if clip.window.frames[0] // 55 == number]
        assert len(got) == len(expected) == 2
        for one, other in zip(got, expected):
            assert (one.window.frames - 55 * number).tolist() == other.window.frames.tolist()
            assert one.crop
            assert other.crop
            assert (one.crop.size.tolist(), one.crop.corners.tolist()) == (
                other.crop.size.tolist(),
                other.crop.corners.tolist(),
            )
            np.testing.assert_allclose(one.landmarks, other.landmarks, atol=0.01)
            for score in ("cam_translation", "motion_energy", "blur", "visibility"):
                # A thousandth of a pixel: the two runs see pictures that were scaled by other factors.
                assert one.row[score] == pytest.approx(other.row[score], abs=1e-3), score
            assert np.array_equal(pictures(data, one), pictures(data, other))


def test_a_stream_of_one_size_is_decoded_once_and_notes_no_size(dancer: Path, finder: PoseFinder) -> None:
    descriptor = open_source(bytes(dancer))
    analysis = analyse(descriptor, probe(descriptor, LIMITS), finder, SMALL.analysis, LIMITS)
    os.close(descriptor)
    assert analysis.sizes.shape == (0, 3)
    assert analysis.shape_at(30, (480, 270)) == (480, 270)


@pytest.mark.parametrize(("pix_fmt", "side"), [("yuv444p", SIDE), ("yuv420p10le", SIDE), ("yuv444p", 96)])
def test_where_the_pixel_format_changes_every_frame_keeps_its_number(
    pix_fmt: str, side: int, tmp_path: Path, finder: PoseFinder
) -> None:
    film = write_numbered(tmp_path / "film.mkv", 70, "-c:v", "ffv1")
    for half, (form, scale) in enumerate((("yuv420p", SIDE), (pix_fmt, side))):
        ffmpeg("-i", str(film), "-vf", f"trim=start_frame={35 * half}:end_frame={35 * half + 35},scale={scale}:-1",
               *X264[:-1], form, str(tmp_path / f"{half}.ts"))  # fmt: skip
    descriptor = open_source(bytes(joined(tmp_path / "whole.ts", [tmp_path / "0.ts", tmp_path / "1.ts"])))
    try:
        found = probe(descriptor, LIMITS)
        analysis = analyse(descriptor, found, finder, SMALL.analysis, LIMITS)
        analysis = replace(analysis, bars=np.empty((0, 5), np.int64))  # digits that stay 0 look like one
        assert analysis.sizes.tolist() == [[0, SIDE, SIDE], [35, side, side]]
        for first in (20, 36, 60):
            here = analysis.probe_at(first, found)
            whole = square([[0, 0]], here.width)
            job = VariantJob(np.arange(first, first + 9), whole, Recipe(), tmp_path / "clip.mp4")
            encode_variants(
                descriptor, here, analysis.pts, [job], Fraction(25), CropConfig(shape=SIDE), VideoConfig(crf=10), LIMITS
            )
            assert numbers_in(job.out) == list(range(first, first + 9))
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("kind", ["turned", "seven sizes", "pixels that are not square"])
def test_a_change_that_cannot_be_followed_is_refused_as_such(kind: str, tmp_path: Path, finder: PoseFinder) -> None:
    count, sar = (7, "1") if kind == "seven sizes" else (2, "16/15" if kind.startswith("pixels") else "1")
    for number in range(count):
        ffmpeg("-f", "lavfi", "-i", f"testsrc2=s={160 + 16 * number}x96:r=25:d=0.4", "-vf", f"setsar={sar}", *X264,
               str(tmp_path / f"part{number}.ts"))  # fmt: skip
    path = joined(tmp_path / "whole.mp4", [tmp_path / f"part{number}.ts" for number in range(count)])
    if kind == "turned":
        ffmpeg("-display_rotation:v", "90", "-i", str(path), "-c", "copy", str(tmp_path / "turned.mp4"))
        path = tmp_path / "turned.mp4"
    descriptor = open_source(bytes(path))
    try:
        with pytest.raises(RejectedError, match=f"changes {count - 1} times, among {count} sizes") as caught:
            analyse(descriptor, probe(descriptor, LIMITS), finder, SMALL.analysis, LIMITS)
    finally:
        os.close(descriptor)
    assert caught.value.code == "size_changes"


def two_shapes(folder: Path, shapes: tuple[str, str], codec: str, sizes: tuple[str, str] = ("160x96",) * 2) -> Path:
    """A transport stream whose second part has pixels of another shape, or is of another size."""
    path = folder / "whole.ts"
    with path.open("wb") as whole:
        for number, (shape, size) in enumerate(zip(shapes, sizes)):
            part = folder / f"part{number}.ts"
            ffmpeg("-f", "lavfi", "-i", f"testsrc2=s={size}:r=25:d=0.6", "-vf", f"setsar={shape}", "-c:v", codec,
                   str(part))  # fmt: skip
            whole.write(part.read_bytes())
    return path


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg2video"])
@pytest.mark.parametrize("shapes", [("0", "4/3"), ("1", "4/3"), ("16/15", "64/45"), ("12/11", "1")])
def test_pixels_whose_shape_changes_are_refused_as_such(
    codec: str, shapes: tuple[str, str], tmp_path: Path, finder: PoseFinder
) -> None:
    if codec == "mpeg2video":  # tells the whole picture's shape: 4:3 or 16:9
        shapes = ("4/5", "16/15") if "1" not in shapes else ("4/5", "1")
    descriptor = open_source(bytes(two_shapes(tmp_path, shapes, codec)))
    try:
        with pytest.raises(RejectedError, match="shape of its pixels changes") as caught:
            analyse(descriptor, probe(descriptor, LIMITS), finder, SMALL.analysis, LIMITS)
    finally:
        os.close(descriptor)
    assert caught.value.code == "size_changes"


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg2video"])
def test_headers_that_tell_one_shape_again_and_again_are_no_change(codec: str, tmp_path: Path) -> None:
    shapes = ("4/5", "4/5") if codec == "mpeg2video" else ("255:254", "255:254")
    for name, sizes in (("same", ("160x96", "160x96")), ("other", ("160x96", "320x192"))):
        (tmp_path / name).mkdir()
        descriptor = open_source(bytes(two_shapes(tmp_path / name, shapes, codec, sizes)))
        try:
            found = probe(descriptor, LIMITS)
            refuse_changing_pixels(descriptor, found.codec, found.stream, LIMITS)
        finally:
            os.close(descriptor)

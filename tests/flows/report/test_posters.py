"""A clip's pictures show the clip: the right frames, the crop where it is, and nothing made twice."""

import io
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from data_catalog.base.files import read_json
from flows.report.posters import KINDS, LONGER, Wanted, draw_pictures, missing, picture_path
from pipeline.batches.prepare_sources import build_keys, clips_of
from pipeline.clips.make_clips import Clip
from pipeline.config import VariantConfig
from tests.conftest import SMALL, Built, build
from tests.pipeline.videos import ffmpeg, joined


def wanted(built: Built, stored: bool = True) -> list[Wanted]:
    rows = [row for row in built.manifest["samples"] if row["variant"] == 0]
    shard = str(built.manifest["shard"])
    return [
        Wanted(
            row["clip_id"],
            (shard, row["mp4_offset"], row["mp4_length"]) if stored else None,
            (shard, row["flac_offset"], row["flac_length"]) if stored else None,
        )
        for row in rows
    ]


def draw(built: Built, out: Path, clips: list[Wanted], path: bytes | None = b"", **more) -> dict[str, int]:
    return dict(
        draw_pictures(
            built.data, out, built.source_id, built.source.path if path == b"" else path, clips, built.config, **more
        )
    )


def clips(built: Built) -> dict[str, Clip]:
    analysed = read_json(built.data.analysis(built.source_id, build_keys(built.config).analysis).with_suffix(".json"))
    return {clip.clip_id: clip for clip in clips_of(built.data, built.source_id, analysed, built.config)}


def frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def stored_frames(built: Built, clip: Wanted) -> list[np.ndarray]:
    assert clip.stored is not None
    _, offset, length = clip.stored
    video = built.shard.read_bytes()[offset : offset + length]
    with av.open(io.BytesIO(video)) as container:
        return [frame.to_ndarray(format="bgr24", width=LONGER, height=LONGER) for frame in container.decode(video=0)]


def test_a_preview_of_a_stored_clip_plays_its_sound(built: Built, tmp_path: Path) -> None:
    clip, silent = wanted(built)[0], replace(wanted(built)[1], sound=None)
    draw(built, tmp_path, [clip, silent])
    with av.open(str(picture_path(tmp_path, "previews", clip.clip_id))) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
        assert samples == pytest.approx(48000, abs=1024)
    with av.open(str(picture_path(tmp_path, "previews", silent.clip_id))) as container:
        assert not container.streams.audio


def error(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference, 8-bit levels."""
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


def test_a_preview_is_every_second_frame_of_the_clip_and_the_poster_its_middle(built: Built, tmp_path: Path) -> None:
    clip = wanted(built)[0]
    assert draw(built, tmp_path, [clip]) == {"posters": 1, "previews": 1, "frames": 1}
    shown, truth = frames(picture_path(tmp_path, "previews", clip.clip_id)), stored_frames(built, clip)
    assert len(shown) == len(truth[::2]) == 13
    for got, want in zip(shown, truth[::2]):
        assert error(got, want) < 6
    poster = cv2.imread(str(picture_path(tmp_path, "posters", clip.clip_id)))
    errors = [error(poster, frame) for frame in truth]
    assert int(np.argmin(errors)) == 12


def test_a_poster_alone_is_the_one_that_comes_with_the_preview(built: Built, tmp_path: Path) -> None:
    clip = wanted(built)[1]
    draw(built, tmp_path / "both", [clip])
    assert draw(built, tmp_path / "alone", [clip], kinds=("posters",)) == {"posters": 1}
    both, alone = (cv2.imread(str(picture_path(tmp_path / n, "posters", clip.clip_id))) for n in ("both", "alone"))
    assert error(both, alone) < 1


def test_a_clip_that_is_not_stored_is_pictured_from_its_source_in_the_same_crop(built: Built, tmp_path: Path) -> None:
    clip, bare = wanted(built)[0], wanted(built, stored=False)[0]
    draw(built, tmp_path / "stored", [clip])
    draw(built, tmp_path / "source", [bare])
    a, b = (frames(picture_path(tmp_path / name, "previews", clip.clip_id)) for name in ("stored", "source"))
    assert len(a) == len(b)
    for got, want in zip(b, a):
        assert error(got, want) < 8


def test_where_the_size_changes_each_clip_is_pictured_in_its_own(
    tmp_path: Path, dancer: Path, pose_model: Path
) -> None:
    sizes = ("216:384", "360:640")
    for name, size in zip("ab", sizes):
        ffmpeg("-i", str(dancer), "-vf", f"scale={size}", "-pix_fmt", "yuv420p", str(tmp_path / f"{name}.ts"))
    source = joined(tmp_path / "raw.ts", [tmp_path / "a.ts", tmp_path / "b.ts"])
    plain = SMALL.model_copy(update={"variants": VariantConfig(count=0)})
    twice = build(tmp_path / "data", source, plain, pose_model)
    for clip, bare in zip(wanted(twice), wanted(twice, stored=False), strict=True):
        first = clips(twice)[clip.clip_id].window.frames[0]
        draw(twice, tmp_path / "stored", [clip])
        draw(twice, tmp_path / "source", [bare])
        picture = cv2.imread(str(picture_path(tmp_path / "stored", "frames", clip.clip_id)))
        assert picture.shape[:2] == ((384, 216) if first < 55 else (640, 360))
        a, b = (frames(picture_path(tmp_path / name, "previews", clip.clip_id)) for name in ("stored", "source"))
        assert max(error(got, want) for got, want in zip(b, a, strict=True)) < 8


def test_the_source_frame_shows_the_crop_where_it_is_and_the_landmarks(built: Built, tmp_path: Path) -> None:
    name, clip = next(iter(clips(built).items()))
    draw(built, tmp_path, [Wanted(name)])
    picture = cv2.imread(str(picture_path(tmp_path, "frames", name))).astype(int)
    assert clip.crop is not None
    assert picture.shape[:2] == (480, 270)  # the source's own size: it is smaller than the longest side
    x, y, side = *clip.crop.corners[0].astype(int), clip.crop.height
    edge = picture[y + side // 2, max(x, 0) : max(x, 0) + 2].mean(0)
    assert edge[1] > 180  # green
    assert edge[1] > edge[0] + 60
    middle = clip.landmarks[len(clip.landmarks) // 2]
    for joint in (11, 12, 23, 24):
        u, v = middle[joint, :2].round().astype(int)
        assert picture[v, u, 1] > 180, joint
    outside = picture[: max(y - 3, 1)].mean()
    assert outside < 0.6 * picture[y + 3 : y + side - 3].mean()


def test_what_is_there_is_not_made_again_and_what_is_gone_is(built: Built, tmp_path: Path) -> None:
    clip = wanted(built)[0]
    draw(built, tmp_path, [clip])
    assert draw(built, tmp_path, [clip]) == {}
    picture_path(tmp_path, "frames", clip.clip_id).unlink()
    assert missing(tmp_path, clip.clip_id) == {"frames"}
    assert draw(built, tmp_path, [clip]) == {"frames": 1}
    assert missing(tmp_path, clip.clip_id) == set()


def test_without_the_source_a_stored_clip_has_all_but_the_source_frame(built: Built, tmp_path: Path) -> None:
    stored, bare = wanted(built)[0], wanted(built, stored=False)[1]
    assert draw(built, tmp_path, [stored, bare], path=None) == {"posters": 1, "previews": 1}
    assert missing(tmp_path, bare.clip_id) == set(KINDS)


def test_a_damaged_shard_or_source_costs_its_picture_and_is_counted(built: Built, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(built.source_id.encode() * 100)
    first, second = wanted(built)
    shard, _, _ = first.stored or ("", 0, 0)
    torn = replace(first, stored=(shard, 0, 512))
    done = draw(built, tmp_path / "out", [torn, second], path=str(broken).encode())
    assert done["failed"] >= 2
    assert done["previews"] == 1
    assert missing(tmp_path / "out", second.clip_id) == {"frames"}


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "a/b", "a.b", "a b", "é", "a\0"])
def test_a_clip_id_names_no_other_place(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="names no picture"):
        picture_path(tmp_path, "posters", name)


def test_a_disk_that_takes_no_picture_stops_the_drawing_and_leaves_no_half_file(built: Built, tmp_path: Path) -> None:
    (tmp_path / "posters").write_text("in the way")
    with pytest.raises(OSError, match="posters"):
        draw(built, tmp_path, wanted(built))
    assert not list(tmp_path.rglob(".tmp-*"))
    assert not list(tmp_path.rglob("*.jpg"))

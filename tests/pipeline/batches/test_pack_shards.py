"""From clips to shards: what is stored is what the clip manifest says, and a second build gives the same bytes."""

import io
import json
import shutil
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import soundfile
import webdataset

from data_catalog.base.files import read_json
from data_catalog.base.paths import DataFolder
from pipeline.analysis import sound_pass
from pipeline.analysis.pose import MAIN, PoseFinder
from pipeline.batches.pack_shards import encode_clips, pack_shard, shard_name
from pipeline.batches.plan_samples import sample_keys
from pipeline.batches.prepare_sources import build_keys, prepare_sources
from pipeline.config import SoundConfig
from pipeline.shards.augment import flipped, flipped_picture
from pipeline.shards.cut_sound import read_flac
from pipeline.shards.encode_clip import describe
from pipeline.shards.tar import read_member
from pipeline.shards.verify import verify_shards
from tests.conftest import SMALL, Built, build
from tests.pipeline.videos import ffmpeg


def clips_of(built: Built) -> list[dict[str, object]]:
    return list(read_json(built.data.clips(built.source_id, build_keys(built.config).clip_set))["clips"])


def landmarks_of(built: Built, sample: dict[str, int]) -> np.ndarray:
    data = read_member(built.shard, sample["npy_offset"], sample["npy_length"])
    return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))


def meta_of(built: Built, sample: dict[str, int]) -> dict[str, object]:
    return dict(json.loads(read_member(built.shard, sample["json_offset"], sample["json_length"])))


def sound_of(built: Built, sample: dict[str, int]) -> np.ndarray:
    return read_flac(read_member(built.shard, sample["flac_offset"], sample["flac_length"]))[0]


def samples_of(built: Built) -> list[dict[str, int]]:
    return list(built.manifest["samples"])  # type: ignore[call-overload]


def test_every_clip_has_its_variants_and_keys_hold_no_dot(built: Built) -> None:
    clips = clips_of(built)
    assert len(clips) == 2
    wanted = [key for clip in clips for key in sample_keys(str(clip["clip_id"]), build_keys(SMALL).sample_set, 2)]
    assert [sample["sample_key"] for sample in samples_of(built)] == wanted
    assert not any("." in key for key in wanted)


def test_every_stored_clip_decodes_to_its_frames_size_and_rate(built: Built, tmp_path: Path) -> None:
    for sample in samples_of(built):
        path = tmp_path / "clip.mp4"
        path.write_bytes(read_member(built.shard, sample["mp4_offset"], sample["mp4_length"]))
        assert describe(path) == {"frames": 25, "width": 128, "height": 128, "fps": Fraction(25), "even": True}
        assert meta_of(built, sample)["fps"] == "25"


def test_landmarks_lie_on_the_dancer_of_every_variant(built: Built, finder: PoseFinder) -> None:
    """The pose found in the stored clip itself is where the stored landmarks say, left and right included."""
    for sample in samples_of(built):
        stored = landmarks_of(built, sample)
        assert stored.shape == (25, 33, 4)
        assert stored.dtype == np.float32
        video = io.BytesIO(read_member(built.shard, sample["mp4_offset"], sample["mp4_length"]))
        with av.open(video) as container:
            pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        off = []
        for number in (4, 10, 16, 22):
            people = finder.find(cv2.resize(pictures[number], (512, 512), interpolation=cv2.INTER_CUBIC))
            assert len(people) == 1
            off.append(np.linalg.norm(people[0, MAIN, :2] / 4 - stored[number][MAIN, :2], axis=1))
        assert np.median(off) < 4, sample["sample_key"]


def test_a_frame_of_the_source_has_the_same_landmarks_in_every_sample_that_holds_it(built: Built) -> None:
    """Flipped, zoomed and retimed landmarks, brought back to the source's pixels, are the very same."""
    seen: dict[tuple[str, int], np.ndarray] = {}
    shared = 0
    for sample in samples_of(built):
        meta: dict[str, Any] = meta_of(built, sample)
        assert meta["found"] > 0.9
        landmarks = landmarks_of(built, sample).astype(float)
        if meta["recipe"]["flip"]:
            landmarks = flipped(landmarks, 128)
        (source,), (picture,) = np.array(meta["source"]), np.array(meta["picture"], float)
        if meta["recipe"]["flip"]:
            picture = flipped_picture(picture[None], 128)[0]
        scale = (source[2:] - source[:2]) / (picture[2:] - picture[:2])
        points = (landmarks[..., :2] - picture[:2]) * scale + source[:2]
        for frame, joints in zip(meta["source_frames"], points):
            first = seen.setdefault((meta["clip"]["clip_id"], frame), joints)
            shared += first is not joints
            assert np.abs(first - joints).max() < 0.01
    assert shared > 20


def test_the_recipe_in_the_sample_is_the_one_in_the_manifest(built: Built) -> None:
    flips = set()
    for sample in samples_of(built):
        meta = meta_of(built, sample)
        assert meta["recipe"] == sample["recipe"]
        assert meta["variant"] == sample["variant"]
        assert len(meta["source_frames"]) == 25  # type: ignore[arg-type]
        flips.add(sample["recipe"]["flip"])  # type: ignore[index]
    assert False in flips


def test_a_second_build_elsewhere_gives_the_same_bytes(
    built: Built, dancer: Path, pose_model: Path, tmp_path: Path
) -> None:
    again = build(tmp_path / "again", dancer, SMALL, pose_model)
    assert again.shard.name == built.shard.name
    assert again.shard.read_bytes() == built.shard.read_bytes()
    assert again.manifest == built.manifest


def test_nothing_stays_staged_once_it_is_packed(built: Built) -> None:
    assert [path for path in built.data.work.rglob("*") if path.is_file()] == []


def test_staged_clips_are_not_encoded_again_and_an_interrupted_one_is(
    built: Built, pose_model: Path, tmp_path: Path, finder: PoseFinder
) -> None:
    data = DataFolder(tmp_path / "data")
    batch = [(built.source_id, built.source.path)]
    prepare_sources(data, batch, SMALL, pose_model)
    first, second = [str(clip["clip_id"]) for clip in clips_of(built)]
    done = encode_clips(data, *batch[0], [first], SMALL, finder)
    assert done == Counter(clips_encoded=1, samples_encoded=3, frames_encoded=75)
    assert encode_clips(data, *batch[0], [first], SMALL, finder) == Counter()
    data.staged(sample_keys(first, build_keys(SMALL).sample_set, 2)[2], "json").unlink()
    done = encode_clips(data, *batch[0], [first, second], SMALL, finder)
    assert done["clips_encoded"] == 2
    manifest = pack_shard(data, [first, second], SMALL)
    assert manifest == built.manifest
    assert (data.shards / built.shard.name).read_bytes() == built.shard.read_bytes()


def test_every_sample_has_its_sound_as_a_member_and_its_beats_in_its_json(built: Built) -> None:
    heard = sound_pass.load(built.data.sound(built.source_id, sound_pass.sound_key()))
    speeds = set()
    for sample in samples_of(built):
        meta, sound = meta_of(built, sample), sound_of(built, sample)
        said: dict[str, Any] = meta["sound"]  # type: ignore[assignment]
        assert sound.shape == (said["samples"], said["channels"]) == (48000, 1)
        assert np.abs(sound).max() > 3000
        assert said["start_s"] == pytest.approx(meta["source_frames"][0] / 25, abs=1e-6)  # type: ignore[index]
        speed = meta["recipe"]["tempo"]  # type: ignore[index]
        assert said["speed"] == speed
        beats = (np.array(heard.beats) - said["start_s"]) / speed
        np.testing.assert_allclose(said["beats"], beats[(beats >= 0) & (beats < 1)], atol=1e-4)
        speeds.add(speed)
    assert len(speeds) > 1


def test_plain_webdataset_reads_the_sound(built: Built) -> None:
    found = list(webdataset.WebDataset(str(built.shard), shardshuffle=False))
    assert len(found) == 6
    for sample in found:
        assert {"mp4", "json", "npy", "flac"} <= set(sample)
        sound, rate = soundfile.read(io.BytesIO(sample["flac"]))
        assert (len(sound), rate) == (48000, 48000)


def test_a_samples_sound_is_its_sources_sound_at_its_place(built: Built, dancer: Path) -> None:
    """Beside what a player decodes: another library, another way to the same samples."""
    with av.open(str(dancer)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=48000)
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    whole = np.concatenate([frame.to_ndarray()[0] for frame in [*frames, *resampler.resample(None)]])
    for sample in samples_of(built):
        said: dict[str, Any] = meta_of(built, sample)["sound"]  # type: ignore[assignment]
        if said["speed"] == 1:
            start = round(said["start_s"] * 48000)
            expected = whole[start : start + 48000]
            stored = sound_of(built, sample)[: len(expected), 0] / 32768
            assert np.corrcoef(stored, expected)[0, 1] > 0.999
            gain = float(stored @ expected / (expected @ expected))
            assert np.abs(stored / gain - expected).max() < 0.01


def test_a_source_without_sound_gives_samples_without_that_member(
    dancer: Path, pose_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "raw" / "silent.mp4"
    path.parent.mkdir()
    ffmpeg("-i", str(dancer), "-c:v", "copy", "-an", str(path))
    silent = build(tmp_path / "data", path, SMALL, pose_model)
    for sample in samples_of(silent):
        assert "flac_offset" not in sample
        assert meta_of(silent, sample)["sound"] is None
    assert all(clip["sound"] is False for clip in clips_of(silent))
    assert [problems for _, problems in verify_shards(silent.data.shards, decode=True)] == [[]]


def test_where_no_sound_is_kept_nothing_speaks_of_it(dancer: Path, pose_model: Path, tmp_path: Path) -> None:
    config = SMALL.model_copy(update={"sound": SoundConfig(keep=False)})
    without = build(tmp_path, dancer, config, pose_model)
    assert not (tmp_path / "sound").exists()
    for sample in samples_of(without):
        assert "flac_offset" not in sample
        assert "sound" not in meta_of(without, sample)
    assert all("sound" not in clip for clip in clips_of(without))


def test_a_clip_that_was_killed_after_its_sound_is_staged_again_with_the_same_bytes(
    built: Built, pose_model: Path, tmp_path: Path, finder: PoseFinder
) -> None:
    data = DataFolder(tmp_path / "data")
    batch = [(built.source_id, built.source.path)]
    prepare_sources(data, batch, SMALL, pose_model)
    ids = [str(clip["clip_id"]) for clip in clips_of(built)]
    encode_clips(data, *batch[0], ids, SMALL, finder)
    for key in sample_keys(ids[0], build_keys(SMALL).sample_set, 2)[1:]:
        data.staged(key, "json").unlink()
        data.staged(key, "flac").write_bytes(b"half of")
    assert encode_clips(data, *batch[0], ids, SMALL, finder)["clips_encoded"] == 1
    assert pack_shard(data, ids, SMALL) == built.manifest
    assert (data.shards / built.shard.name).read_bytes() == built.shard.read_bytes()
    assert [path for path in data.work.rglob("*") if path.is_file()] == []


def test_a_source_that_is_gone_leaves_its_clips_to_the_next_run(
    built: Built, pose_model: Path, tmp_path: Path, finder: PoseFinder
) -> None:
    data, path = DataFolder(tmp_path / "data"), tmp_path / "video.mp4"
    shutil.copy(built.source.path.decode(), path)
    prepare_sources(data, [(built.source_id, bytes(path))], SMALL, pose_model)
    path.unlink()
    ids = [str(clip["clip_id"]) for clip in clips_of(built)]
    assert encode_clips(data, built.source_id, bytes(path), ids, SMALL, finder) == Counter(clips_unopened=2)
    assert pack_shard(data, ids, SMALL) is None
    assert not data.failure(ids[0], build_keys(SMALL).sample_set).exists()


def test_a_clip_that_does_not_encode_is_recorded_and_left_out(
    built: Built, pose_model: Path, tmp_path: Path, finder: PoseFinder
) -> None:
    """The file has become shorter since it was analysed: the second clip's frames are gone."""
    data, path = DataFolder(tmp_path / "data"), tmp_path / "video.mkv"
    ffmpeg("-i", built.source.path.decode(), "-c", "copy", str(path))
    prepare_sources(data, [("s", bytes(path))], SMALL, pose_model)
    names = build_keys(SMALL)
    ids = [clip["clip_id"] for clip in read_json(data.clips("s", names.clip_set))["clips"]]
    ffmpeg("-i", built.source.path.decode(), "-c", "copy", "-frames:v", "38", str(path))
    done = encode_clips(data, "s", bytes(path), ids, SMALL, finder)
    assert (done["clips_encoded"], done["clips_failed"]) == (1, 1)
    failure = read_json(data.failure(ids[1], names.sample_set))
    assert failure["code"] in ("encode_failed", "damaged")
    manifest = pack_shard(data, ids, SMALL)
    assert manifest is not None
    assert {sample["clip_id"] for sample in manifest["samples"]} == {ids[0]}
    assert [path for path in data.work.rglob("*") if path.is_file()] == []


def test_a_shards_name_says_what_is_in_it() -> None:
    assert shard_name(["a", "b"], "0123456789") == shard_name(["a", "b"], "0123456789")
    assert len({shard_name(ids, key) for ids in (["a"], ["a", "b"]) for key in ("0" * 16, "1" * 16)}) == 4


@pytest.mark.parametrize("variants", [0, 1])
def test_fewer_variants_are_the_first_ones(variants: int) -> None:
    assert sample_keys("c", "abcdefgh", variants) == ["c-abcdef-v0", "c-abcdef-v1"][: variants + 1]

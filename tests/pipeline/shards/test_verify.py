"""`verify` finds whatever is wrong with a stored data set, and nothing in a sound one."""

import json
import shutil
from pathlib import Path

import pytest

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import sealed, sha256_file
from pipeline.shards.tar import manifest_path
from pipeline.shards.verify import verify_shards
from tests.conftest import Built


@pytest.fixture
def shards(built: Built, tmp_path: Path) -> Path:
    """A copy of a built shard folder that may be damaged."""
    return Path(shutil.copytree(built.data.shards, tmp_path / "shards"))


def problems(folder: Path, decode: bool = True) -> list[str]:
    return [sentence for _, wrong in verify_shards(folder, decode) for sentence in wrong]


def tar_of(folder: Path) -> Path:
    return next(folder.glob("*.tar"))


def overwrite(path: Path, offset: int, data: bytes, mend_checksum: bool = False) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)
    if mend_checksum:
        manifest = json.loads(manifest_path(path).read_bytes())
        manifest["sha256"] = sha256_file(path)
        manifest_path(path).write_text(json.dumps(sealed(manifest)))


def test_a_sound_data_set_has_no_problems(shards: Path) -> None:
    assert list(verify_shards(shards, decode=True)) == [(tar_of(shards).name, [])]


def test_a_truncated_tar_is_found(shards: Path) -> None:
    tar = tar_of(shards)
    with tar.open("r+b") as file:
        file.truncate(tar.stat().st_size // 2)
    assert len(problems(shards, decode=False)) == 1
    assert "bytes, its manifest says" in problems(shards)[0]


def test_one_flipped_bit_is_found_without_decoding(shards: Path) -> None:
    tar = tar_of(shards)
    middle = tar.stat().st_size // 2
    byte = tar.read_bytes()[middle]
    overwrite(tar, middle, bytes([byte ^ 1]))
    assert "sha256" in problems(shards, decode=False)[0]


def test_a_clip_that_does_not_decode_is_found_behind_a_right_checksum(shards: Path) -> None:
    tar = tar_of(shards)
    sample = json.loads(manifest_path(tar).read_bytes())["samples"][1]
    overwrite(tar, sample["mp4_offset"] + 60, bytes(sample["mp4_length"] - 60), mend_checksum=True)
    found = problems(shards)
    assert len(found) == 1
    assert found[0].startswith(sample["sample_key"])
    assert problems(shards, decode=False) == []


def test_landmarks_that_do_not_load_are_found_behind_a_right_checksum(shards: Path) -> None:
    tar = tar_of(shards)
    sample = json.loads(manifest_path(tar).read_bytes())["samples"][0]
    overwrite(tar, sample["npy_offset"], b"garbage", mend_checksum=True)
    assert [sentence.startswith(sample["sample_key"]) for sentence in problems(shards)] == [True]


def test_a_sound_that_is_damaged_or_missing_is_found_behind_a_right_checksum(shards: Path) -> None:
    tar = tar_of(shards)
    path = manifest_path(tar)
    whole = json.loads(path.read_bytes())
    sample = whole["samples"][0]
    del sample["flac_offset"]
    path.write_text(json.dumps(sealed(whole)))
    assert [sentence.startswith(sample["sample_key"]) for sentence in problems(shards)] == [True]
    sample = json.loads(path.read_bytes())["samples"][2]
    overwrite(tar, sample["flac_offset"], bytes(sample["flac_length"]), mend_checksum=True)
    assert len(problems(shards)) == 2


def test_a_sample_under_another_name_is_found(shards: Path) -> None:
    tar = tar_of(shards)
    path = manifest_path(tar)
    first, second = (s["sample_key"] for s in json.loads(path.read_bytes())["samples"][:2])
    altered = path.read_text().replace(first, "x" * len(second))
    path.write_text(json.dumps(sealed(json.loads(altered))))
    assert len(problems(shards)) == 1


def test_a_tar_without_a_manifest_and_a_manifest_without_a_tar_are_found(shards: Path) -> None:
    tar = tar_of(shards)
    tar.rename(shards / "renamed.tar")
    assert sorted(problems(shards)) == [
        "it has no manifest, so nothing in it is trusted.",
        "the manifest names a shard that is not there.",
    ]


def test_a_damaged_manifest_is_found(shards: Path) -> None:
    path = manifest_path(tar_of(shards))
    path.write_bytes(path.read_bytes()[:100])
    assert len(problems(shards)) == 1


def test_no_data_set_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LongdanceError, match="build a data set first"):
        list(verify_shards(tmp_path / "shards", decode=True))

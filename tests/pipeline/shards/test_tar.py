"""Tars: the same bytes every time, readable by plain webdataset and by offset."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import webdataset

from data_catalog.base.files import read_json, sealed, sha256_file
from pipeline.shards.tar import MEMBERS, ShardSample, manifest_path, manifests, read_member, write_shard
from pipeline.shards.verify import verify_shards

# A child that finds the tests whether or not this process asked for `python -P` (flows/isolation.py).
IMPORTS_HERE = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
CONTENT = {"mp4": b"video" * 1000, "json": b'{"a":1}', "npy": b"\x93NUMPY" + bytes(513)}


def samples(folder: Path, count: int = 3) -> list[ShardSample]:
    """Samples whose members are files of odd lengths."""
    folder.mkdir(exist_ok=True)
    made = []
    for i in range(count):
        files = {kind: folder / f"{i}.{kind}" for kind in MEMBERS}
        for kind, path in files.items():
            path.write_bytes(CONTENT[kind] + bytes([i]) * i)
        made.append(ShardSample(f"clip{i}-v0", {"clip_id": f"clip{i}", "variant": 0, "recipe": {}}, files))
    return made


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """A shard of three samples with its manifest."""
    path = tmp_path / "shards" / "s.tar"
    write_shard(path, samples(tmp_path / "files"), "plan")
    return path


def test_the_same_samples_give_the_same_bytes_whenever_they_are_written(tmp_path: Path, shard: Path) -> None:
    again = tmp_path / "again" / "s.tar"
    write_shard(again, samples(tmp_path / "other files"), "plan")
    assert again.read_bytes() == shard.read_bytes()
    assert manifest_path(again).read_bytes() == manifest_path(shard).read_bytes()


def test_the_manifests_offsets_read_each_member_back(shard: Path) -> None:
    manifest = read_json(manifest_path(shard))
    assert [sample["sample_key"] for sample in manifest["samples"]] == ["clip0-v0", "clip1-v0", "clip2-v0"]
    for i, sample in enumerate(manifest["samples"]):
        for kind in MEMBERS:
            data = read_member(shard, sample[f"{kind}_offset"], sample[f"{kind}_length"])
            assert data == CONTENT[kind] + bytes([i]) * i


def test_the_manifest_states_size_and_checksum(shard: Path) -> None:
    manifest = read_json(manifest_path(shard))
    assert manifest["bytes"] == shard.stat().st_size
    assert manifest["sha256"] == sha256_file(shard)
    assert (manifest["shard"], manifest["plan_key"]) == ("s.tar", "plan")
    assert [sample["bytes"] for sample in manifest["samples"]] == [
        sum(len(data) + i for data in CONTENT.values()) for i in range(3)
    ]


def test_plain_webdataset_reads_the_same_samples(shard: Path) -> None:
    found: list[dict[str, Any]] = list(webdataset.WebDataset(str(shard), shardshuffle=False))
    assert [sample["__key__"] for sample in found] == ["clip0-v0", "clip1-v0", "clip2-v0"]
    for i, sample in enumerate(found):
        assert {kind: sample[kind] for kind in MEMBERS} == {k: v + bytes([i]) * i for k, v in CONTENT.items()}


def test_tar_members_carry_no_time_and_no_owner(shard: Path) -> None:
    with tarfile.open(shard) as tar:
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in tar} == {(0, 0, 0, "", "")}


def test_the_bytes_are_those_of_a_plain_tar_as_ever(tmp_path: Path, shard: Path) -> None:
    """Shards that were written before webdataset's own writer wrote them, and their sample sets, stay what they are."""
    plain = tmp_path / "plain.tar"
    with tarfile.open(plain, "w", format=tarfile.USTAR_FORMAT) as tar:
        for sample in samples(tmp_path / "again"):
            for kind in ("mp4", "json", "npy"):
                info = tarfile.TarInfo(f"{sample.key}.{kind}")
                info.size = sample.files[kind].stat().st_size
                with sample.files[kind].open("rb") as file:
                    tar.addfile(info, file)
    assert shard.read_bytes() == plain.read_bytes()


def test_a_shard_is_written_where_torch_is_not_installed(tmp_path: Path, shard: Path) -> None:
    files = tmp_path / "files"
    code = f"""
import sys
sys.modules["torch"] = None
from pathlib import Path
from tests.pipeline.shards.test_tar import samples
from pipeline.shards.tar import write_shard
write_shard(Path({str(tmp_path / "s.tar")!r}), samples(Path({str(files)!r})), "plan")
"""
    subprocess.run([sys.executable, "-c", code], check=True, env=IMPORTS_HERE)
    assert (tmp_path / "s.tar").read_bytes() == shard.read_bytes()


def test_a_shard_on_a_full_disk_is_one_error_and_not_there(tmp_path: Path) -> None:
    """A file size that the kernel refuses stands for the disk's end, in a child of its own."""
    files, path = tmp_path / "files", tmp_path / "shards" / "s.tar"
    code = f"""
import resource, signal
from pathlib import Path
from data_catalog.base.disk import explain_disk_error
from tests.pipeline.shards.test_tar import samples
from pipeline.shards.tar import write_shard
made = samples(Path({str(files)!r}))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
try:
    write_shard(Path({str(path)!r}), made, "plan")
except OSError as error:
    print("is full" in explain_disk_error(error))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, env=IMPORTS_HERE, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert list(path.parent.iterdir()) == []


def test_a_shard_that_cannot_be_finished_is_not_there(tmp_path: Path) -> None:
    made = samples(tmp_path / "files")
    made[2].files["npy"].unlink()
    with pytest.raises(FileNotFoundError):
        write_shard(tmp_path / "shards" / "s.tar", made, "plan")
    assert list((tmp_path / "shards").iterdir()) == []


def test_a_member_beyond_the_end_of_a_shard_is_an_error_and_no_short_read(shard: Path) -> None:
    with pytest.raises(EOFError, match="ends 10 bytes before"):
        read_member(shard, shard.stat().st_size - 10, 20)


def test_only_manifests_with_a_tar_count(shard: Path) -> None:
    (shard.parent / "gone.json").write_text(json.dumps({"shard": "gone.tar"}))
    assert [manifest["shard"] for manifest in manifests(shard.parent)] == ["s.tar"]
    assert list(manifests(shard.parent / "nowhere")) == []


@pytest.mark.parametrize("damage", ["cut tar", "{}", "[]", "no json", "another shard's"])
def test_a_shard_that_is_damaged_to_the_eye_counts_as_not_there(shard: Path, damage: str) -> None:
    assert [manifest["shard"] for manifest in manifests(shard.parent)] == ["s.tar"]
    if damage == "cut tar":
        shard.write_bytes(shard.read_bytes()[:-512])
    elif damage == "another shard's":
        manifest_path(shard).write_text(json.dumps(sealed({**read_json(manifest_path(shard)), "shard": "t.tar"})))
    else:
        manifest_path(shard).write_text(damage)
    assert not list(manifests(shard.parent))
    [(name, problems)] = verify_shards(shard.parent, decode=False)
    assert (name, len(problems)) == ("s.tar", 1)

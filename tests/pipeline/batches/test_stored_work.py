"""What a worker puts into object storage is what it would write into a folder, and finished things stay."""

import hashlib
import logging
import os

import pytest

from data_catalog.base.files import read_json
from data_catalog.base.paths import DataFolder
from data_catalog.base.store import Store
from pipeline.batches.prepare_sources import build_keys
from pipeline.batches.sources import hash_source, require_objects
from pipeline.batches.stored_work import encode_shard, prepare_stored, try_to_encode
from pipeline.video import raw_source


@pytest.fixture
def raw(bucket, dancer):
    store = Store.at(f"s3://{bucket}/raw")
    store.create("by night/q'uo\"te #1?.mp4", dancer)
    store.create("notes.txt", b"no video")
    store.create(".hidden.mp4", b"no video")
    store.create("other/catalog.duckdb", b"a data set")
    store.create("other/shards/x.tar", b"its shard")
    return store


@pytest.fixture
def job(raw, built):
    [file] = require_objects(raw, f"{raw.url}/nothing")
    assert hash_source(file) == built.source_id
    names = build_keys(built.config)
    clip_ids = [clip["clip_id"] for clip in read_json(built.data.clips(built.source_id, names.clip_set))["clips"]]
    return built.source_id, file.path, clip_ids


def key_of(data: DataFolder, path) -> str:
    return str(path.relative_to(data.root))


def test_a_source_is_prepared_and_a_shard_packed_with_the_same_bytes(
    bucket, built, job, pose_model, monkeypatch, tmp_path
):
    monkeypatch.setenv(raw_source.SCRATCH, str(tmp_path))
    source_id, path, clip_ids = job
    data, names = Store.at(f"s3://{bucket}/data"), build_keys(built.config)
    assert prepare_stored([(source_id, path)], data.url, built.config, pose_model)["sources_decoded"] == 1
    arrays = built.data.analysis(source_id, names.analysis)
    assert data.read(key_of(built.data, arrays))[0] == arrays.read_bytes()
    data.create(f"shards/{built.shard.name}", b"left by a worker that died before its manifest")
    packed = encode_shard([job], data.url, built.config, pose_model, clip_ids)
    assert packed.manifest == read_json(built.shard.with_suffix(".json"))
    assert data.read(f"shards/{built.shard.name}")[0] == built.shard.read_bytes()
    assert packed.failed == []
    assert not [info.key for info in data.listed() if info.key.startswith("work/")]
    assert [path.name for path in raw_source.scratch().iterdir()] == []


def test_what_is_done_is_not_done_again_and_a_trial_puts_nothing(bucket, built, job, pose_model):
    source_id, path, clip_ids = job
    data = Store.at(f"s3://{bucket}/data")
    prepare_stored([(source_id, path)], data.url, built.config, pose_model)
    before = {info.key: info.tag for info in data.listed()}
    again = prepare_stored([(source_id, path)], data.url, built.config, pose_model)
    try_to_encode([(source_id, path, clip_ids[:1])], data.url, built.config, pose_model)
    assert again["sources_decoded"] == 0
    assert {info.key: info.tag for info in data.listed()} == before


def test_an_object_that_was_replaced_or_is_gone_waits_for_the_next_run(bucket, raw, built, job, pose_model, caplog):
    source_id, path, _ = job
    data = Store.at(f"s3://{bucket}/data")
    key = path.decode().removeprefix(f"{raw.url}/")
    raw.replace(key, b"other bytes")
    with caplog.at_level(logging.WARNING):
        assert prepare_stored([(source_id, path)], data.url, built.config, pose_model)["sources_unopened"] == 1
        raw.delete(key)
        assert prepare_stored([(source_id, path)], data.url, built.config, pose_model)["sources_unopened"] == 1
    assert "has other bytes than when it was listed" in caplog.text
    assert "The object is gone" in caplog.text
    assert list(data.listed()) == []


def test_scratch_of_dead_processes_is_removed_and_of_living_ones_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv(raw_source.SCRATCH, str(tmp_path))
    for pid in ("1", "4194400"):
        (tmp_path / f"longdance-scratch-{pid}" / "x").mkdir(parents=True)
    raw_source.scratch()
    assert (tmp_path / "longdance-scratch-1").is_dir()
    assert not (tmp_path / "longdance-scratch-4194400").exists()


def test_the_scratch_file_of_an_object_has_no_name(raw, job, tmp_path, monkeypatch):
    monkeypatch.setenv(raw_source.SCRATCH, str(tmp_path))
    source_id, path, _ = job
    first, second = raw_source.open_raw(path, source_id), raw_source.open_raw(path, source_id)
    with os.fdopen(first, "rb") as one, os.fdopen(second, "rb") as other:
        one.seek(10)
        assert other.tell() == 0
        assert hashlib.file_digest(other, "sha256").hexdigest() == source_id
    assert [entry for entry in tmp_path.rglob("*") if entry.is_file()] == []

"""A worker that knows a store alone makes the latents that are made in a folder."""

import shutil

from data_catalog.base.large_files import elsewhere
from data_catalog.base.store import Store
from model.data.latents import by_shard
from model.data.samples import read_samples
from model.hosts.encode_latents import LatentsJob, StoredCodec, encode_jobs
from tests.stored import files_below, mirror_with_catalog, objects_below, put_folder


def test_a_shard_is_encoded_from_a_store_into_it_to_the_same_bytes(dataset, bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("LONGDANCE_SCRATCH", str(tmp_path / "scratch"))
    store = Store.at(f"s3://{bucket}/dance")
    put_folder(dataset, store, lambda key: key.parts[0] in ("shards", "codecs"))
    mirror = mirror_with_catalog(store, tmp_path / "mirror", dataset)
    codec = StoredCodec(tuple(objects_below(store, "codecs")), "cpu")
    jobs = [
        LatentsJob(shard, tuple(samples), elsewhere(mirror.folder / "shards" / shard))
        for shard, samples in by_shard(read_samples(mirror.folder))
    ]
    assert len(jobs) == 2
    encode_jobs(jobs, store.url, codec)
    assert objects_below(store, "latents") == files_below(dataset, "latents")
    assert [path for path in (tmp_path / "scratch").rglob("*") if path.is_file()] == []
    encode_jobs(jobs[:1], store.url, codec)  # a worker whose host was given up
    assert objects_below(store, "latents") == files_below(dataset, "latents")


def test_a_shard_is_encoded_in_a_folder_that_all_hosts_see(raw_dataset, dataset, tmp_path):
    data = shutil.copytree(raw_dataset, tmp_path / "data")
    shutil.copytree(dataset / "codecs", data / "codecs")
    codec = StoredCodec(tuple(key for key in files_below(data, "codecs")), "cpu")
    encode_jobs([LatentsJob(shard, tuple(them), None) for shard, them in by_shard(read_samples(data))], data, codec)
    assert files_below(data, "latents") == files_below(dataset, "latents")

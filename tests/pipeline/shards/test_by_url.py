"""webdataset reads a shard by its address as it reads its file."""

import pytest
import webdataset
from webdataset.gopen import gopen_schemes

from data_catalog.base.store import MissingError, Store
from pipeline.shards.by_url import open_shard


def test_webdataset_reads_the_same_samples_by_an_address(built, bucket, monkeypatch):
    monkeypatch.setitem(gopen_schemes, "s3", open_shard)
    store = Store.at(f"s3://{bucket}/dance/shards")
    store.create(built.shard.name, built.shard)

    def samples(url: str) -> list[dict[str, bytes]]:
        return [
            {name: value for name, value in sample.items() if name not in ("__url__", "__local_path__")}
            for sample in webdataset.WebDataset(url, shardshuffle=False)
        ]

    found = samples(f"{store.url}/{built.shard.name}")
    assert found == samples(str(built.shard))
    assert len(found) > 1


def test_what_arrives_in_chunks_is_read_whole(bucket, monkeypatch):
    content = bytes(range(256)) * 1000
    store = Store.at(f"s3://{bucket}/x")
    store.create("a.tar", content)
    with open_shard(f"{store.url}/a.tar") as file:
        assert file.read(10) + file.read() == content
    with open_shard(f"{store.url}/none.tar") as file, pytest.raises(MissingError):
        file.read(1)

"""Latents of a data set in object storage, a shard a task: made once, kept there, and read there by whoever comes."""

import shutil
from contextlib import contextmanager

import pytest

from data_catalog.base.block_cache import block_cache
from data_catalog.base.errors import LongdanceError
from data_catalog.base.lease import KEY
from data_catalog.base.mirror import mirror_of
from data_catalog.base.store import Store
from flows.storage.home import open_home
from flows.storage.latents import encode_by_shards
from model.data.latents import encode_dataset
from pipeline.workers.workers import WorkerDiedError, Workers
from tests.model.dataset import make_dataset, micro_encode
from tests.stored import files_below, objects_below, put_folder


class Calls(Workers):
    """Workers that are function calls, and die so often."""

    def __init__(self, deaths: int = 0) -> None:
        self.count, self.deaths = 2, deaths

    def run(self, work, *arguments):
        if self.deaths:
            self.deaths -= 1
            raise WorkerDiedError("killed")
        return work(*arguments)

    def close(self) -> None:
        """Nothing runs."""


@pytest.fixture
def data(tmp_path):
    """A folder with latents."""
    made = make_dataset(tmp_path / "data")
    encode_dataset(made, micro_encode())
    return made


@pytest.fixture
def store(data, bucket, tmp_path, monkeypatch):
    """The same in a bucket, without them; its catalog is here."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    block_cache.cache_clear()
    made = Store.at(f"s3://{bucket}/dance")
    put_folder(data, made, lambda key: key.parts[0] == "shards")
    mirror_of(made.url).mkdir(parents=True)
    shutil.copy(data / "catalog.duckdb", mirror_of(made.url))
    yield made
    block_cache.cache_clear()


def encode(store: Store, workers: Workers | None) -> tuple[int, int]:
    """(shards that were encoded, calls for workers)."""
    opened = []

    @contextmanager
    def opens():
        opened.append(1)
        yield workers

    with open_home(store) as home:
        result = encode_by_shards(home, micro_encode(), lambda done, total: None, "cpu", "cpu", opens)
    return result.encoded_shards, len(opened)


@pytest.mark.parametrize("workers", [None, Calls(), Calls(deaths=1)])
def test_latents_and_codec_of_a_store_are_those_of_a_folder_and_made_once(store, data, workers):
    assert encode(store, workers) == (2, 1)
    for folder in ("latents", "codecs"):
        assert objects_below(store, folder) == files_below(data, folder)
    assert KEY not in objects_below(store, "")
    assert not [*mirror_of(store.url).rglob("*.f16"), *mirror_of(store.url).rglob("*.tar")]
    shutil.rmtree(mirror_of(store.url) / "latents")  # as on another head
    assert encode(store, workers) == (0, 0)


def test_a_shard_that_kills_its_workers_is_named_in_one_sentence(store):
    with pytest.raises(LongdanceError, match=r"Two workers died at the latents of shard-\d.tar: give them memory"):
        encode(store, Calls(deaths=4))
    assert KEY not in objects_below(store, "")

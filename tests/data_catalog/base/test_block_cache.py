"""Parts of objects come from the disk once they were read, are what the object holds, and take bounded room."""

import os

import pytest

from data_catalog.base import block_cache
from data_catalog.base.block_cache import BlockCache, StoredFile
from data_catalog.base.errors import LongdanceError
from data_catalog.base.store import MissingError, Store, StoreError

BLOCK = 1000
CONTENT = os.urandom(10 * BLOCK + 345)


@pytest.fixture
def store(bucket, monkeypatch):
    monkeypatch.setattr(block_cache, "BLOCK", BLOCK)
    return Store.at(f"s3://{bucket}/shards")


def stored(store: Store, name: str = "one.tar", content: bytes = CONTENT) -> StoredFile:
    store.replace(name, content)
    return StoredFile(store.url, name, len(content), store.read(name)[1])


@pytest.mark.parametrize("limit", [0, 1 << 20])
def test_a_part_is_what_the_object_holds_there(store, tmp_path, limit):
    cache, file = BlockCache(tmp_path, limit), stored(store)
    for offset, length in ((0, 1), (999, 2), (10, 5000), (10 * BLOCK, 345), (0, len(CONTENT)), (7000, 0)):
        assert cache.read(file, offset, length) == CONTENT[offset : offset + length]
    assert cache.read(file, 10 * BLOCK + 300, 100) == CONTENT[10 * BLOCK + 300 :]
    assert cache.read(file, len(CONTENT) + 5, 10) == b""


def test_what_was_read_is_read_again_without_the_store(store, tmp_path):
    cache, file = BlockCache(tmp_path, 1 << 20), stored(store)
    cache.read(file, 2500, 1000)
    store.delete(file.name)
    assert cache.read(file, 2000, 2000) == CONTENT[2000:4000]
    assert BlockCache(tmp_path, 1 << 20).read(file, 2000, 2000) == CONTENT[2000:4000]
    with pytest.raises(MissingError):
        cache.read(file, 4000, 1)


def test_a_block_that_the_disk_has_damaged_is_fetched_again(store, tmp_path, caplog):
    file = stored(store)
    BlockCache(tmp_path, 1 << 20).read(file, 0, 1)
    [block] = [path for path in tmp_path.rglob("*") if path.is_file()]
    for damaged in (block.read_bytes()[:-1], block.read_bytes()[:-1] + b"x", b""):
        block.write_bytes(damaged)
        assert BlockCache(tmp_path, 1 << 20).read(file, 0, BLOCK) == CONTENT[:BLOCK]
    assert caplog.text.count("was damaged: it is fetched again") == 3


def test_an_object_that_has_changed_is_refused_and_its_new_bytes_are_another_file(store, tmp_path):
    cache, old = BlockCache(tmp_path, 1 << 20), stored(store)
    cache.read(old, 0, 10)
    new = stored(store, content=CONTENT[::-1])
    assert cache.read(old, 0, 10) == CONTENT[:10]
    with pytest.raises(StoreError, match="has changed since it was listed"):
        cache.read(old, 5 * BLOCK, 10)
    assert cache.read(new, 0, 10) == CONTENT[::-1][:10]


def test_the_cache_stays_within_its_limit_and_drops_what_was_not_read_for_longest(store, tmp_path):
    limit, often = 20 * BLOCK, stored(store, "often.tar", CONTENT[:BLOCK])
    cache = BlockCache(tmp_path, limit)
    cache.read(often, 0, 1)
    for number in range(8):
        content = bytes([number]) * (5 * BLOCK)
        assert cache.read(stored(store, f"{number}.tar", content), 0, 5 * BLOCK) == content
        cache.read(often, 0, 1)
        size = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
        assert size <= limit + limit // 16 + BLOCK
    store.delete("often.tar", "7.tar", "0.tar")
    assert cache.read(often, 0, BLOCK) == CONTENT[:BLOCK]
    with pytest.raises(MissingError):
        cache.read(StoredFile(store.url, "0.tar", 5 * BLOCK, store_tag(bytes([0]) * (5 * BLOCK))), 0, 1)


def store_tag(content: bytes) -> str:
    """The tag that S3 gives an object put at once."""
    import hashlib

    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


@pytest.mark.parametrize("given", ["much", "-1", "nan"])
def test_a_limit_that_is_no_number_is_refused_in_one_sentence(given, monkeypatch):
    monkeypatch.setenv(block_cache.VARIABLE, given)
    block_cache.block_cache.cache_clear()
    with pytest.raises(LongdanceError, match=f"LONGDANCE_CACHE_GIB is '{given}': expected GiB"):
        block_cache.block_cache()

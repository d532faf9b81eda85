"""A large file is read alike wherever it lies."""

import hashlib
from contextlib import closing

import pytest

from data_catalog.base import block_cache
from data_catalog.base.large_files import open_large, read_part, say_elsewhere, sha256_of, stored_size
from data_catalog.base.store import Store


@pytest.fixture
def folder(bucket, tmp_path, monkeypatch):
    """A mirror that has `here.tar`, and whose store has `there.tar`."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    block_cache.block_cache.cache_clear()
    store, mirror = Store.at(f"s3://{bucket}/data"), tmp_path / "mirror"
    store.create("shards/there.tar", b"0123456789")
    store.create("top", b"top")
    (mirror / "shards").mkdir(parents=True)
    (mirror / "shards" / "here.tar").write_bytes(b"0123456789")
    say_elsewhere(mirror, store.url, store.listed())
    yield mirror
    block_cache.block_cache.cache_clear()


@pytest.mark.parametrize("name", ["here.tar", "there.tar"])
def test_a_file_is_read_by_parts_measured_and_hashed(folder, name):
    path = folder / "shards" / name
    assert stored_size(path) == 10
    assert read_part(path, 3, 4) == b"3456"
    assert read_part(path, 8, 4) == b"89"
    assert sha256_of(path) == hashlib.sha256(b"0123456789").hexdigest()
    view = bytearray(4)
    with closing(open_large(path)) as file:
        assert file.read_into(memoryview(view), 8) == 2
        assert file.read_into(memoryview(view), 2) == 4
    assert view == b"2345"


def test_a_file_at_the_top_of_a_store_is_found(folder):
    assert read_part(folder / "top", 0, 3) == b"top"


def test_what_is_nowhere_is_not_found(folder):
    for path in (folder / "shards" / "none.tar", folder / "none" / "none.tar"):
        for ask in (stored_size, open_large, sha256_of):
            with pytest.raises(FileNotFoundError):
                ask(path)


def test_a_mark_that_was_written_again_holds(folder, bucket):
    assert stored_size(folder / "shards" / "there.tar") == 10
    store = Store.at(f"s3://{bucket}/data")
    store.replace("shards/there.tar", b"other")
    say_elsewhere(folder, store.url, store.listed())
    assert read_part(folder / "shards" / "there.tar", 0, 9) == b"other"
    say_elsewhere(folder, store.url, [])
    with pytest.raises(FileNotFoundError):
        stored_size(folder / "shards" / "there.tar")

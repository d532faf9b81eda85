"""Objects are whole or not there, nobody's is written over, names are data, and nothing secret is said."""

import os

import pytest

from data_catalog.base.errors import LongdanceError
from data_catalog.base.store import MissingError, Store, StoreError
from tests.object_store import KEY_ID, SECRET, environment, failing_before

KEYS = [
    "plain.mp4", "sp ace.mp4", "q'uo\"te.mp4", "x%20y.mp4", "#f?a&b=c.mp4", "é 踊り 💃.mp4", "~t\\b.mp4",
    "$(touch x).mp4",    "w/" + "k" * 200 + "/" + "z" * 700 + ".mp4",
]  # fmt: skip


@pytest.fixture
def store(bucket):
    return Store.at(f"s3://{bucket}/pre/fix/")


def test_an_object_that_is_there_stays(store):
    assert store.create("a", b"first")
    assert not store.create("a", b"second")
    assert store.read("a")[0] == b"first"


def test_a_large_file_is_put_and_fetched_whole_and_never_over_another(store, tmp_path):
    content = os.urandom(1 << 20) * 12
    (tmp_path / "big").write_bytes(content)
    assert store.create("big", tmp_path / "big")
    (tmp_path / "other").write_bytes(content[1:])
    assert not store.create("big", tmp_path / "other")
    store.fetch("big", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content
    assert store.read_range("big", 5 << 20, 100) == content[5 << 20 : (5 << 20) + 100]


def test_an_object_is_swapped_only_for_the_one_that_was_read(store):
    store.create("lease", b"0")
    tag = store.read("lease")[1]
    assert store.swap("lease", b"1", tag)
    assert store.swap("lease", b"2", tag) is None
    assert store.read("lease")[0] == b"1"
    store.delete("lease")
    assert store.swap("lease", b"3", tag) is None


def test_what_is_missing_is_told_and_leaves_no_file(store, tmp_path):
    with pytest.raises(MissingError):
        store.fetch("nothing", tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_data(store, key):
    store.create(key, key.encode())
    [info] = store.listed()
    assert (info.key, info.size) == (key, len(key.encode()))
    assert store.read(info.key)[0] == key.encode()


def test_a_key_that_cannot_be_asked_for_is_one_sentence(store, bucket, s3_address):
    import boto3

    client = boto3.client("s3", endpoint_url=s3_address)
    client.put_object(Bucket=bucket, Key="pre/fix/a/../../up.mp4", Body=b"1")
    with pytest.raises(StoreError, match=r"holds a name with an empty part, `\.\.` or a control character") as caught:
        list(store.listed())
    assert "up.mp4" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["s3://KEY:pa55@raw/x", "s3://raw/x?X-Amz-Signature=pa55", "s3://", "s3:///x", "s3://raw/x#pa55", "s3://a b"]
)
def test_an_address_with_more_than_a_bucket_and_a_prefix_is_refused_and_not_repeated(url):
    with pytest.raises(LongdanceError, match="expected s3://BUCKET/PREFIX") as caught:
        Store.at(url)
    assert "pa55" not in str(caught.value)


def test_a_refusal_of_the_store_is_a_sentence_without_what_it_answered(bucket):
    with pytest.raises(StoreError) as caught:
        list(Store.at("s3://bucket-of-nobody").listed())
    said = str(caught.value)
    assert said.startswith("s3://bucket-of-nobody")
    assert not [word for word in (KEY_ID, SECRET, "http", "<") if word in said]
    assert caught.value.__cause__ is None


def test_a_store_that_fails_now_and_then_is_asked_again(store, s3_address, monkeypatch):
    with failing_before(s3_address, 0.1) as (address, failed):
        monkeypatch.setenv("AWS_ENDPOINT_URL", environment(address)["AWS_ENDPOINT_URL"])
        flaky = Store(store.url)
        for number in range(40):
            assert flaky.create(f"{number}", b"%d" % number)
        assert {info.key for info in flaky.listed()} == {f"{number}" for number in range(40)}
        assert [flaky.read(f"{number}")[0] for number in range(40)] == [b"%d" % number for number in range(40)]
    assert failed[0] > 3

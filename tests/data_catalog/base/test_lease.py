"""One head at a time: who comes second is refused, who is dead is succeeded, who was cut off stops."""

import time

import pytest

from data_catalog.base import lease
from data_catalog.base.errors import LongdanceError
from data_catalog.base.lease import KEY, leased
from data_catalog.base.store import MissingError, Store


@pytest.fixture
def store(bucket, monkeypatch):
    for name, seconds in (("EXPIRY_S", 3.0), ("RENEW_S", 0.3), ("_LOOK_S", 0.1)):
        monkeypatch.setattr(lease, name, seconds)
    return Store.at(f"s3://{bucket}/data")


def test_the_second_is_refused_in_one_sentence_and_the_first_goes_on(store):
    with leased(store) as first:
        with pytest.raises(
            LongdanceError, match=r"Another command is at work in s3://\S+ \(Process \d+ of \S+\): wait"
        ):
            leased(store).__enter__()
        time.sleep(lease.EXPIRY_S)
        first.check()


def test_a_lease_that_was_let_go_of_is_free_at_once_and_leaves_nothing(store):
    with leased(store):
        pass
    with pytest.raises(MissingError):
        store.read(KEY)
    begun = time.monotonic()
    with leased(store):
        assert time.monotonic() - begun < lease.EXPIRY_S


def test_the_lease_of_a_dead_head_is_taken_after_its_expiry_and_not_before(store):
    store.create(KEY, b'{"owner":"host 1 abc","renewed":7}')
    begun = time.monotonic()
    with leased(store) as taken:
        assert time.monotonic() - begun >= lease.EXPIRY_S
        taken.check()


def test_a_damaged_lease_is_taken_too(store):
    store.create(KEY, b"\xff not json")
    with leased(store) as taken:
        taken.check()


def test_a_head_whose_lease_went_to_another_stops_and_leaves_the_others_alone(store):
    with leased(store) as held:
        store.replace(KEY, b'{"owner":"host 2 def","renewed":0}')
        time.sleep(lease.EXPIRY_S)
        with pytest.raises(LongdanceError, match="could not be renewed in time"):
            held.check()
    assert b"host 2 def" in store.read(KEY)[0]

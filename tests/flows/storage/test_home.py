"""One writer at a time in a store; what is said of a mirror names the store."""

import os
import signal
import subprocess
import sys
import time

import pytest

from data_catalog.base.errors import LongdanceError
from data_catalog.base.mirror import mirror_of
from data_catalog.base.store import Store
from data_catalog.connection import needs_rebuild, open_catalog
from flows.storage.home import built_home, open_home


@pytest.fixture
def store(bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Store.at(f"s3://{bucket}/dance")


def test_a_second_head_is_refused_on_this_host_and_on_another(store, tmp_path, monkeypatch):
    with open_home(store):
        with pytest.raises(LongdanceError, match=f"Another command is at work in {store.url}: wait"), open_home(store):
            raise AssertionError
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another host"))
        begin = time.monotonic()
        with pytest.raises(LongdanceError, match=rf"at work in {store.url} \(Process \d+ of"), open_home(store):
            raise AssertionError
        assert time.monotonic() - begin < 30
    with open_home(store):
        pass


def test_an_error_names_the_store_and_not_the_mirror(store):
    with pytest.raises(LongdanceError) as caught, open_home(store) as home:
        raise LongdanceError(f"{home.folder.root} lacks something: encode --data {home.folder.root}.")
    assert str(caught.value) == f"{store.url} lacks something: encode --data {store.url}."


def test_what_nobody_built_is_refused_and_nothing_is_left(store):
    with pytest.raises(LongdanceError, match=f"{store.url} holds no data set: run `longdance build"), built_home(store):
        raise AssertionError
    assert list(store.listed()) == []


def test_records_of_another_host_make_a_rebuild_of_the_catalog_due(store):
    with open_home(store) as home:
        with open_catalog(home.folder.catalog):
            pass
        home.keep()
    with open_home(store) as home:
        assert "Another host" not in str(needs_rebuild(home.folder.catalog))
    store.create("clips/set/a.json", b"{}")
    with open_home(store) as home:
        assert "Another host" in str(needs_rebuild(home.folder.catalog))


HEAD = """
import sys, time
from flows.runners import raise_on_sigint
raise_on_sigint()
from data_catalog.base.store import Store
from flows.storage.home import open_home
with open_home(Store.at(sys.argv[1])):
    print("open", flush=True)
    time.sleep(600)
"""


def test_ctrl_c_lets_go_of_the_lease_at_once(store):
    command = [sys.executable, "-c", HEAD, store.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as head:
        assert head.stdout is not None
        assert head.stdout.readline() == "open\n"
        head.send_signal(signal.SIGINT)
    assert head.returncode == 130
    assert list(store.listed()) == []


@pytest.mark.soak
def test_the_lease_of_a_head_that_was_killed_is_taken_over_after_its_expiry(store):
    command = [sys.executable, "-c", HEAD, store.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as head:
        assert head.stdout is not None
        assert head.stdout.readline() == "open\n"
        os.kill(head.pid, signal.SIGKILL)
    begin = time.monotonic()
    with open_home(store):
        assert 50 < time.monotonic() - begin < 120
    assert mirror_of(store.url).is_dir()

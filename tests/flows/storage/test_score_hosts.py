"""Losses of a data set in object storage, a shard a task: one machine's ledger, and no run stays there."""

import pytest
import torch

from data_catalog.base.block_cache import block_cache
from data_catalog.base.errors import LongdanceError
from data_catalog.base.lease import KEY
from data_catalog.base.mirror import mirror_of
from data_catalog.base.paths import DataFolder
from data_catalog.base.store import Store
from flows.storage.home import Home, open_home
from flows.storage.score_hosts import score_on_hosts
from model.data.latents import encode_dataset
from model.hosts import score_shards
from model.scoring.policy import BankConfig, ScoreConfig
from model.scoring.score import ScoreJob, score
from model.training.train import train
from tests.flows.storage.test_latents import Calls
from tests.model.dataset import QUICK, make_dataset, micro_config, micro_encode
from tests.stored import files_below, mirror_with_catalog, objects_below, put_folder

CONFIG = ScoreConfig(k=4, bank=BankConfig(bins=2), batch=4)


class OneCall(Calls):
    """A worker has one piece of work at a time."""

    def __init__(self, deaths: int = 0) -> None:
        super().__init__(deaths)
        self.count = 1


@pytest.fixture
def data(tmp_path):
    """A folder with latents."""
    torch.set_num_threads(1)
    made = make_dataset(tmp_path / "data", sources=6)
    encode_dataset(made, micro_encode())
    return made


@pytest.fixture
def run(data, tmp_path):
    return train(data, tmp_path / "run", micro_config(**QUICK)).run_dir


@pytest.fixture
def store(data, bucket, tmp_path, monkeypatch):
    """The same in a bucket, with the catalog."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    block_cache.cache_clear()
    score_shards._scorer.cache_clear()
    made = Store.at(f"s3://{bucket}/dance")
    put_folder(data, made)
    mirror_with_catalog(made, mirror_of(made.url), data)
    yield made
    block_cache.cache_clear()


def jobs(run, select="all"):
    return [{"run": run, "config": CONFIG.model_dump(mode="json"), "select": select}]


@pytest.mark.parametrize("deaths", [0, 1])
def test_the_ledger_of_a_store_is_that_of_a_folder_and_no_run_stays_there(store, data, run, tmp_path, deaths):
    score(ScoreJob(data=data, run=run, config=CONFIG))
    said = []
    store.create("work/runs/of-a-head-that-was-killed/run.json", b"{}")
    with open_home(store) as home:
        assert score_on_hosts(home, jobs(run), OneCall(deaths), lambda *done: said.append(done)) == 12
    assert said[-1] == (12, 12)
    assert objects_below(store, "ledger") == files_below(data, "ledger")
    assert len(files_below(data, "ledger")) == 2
    assert objects_below(store, "work") == {}
    assert KEY not in objects_below(store, "")
    with open_home(store) as home:  # all of it is there
        before = objects_below(store, "ledger")
        score_on_hosts(home, jobs(run), OneCall(), lambda *done: None)
        assert objects_below(store, "ledger") == before


def test_what_a_run_saw_is_left_out_on_any_host(store, data, run):
    with open_home(store) as home:
        unseen = score_on_hosts(home, jobs(run, "unseen"), OneCall(), lambda *done: None)
    assert 0 < unseen < 12


def test_a_shared_folder_gets_the_same_ledger(data, run, tmp_path):
    score(ScoreJob(data=data, run=run, config=CONFIG))
    alone = files_below(data, "ledger")
    for path in (data / "ledger").rglob("*.parquet"):
        path.unlink()
    score_on_hosts(Home(DataFolder(data)), jobs(run), OneCall(), lambda *done: None)
    assert files_below(data, "ledger") == alone


def test_a_shard_that_kills_its_workers_is_named_in_one_sentence(store, run):
    with pytest.raises(LongdanceError, match=r"Two workers died at the losses of .*f16"), open_home(store) as home:
        score_on_hosts(home, jobs(run), OneCall(deaths=4), lambda *done: None)
    assert objects_below(store, "work") == {}

"""A training and a scoring of a data set in object storage are those of the folder, bit for bit."""

import shutil

import pytest
import torch

from data_catalog.base.block_cache import block_cache
from data_catalog.base.files import sha256_file
from data_catalog.base.store import Store
from model.data.dataset import LatentReader, load_data
from model.data.latents import is_complete, latents_manifests, verify_latents
from model.errors import DataError
from model.scoring.ledger import fragments
from model.scoring.policy import BankConfig, ScoreConfig
from model.scoring.score import ScoreJob, score
from model.training.train import train
from tests.model.dataset import QUICK, micro_config, micro_encode
from tests.stored import mirror_with_catalog, put_folder


@pytest.fixture
def store(dataset, bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    block_cache.cache_clear()
    made = Store.at(f"s3://{bucket}/dance")
    put_folder(dataset, made)
    yield made
    block_cache.cache_clear()


@pytest.fixture
def mirrored(store, dataset, tmp_path):
    """The mirror's folder."""
    return mirror_with_catalog(store, tmp_path / "mirror", dataset).folder


def test_windows_landmarks_and_checksums_are_read_from_the_store(mirrored, dataset):
    here, there = (LatentReader(load_data(data, micro_encode(), 0.3, pose=True).train) for data in (dataset, mirrored))
    assert not [*mirrored.rglob("*.tar"), *mirrored.rglob("*.f16")]
    for sample in range(len(here.index.samples)):
        for frames in ((0, 1, 2, 7, 8), (24,), tuple(range(25))):
            assert (there.read(sample, frames) == here.read(sample, frames)).all()
        assert (there.landmarks(sample, (3, 8, 24)) == here.landmarks(sample, (3, 8, 24))).all()
    manifests = latents_manifests(mirrored)
    assert len(manifests) == 2
    assert all(is_complete(manifest) and verify_latents(manifest) for manifest in manifests)


def test_a_training_ends_with_the_same_weights(mirrored, dataset, tmp_path):
    runs = [tmp_path / "here", tmp_path / "there"]
    for data, run in zip((dataset, mirrored), runs, strict=True):
        train(data, run, micro_config(**QUICK))
    here, there = (
        {path.name: sha256_file(path) for path in (run / "checkpoints" / "step-00000002").iterdir()} for run in runs
    )
    assert here == there


def test_a_scoring_writes_the_same_ledger(mirrored, dataset, trained, tmp_path):
    data = shutil.copytree(dataset, tmp_path / "data")
    config = ScoreConfig(bank=BankConfig(bins=2, windows=2), k=4, batch=4)
    for place in (data, mirrored):
        score(ScoreJob(data=place, run=trained, config=config))
    here, there = ({path.name: path.read_bytes() for path in fragments(place)} for place in (data, mirrored))
    assert here
    assert here == there


def test_latents_whose_bytes_have_changed_are_not_scored(store, dataset, trained, tmp_path):
    [key, *_] = [info.key for info in store.listed("latents") if info.key.endswith(".f16")]
    content = store.read(key)[0]
    store.replace(key, content[:-1] + bytes([content[-1] ^ 1]))
    mirrored = mirror_with_catalog(store, tmp_path / "mirror", dataset).folder
    with pytest.raises(DataError, match="is not as it was written"), torch.no_grad():
        score(ScoreJob(data=mirrored, run=trained, config=ScoreConfig(bank=BankConfig(bins=2, windows=2), k=2)))

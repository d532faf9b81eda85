"""`longdance encode`, `train` and `score` of a data set in object storage, as a user types them."""

import json
import shutil

import pytest

from data_catalog.base.files import write_json
from data_catalog.base.lease import KEY
from data_catalog.base.mirror import mirror_of
from data_catalog.base.paths import DataFolder
from data_catalog.base.store import Store
from data_catalog.connection import open_catalog
from model.config import EncodeConfig
from model.data.latents import encode_dataset
from pipeline.config import BuildConfig
from tests.flows.test_stored_build import env, everything, longdance  # noqa: F401 (a fixture)
from tests.model.dataset import ENCODE, NETWORK, make_dataset
from tests.object_store import SECRETS
from tests.stored import files_below, objects_below, put_folder

SIZES = [f"--set=encode.{name}={value}" for name, value in ENCODE.items()]
STEPS = 2
NETWORKS = [f"--set=network.{name}={json.dumps(value)}" for name, value in NETWORK.items()]
RUN = ["--set=batch=2", f"--set=steps={STEPS}", "--set=validate_every=50", "--set=sample_every=50", *NETWORKS]


@pytest.fixture
def data(tmp_path):
    """A folder with latents."""
    made = make_dataset(tmp_path / "data")
    encode_dataset(made, EncodeConfig(**ENCODE))
    write_json(DataFolder(made).build_record, {"raw": "", "config": BuildConfig().model_dump(mode="json")})
    return made


def test_latents_a_run_and_its_losses_come_into_the_store(data, env, bucket, tmp_path, monkeypatch):  # noqa: F811
    store, run = Store.at(f"s3://{bucket}/sets/dance"), tmp_path / "run"
    put_folder(data, store, lambda key: key.parts[0] in ("shards", "build.json"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    mirror_of(store.url).mkdir(parents=True)
    shutil.copy(data / "catalog.duckdb", mirror_of(store.url))
    env |= {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(tmp_path / "cache")}

    for words in (
        ("encode", "--data", store.url, *SIZES),
        ("train", "starter", "--data", store.url, "--run", str(run), *SIZES, *RUN),
        ("score", "--data", store.url, "--run", str(run), "--k", "2"),
    ):
        done = longdance(env, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        assert str(mirror_of(store.url)) not in done.stdout + done.stderr
        if words[0] == "encode":
            assert objects_below(store, "latents") == files_below(data, "latents")
        if words[0] == "train":
            assert f"longdance train extrapolation --data {store.url}" in done.stdout
    store.fetch("catalog.duckdb", tmp_path / "asked.duckdb")
    with open_catalog(tmp_path / "asked.duckdb", read_only=True) as con:
        assert con.execute("SELECT status, step FROM runs").fetchall() == [("finished", STEPS)]
        assert con.execute("SELECT count(*) FROM latents").fetchall() == [(8,)]
        assert con.execute("SELECT count(DISTINCT sample_key) FROM losses").fetchall() == [(8,)]

    made = objects_below(store, "")
    assert KEY not in made
    assert {key.partition("/")[0] for key in made} >= {"ledger", "rows", "codecs"}
    written = everything(tmp_path) + b"".join(made.values())
    assert not [secret for secret in SECRETS if secret.encode() in written]


def test_an_address_with_no_data_set_is_one_sentence(env, bucket, tmp_path):  # noqa: F811
    url, run = f"s3://{bucket}/none", tmp_path / "run"
    done = longdance(env, "train", "starter", "--data", url, "--run", str(run))
    assert done.returncode == 2
    [said] = [line for line in done.stderr.splitlines() if line.startswith("longdance: ")]
    assert said == f"longdance: {url} holds no data set: run `longdance build RAW --data {url}` first."
    assert "Traceback" not in done.stderr
    assert not run.exists()
    assert list(Store.at(url).listed()) == []

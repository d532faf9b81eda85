"""`longdance prune`, `versions`, `generate` and `report` of a data set in object storage make what they make of a
folder."""

import pytest
import torch

from data_catalog.base.files import write_json
from data_catalog.base.lease import KEY
from data_catalog.base.mirror import mirror_of
from data_catalog.base.paths import DataFolder
from data_catalog.base.store import Store
from data_catalog.connection import open_catalog
from model.data.latents import encode_dataset
from model.training.train import train
from pipeline.config import BuildConfig
from tests.flows.test_stored_build import env, everything, longdance  # noqa: F401 (a fixture)
from tests.model.dataset import QUICK, make_dataset, micro_config, micro_encode
from tests.object_store import SECRETS
from tests.stored import files_below, mirror_with_catalog, objects_below, put_folder

PRUNE = [
    "--score", "high_loss", "--fraction", "0.2", "--set", "scoring.k=4", "--set", "scoring.bank.bins=2",
    "--set", "policy.motion_strata=2", "--set", "policy.cap=2",
]  # fmt: skip
GENERATE = ["--frames", "16", "--steps", "2", "--plan", "streaming", "--gif-mb", "0"]


@pytest.fixture
def data(tmp_path, request):
    """A folder with latents."""
    made = make_dataset(tmp_path / "data", sources=getattr(request, "param", 6))
    encode_dataset(made, micro_encode())
    write_json(DataFolder(made).build_record, {"raw": "", "config": BuildConfig().model_dump(mode="json")})
    return made


@pytest.fixture
def run(data, tmp_path):
    """A run that makes every frame."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return train(data, tmp_path / "run", micro_config("any", **QUICK)).run_dir
    finally:
        torch.set_num_threads(before)


@pytest.fixture
def store(data, bucket, tmp_path, monkeypatch):
    """The same data set in a bucket; its catalog is here."""
    made = Store.at(f"s3://{bucket}/sets/dance")
    put_folder(data, made)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    mirror_with_catalog(made, mirror_of(made.url), data)
    return made


def test_a_prune_and_a_video_of_a_store_are_those_of_a_folder(data, run, store, env, tmp_path):  # noqa: F811
    env |= {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def both(*words: str) -> tuple[str, str]:
        said = []
        for where, place in (("here", str(data)), ("stored", store.url)):
            done = longdance(env, *(word.replace("WHERE", str(tmp_path / where)) for word in words), "--data", place)
            assert done.returncode == 0, done.stdout + done.stderr
            assert str(mirror_of(store.url)) not in done.stdout + done.stderr
            said.append(done.stdout)
        return said[0], said[1]

    here, stored = both("prune", "--run", str(run), *PRUNE)
    assert here.replace("Versions of data", "Versions of dance").replace(str(data), store.url) == stored
    for folder in ("ledger", "versions", "worth"):
        assert objects_below(store, folder) == files_below(data, folder), folder
    [version] = [path.stem for path in (data / "versions").iterdir()]
    assert all(version in said for said in both("versions"))

    with open_catalog(data / "catalog.duckdb", read_only=True) as con:
        [(clip,)] = con.execute("SELECT min(clip_id) FROM samples").fetchall()
    both("diff", version, version)
    both("export", "data", "WHERE-takeaway", "--to", "hf")
    assert files_below(tmp_path / "here-takeaway", "hf/train") == files_below(tmp_path / "stored-takeaway", "hf/train")
    assert len(objects_below(store, "exports")) == 1
    both("generate", "--runs", str(run), "--clip", clip, "--out", "WHERE.mp4", *GENERATE)
    assert (tmp_path / "here.mp4").read_bytes() == (tmp_path / "stored.mp4").read_bytes()
    store.fetch("catalog.duckdb", tmp_path / "asked.duckdb")
    with open_catalog(tmp_path / "asked.duckdb", read_only=True) as con:
        assert con.execute("SELECT version FROM versions").fetchall() == [(version,)]
        assert con.execute("SELECT path FROM rollouts").fetchall() == [(str(tmp_path / "stored.mp4"),)]

    both("report", "--out", "WHERE.html", "--workers", "1")
    posters = {path.name: path.read_bytes() for path in (tmp_path / "here_files").rglob("*.jpg")}
    assert posters == {path.name: path.read_bytes() for path in (tmp_path / "stored_files").rglob("*.jpg")}
    assert len(posters) == 12

    made = objects_below(store, "")
    assert KEY not in made
    written = everything(tmp_path) + b"".join(made.values())
    assert not [secret for secret in SECRETS if secret.encode() in written]


@pytest.mark.soak
@pytest.mark.parametrize("data", [8], indirect=True)
def test_an_experiment_on_a_store_keeps_its_versions_there(run, store, env, tmp_path):  # noqa: F811
    env |= {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    words = ["experiment", "prune", "--run", str(run), "--data", store.url, "--out", str(tmp_path / "x")]
    done = longdance(env, *words, "--seeds", "1", "--steps", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("# Pruning 10% of dance, any, 2 steps from run")
    assert (tmp_path / "x" / "experiment.md").read_text() in done.stdout
    assert len(objects_below(store, "versions")) >= 3
    assert KEY not in objects_below(store, "")

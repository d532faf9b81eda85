"""`encode`, `train` and `score` of a data set in object storage make what they make of one in a folder."""

import shutil
from pathlib import Path

import pytest

from data_catalog.base.lease import KEY
from data_catalog.base.store import Store
from data_catalog.connection import open_catalog
from tests.flows.conftest import SETTINGS, run_to_end, train, weights
from tests.flows.test_stored_build import env, everything, longdance  # noqa: F401 (a fixture)
from tests.object_store import KEY_ID, SECRET

ENCODE = [f"--set=encode.{name}={value}" for name, value in SETTINGS["encode"].items()]


@pytest.fixture
def stored(data, trained, bucket) -> Store:
    """The data set in a bucket, with its codec and without latents."""
    store = Store.at(f"s3://{bucket}/sets/dance")
    for path in sorted(path for path in data.rglob("*") if path.is_file()):
        key = path.relative_to(data)
        if key.parts[0] not in ("latents", "rows", "ledger") and not path.name.startswith(("catalog", ".")):
            store.create(str(key), path)
    return store


def below(store: Store, folder: str) -> dict[str, bytes]:
    return {info.key: store.read(info.key)[0] for info in store.listed(folder)}


def files_below(data: Path, folder: str) -> dict[str, bytes]:
    files = (path for path in (data / folder).rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(data)): path.read_bytes() for path in files}


def test_latents_weights_and_losses_are_those_of_a_folder(stored, data, trained, env, tmp_path):  # noqa: F811
    env |= {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(tmp_path / "cache"), "LONGDANCE_CACHE_GIB": "0.02"}
    said = longdance(env, "encode", "--data", stored.url, *ENCODE)
    assert said.returncode == 0, said.stderr
    assert "shards_there=0" in said.stdout
    codecs = {path.parent.name for path in (data / "latents").glob("*/*.json")}
    assert len(codecs) == 1
    assert below(stored, "latents") == files_below(data, "latents")
    (mirror,) = (tmp_path / "cache" / "longdance" / "mirrors").iterdir()
    assert not [*mirror.rglob("*.f16"), *mirror.rglob("*.tar")]
    encoded = {info.key: info.modified_ns for info in stored.listed("latents")}

    shutil.rmtree(tmp_path / "cache")  # as on another head
    run = tmp_path / "run"
    done = run_to_end([stored.url if word == str(data) else word for word in train(data, run)], env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert weights(run) == weights(trained)
    assert f"longdance train extrapolation --data {stored.url}" in done.stdout

    local = tmp_path / "local"
    shutil.copytree(data, local)
    for place in (str(local), stored.url):
        scored = longdance(env, "score", "--data", place, "--run", str(trained), "--k", "2")
        assert scored.returncode == 0, scored.stderr
    assert below(stored, "ledger") == files_below(local, "ledger")
    assert below(stored, "ledger")
    assert {info.key: info.modified_ns for info in stored.listed("latents")} == encoded
    stored.fetch("catalog.duckdb", tmp_path / "catalog.duckdb")
    with open_catalog(tmp_path / "catalog.duckdb", read_only=True) as con:
        assert con.execute("SELECT status, step FROM runs").fetchall() == [("finished", SETTINGS["steps"])]
        counted = "SELECT count(*) FROM losses"
        with open_catalog(local / "catalog.duckdb", read_only=True) as other:
            assert con.execute(counted).fetchall() == other.execute(counted).fetchall()

    assert not [info.key for info in stored.listed() if info.key == KEY]
    written = everything(tmp_path) + b"".join(below(stored, "").values()) + everything(Path(env["PREFECT_HOME"]))
    assert not [secret for secret in (KEY_ID, SECRET, "X-Amz", "AWS4-HMAC") if secret.encode() in written]


@pytest.mark.parametrize(
    "words",
    [
        ["encode", "--data", "URL"],
        ["train", "starter", "--data", "URL", "--run", "RUN"],
        ["score", "--data", "URL", "--run", "RUN"],
    ],
)
def test_an_address_with_no_data_set_is_one_sentence(words, env, bucket, tmp_path):  # noqa: F811
    url, run = f"s3://{bucket}/none", str(tmp_path / "run")
    done = longdance(env, *({"URL": url, "RUN": run}.get(word, word) for word in words))
    assert done.returncode == 2
    [said] = [line for line in done.stderr.splitlines() if line.startswith("longdance: ")]
    assert f"{url} holds no data set: run `longdance build RAW --data {url}` first." in said
    assert "Traceback" not in done.stderr
    assert not Path(run).exists()
    assert list(Store.at(url).listed()) == []

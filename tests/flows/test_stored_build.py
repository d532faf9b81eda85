"""`longdance build s3://RAW --data s3://DATA` as a user types it: the same shards as in folders, and no credential."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from data_catalog.base.files import read_json
from data_catalog.base.lease import KEY
from data_catalog.base.store import Store
from tests.flows.conftest import shards_of
from tests.object_store import SECRETS, environment

SMALL = (
    "--frames", "25", "--variants", "2", "--workers", "1", "--set", "crop.shape=128", "--set", "analysis.proxy_px=256",
    "--set", "shards.samples=6",
)  # fmt: skip
"""As `tests.conftest.SMALL`."""
HOSTILE = 'it\'s; DROP TABLE clips --/"{}" {{x}} %s $(id) é\u202e' + 800 * "n" + ".mp4"
"""A key that is data: quotes, commands, a mark that turns text around, close to the 1,024 bytes that S3 takes."""


TAKES_NONE = "this command takes no address in object storage"


def longdance(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", *words], env=env, capture_output=True, text=True, check=False, timeout=600
    )


@pytest.fixture
def env(server, s3_address, tmp_path) -> dict[str, str]:
    """The session's Prefect, a cache and scratch of one's own."""
    own = {"LONGDANCE_SCRATCH": str(tmp_path / "scratch"), "TMPDIR": str(tmp_path / "temp")}
    (tmp_path / "temp").mkdir()
    return server | environment(s3_address) | own


def everything(*folders: Path) -> bytes:
    return b"".join(path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file())


def test_a_build_from_a_bucket_into_one_makes_the_same_shards_and_writes_no_credential(
    built, env, bucket, pose_model, tmp_path
):
    source, stored = Store.at(f"s3://{bucket}/raw"), Store.at(f"s3://{bucket}/sets/dance")
    for number, path in enumerate(Path(os.fsdecode(built.source.path)).parent.iterdir()):
        source.create(HOSTILE.format(number), path)
    env |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "LONGDANCE_POSE_MODEL": str(pose_model)}
    words = ("build", source.url, "--data", stored.url, *SMALL)
    done = longdance(env, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    made = {info.key: stored.read(info.key)[0] for info in stored.listed()}
    shards = {key.removeprefix("shards/"): body for key, body in made.items() if key.startswith("shards/")}
    assert shards == shards_of(built.data.root)
    assert {"build.json", "paths.json", "last_run.json", "catalog.duckdb", "contact_sheet.jpg"} <= set(made)
    assert KEY not in made

    asked = longdance(env, "sql", "SELECT count(*) AS n FROM samples", "--data", stored.url, "--format", "csv")
    assert asked.stdout.split() == ["n", str(len(read_json(built.shard.with_suffix(".json"))["samples"]))]

    for mirrors in (tmp_path / "cache" / "longdance" / "mirrors").iterdir():  # as on another head
        mirrors.rename(tmp_path / "old")
    again = longdance(env, *words)
    assert again.returncode == 0, again.stderr
    assert "frames_decoded" not in again.stdout
    assert "samples_encoded" not in again.stdout
    assert {key: body for key, body in made.items() if "/" in key} == {
        info.key: stored.read(info.key)[0] for info in stored.listed() if "/" in info.key
    }

    good = longdance(env, "verify", "--data", stored.url)
    assert (good.returncode, good.stdout) == (0, "1 shard and 0 of latents checked, 0 problems.\n")
    shard = min(key for key in made if key.endswith(".tar"))
    stored.replace(shard, made[shard][:-1] + b"x")
    bad = longdance(env, "verify", "--data", stored.url, "--quick")
    assert (bad.returncode, bad.stdout.count("its sha256 is ")) == (1, 1), bad.stdout

    written = b"".join(made.values()) + everything(tmp_path) + everything(Path(env["PREFECT_HOME"]))
    said = (done.stdout + done.stderr + again.stdout + again.stderr).encode()
    assert not [secret for secret in SECRETS if secret.encode() in written + said]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["build", "s3://KEY:pa55@raw", "--data", "OUT"], "expected s3://BUCKET/PREFIX"),
        (["build", "s3://no-such-bucket-at-all", "--data", "OUT"], "s3://no-such-bucket-at-all"),
        (["build", "s3://{bucket}/empty", "--data", "OUT"], "holds no file"),
        (["sql", "SELECT 1", "--data", "s3://{bucket}/none"], "holds no data set: run `longdance build"),
        (["train", "starter", "--data", "s3://{bucket}/none", "--run", "s3://{bucket}/run"], "is kept in a folder of"),
        (["report", "--data", "s3://{bucket}/none"], "name one with --out"),
        (["report", "--data", "s3://{bucket}/none", "--out", "OUT"], "holds no data set: run `longdance build"),
        (["verify", "--data", "s3://{bucket}/none"], "holds no data set: run `longdance build"),
        (["diff", "a", "b", "--data", "s3://{bucket}/none"], "holds no data set: run `longdance build"),
        (["export", "data", "OUT", "--to", "hf", "--data", "s3://{bucket}/none"], "holds no data set: run `longdance"),
        (["export", "--run", "s3://{bucket}/run", "--out", "OUT"], "is kept in a folder of"),
        (["serve", "--data", "s3://{bucket}/none"], f"{TAKES_NONE}: copy the data set to a folder with your store's"),
        (["forget", "x", "--why", "y", "--data", "s3://{bucket}/none"], "removing from it what the folder no longer"),
        (["caption", "--endpoint", "http://x/v1", "--model", "m", "--data", "s3://{bucket}/none"], TAKES_NONE),
        (["measure", "taste", "--with", "learnt", "--data", "s3://{bucket}/none"], TAKES_NONE),
        (["calibrate", "--run", "OUT", "--data", "s3://{bucket}/none"], TAKES_NONE),
        (["choreograph", "--run", "OUT", "--out", "OUT", "--data", "s3://{bucket}/none"], TAKES_NONE),
        (["catalog", "rebuild", "--data", "s3://{bucket}/none"], TAKES_NONE),
        (["bench", "OUT", "--against", "s3://{bucket}/none"], "is kept in a folder of"),
        (["prune", "--run", "OUT", "--dry-run", "--data", "s3://{bucket}/none"], "--dry-run looks at a data set in a"),
    ],
)
def test_a_mistake_with_an_address_is_one_sentence(words, sentence, env, bucket, tmp_path):
    done = longdance(env, *(word.format(bucket=bucket) if word != "OUT" else str(tmp_path / "out") for word in words))
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert "pa55" not in done.stderr
    assert not (tmp_path / "out").exists()

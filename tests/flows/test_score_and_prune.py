"""The flow `score-and-prune` as a user runs it: killed anywhere and run again, it ends with the same version."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import torch

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import read_json, sealed, sha256_file, write_json
from data_catalog.base.paths import DataFolder
from data_catalog.connection import open_catalog
from data_catalog.writes import merge_tables
from flows.catalog.scoring_rows import restore_evidence
from flows.report.version_diff import mass
from flows.score_and_prune import LEAKS, check_leaks, prune_in
from flows.storage.home import built_home
from model.data.latents import encode_dataset
from model.scoring.ledger import fragments, read_fragment
from model.scoring.policy import BankConfig, ScoreConfig
from model.scoring.request import prune_request
from model.scoring.score import ScoreJob, score
from model.training.train import train
from tests.flows.shown import serving
from tests.model.dataset import make_dataset, micro_config, micro_encode

STEPS = 4
QUIET = {"steps": STEPS, "checkpoint_every": 2, "sample_every": 50, "validate_every": 50}
PRUNE = [
    "--score", "rho", "--fraction", "0.2", "--set", "policy.motion_strata=2", "--set", "policy.cap=2",
    "--set", "scoring.k=4", "--set", "scoring.bank.bins=2", "--set", "scoring.batch=4",
    "--set", "scoring.reliability=0.999", "--set", "scoring.most_k=16",
]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an encoded data set of 10 sources and a trained run. Copied, never changed."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("prune")
    data = make_dataset(root / "data", sources=10)
    encode_dataset(data, micro_encode())
    train(data, root / "starter", micro_config(**QUIET))
    return root


def prune(root: Path, *more: str) -> list[str]:
    command = [sys.executable, "-m", "flows.cli", "prune", "--data", str(root / "data")]
    return [*command, "--run", str(root / "starter"), *PRUNE, *more]


def finish(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=env | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False)


def said(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that longdance itself ends with; Prefect may say something after it."""
    [line] = [line for line in done.stderr.splitlines() if line.startswith("longdance: ")]
    return line


def made(root: Path) -> dict[str, dict[str, Any]]:
    """Versions by name, folds too: their content without the ids of runs, which are drawn again."""
    found = {path.stem: read_json(path) for path in sorted((root / "data" / "versions").glob("*.json"))}
    for version in found.values():
        version["policy"].pop("runs", None)
    return found


def rows(root: Path, sql: str) -> list[Any]:
    with open_catalog(root / "data" / "catalog.duckdb", read_only=True) as con:
        return con.execute(sql).fetchall()


@pytest.fixture(scope="module")
def pruned(whole: Path, server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after a prune that nothing disturbed. Copied, never changed."""
    root = Path(shutil.copytree(whole, tmp_path_factory.mktemp("pruned") / "root"))
    done = finish(prune(root), server)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Spearman-Brown" in done.stdout
    return root


def test_a_prune_leaves_a_version_its_reasons_and_no_leak_and_killed_and_rerun_makes_the_same(
    whole, pruned, server, tmp_path
):
    first, second = pruned, Path(shutil.copytree(whole, tmp_path / "second"))
    names = list(made(first))
    rho = next(name for name in names if "rho" in name)
    assert len([name for name in names if name.startswith("fold")]) == 2
    version = made(first)[rho]
    # one of five of the judged samples is gone, the hold-out is all there, nothing was deleted from the disk
    judged = rows(first, "SELECT count(*) FROM worth")[0][0]
    assert len(version["samples"]) == 20 - judged // 5
    gone = rows(first, version["policy"]["sql"])
    assert sorted(key for (key,) in gone) == sorted(
        {key for (key,) in rows(first, "SELECT sample_key FROM samples")} - {key for key, *_ in version["samples"]}
    )
    assert rows(first, "SELECT count(*) FROM samples") == [(20,)]
    assert {run for (run,) in rows(first, "SELECT DISTINCT run FROM losses")} == {
        run for (run,) in rows(first, "SELECT DISTINCT run FROM runs")
    } | {read_json(whole / "starter" / "run.json")["run_id"]}
    # the same in another place, killed while it trained a fold and in an adaptive round of scoring
    assert list(first.glob("data/ledger/*/*/*-0004-*.parquet"))
    for wanted in ("starter-fold0*/checkpoints/step-*", "data/ledger/*/*/*-0004-*.parquet"):
        kill_when(prune(second), server, second, wanted)
    done = finish(prune(second), server)
    assert done.returncode == 0, done.stdout + done.stderr
    assert made(second) == made(first)


def test_a_version_made_after_marks_on_the_served_page_honours_them(whole, server, tmp_path):
    root = Path(shutil.copytree(whole, tmp_path / "root"))
    command = prune(root)
    command[command.index("rho")] = "random"
    command[command.index("0.2")] = "0.5"
    assert finish([*command, "--name", "before"], server).returncode == 0
    before = {key.removesuffix("v0") for key, *_ in made(root)["before"]["samples"]}
    dropped, kept = sorted(before)[0], sorted({clip for (clip,) in rows(root, "SELECT clip_id FROM clips")} - before)
    with serving(DataFolder(root / "data")) as (address, token):
        for decision, clips in (("drop", [dropped]), ("keep", kept)):
            body = json.dumps({"clips": clips, "decision": decision, "why": ""}).encode()
            headers = {"Origin": address, "X-Longdance-Token": token, "Content-Type": "application/json"}
            request = urllib.request.Request(f"{address}/api/decisions", body, headers)
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert answer.status == 200
    for name, more in (("child", ["--parent", "before"]), ("after", [])):
        done = finish([*command, "--name", name, *more], server)
        assert done.returncode == 0, done.stdout + done.stderr
    versions = made(root)
    child, after = ({key.removesuffix("v0") for key, *_ in versions[name]["samples"]} for name in ("child", "after"))
    assert dropped not in child | after
    assert child < before
    assert set(kept) <= after
    assert versions["after"]["policy"]["decisions"] == {dropped: "drop", **dict.fromkeys(kept, "keep")}
    assert versions["after"]["hash"] != versions["before"]["hash"]


def kill_when(command: list[str], env: dict[str, str], root: Path, wanted: str) -> None:
    process = subprocess.Popen(
        command, env=env | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 240
    while not list(root.glob(wanted)) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.poll() is None, "it ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_training_goes_on_on_the_version_by_a_fork_and_a_version_cannot_be_changed_otherwise(whole, server, tmp_path):
    root = Path(shutil.copytree(whole, tmp_path / "root"))
    command = [*prune(root), "--then-train", "--then-steps", "2"]
    command[command.index("rho")] = "high_loss"
    command += ["--name", "hard", "--format", "json"]
    done = finish(command, server)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert [row["version"] for row in told] == ["all good clips", "hard"]
    assert told[1]["samples"] == len(made(root)["hard"]["samples"])
    child, parent = read_json(root / "starter-hard" / "run.json"), read_json(root / "starter" / "run.json")
    assert child["parent"]["run_id"] == parent["run_id"]
    assert child["parent"]["kind"] == "fork"
    assert rows(root, "SELECT version, step FROM runs WHERE version IS NOT NULL") == [("hard", STEPS + 2)]
    lines = [json.loads(line) for line in (root / "starter-hard" / "metrics.jsonl").read_text().splitlines()]
    seen = {key for line in lines for key in line.get("samples", [])}
    assert seen
    assert seen <= {key for key, *_ in made(root)["hard"]["samples"]}
    changed = micro_config(**QUIET, version="hard")
    with pytest.raises(LongdanceError, match=r"config.version: None before, 'hard' now.*--fork"):
        train(root / "data", root / "starter", changed)


def test_a_mistake_ends_in_one_sentence_and_exit_code_2(whole, server, tmp_path):
    root = Path(shutil.copytree(whole, tmp_path / "root"))
    done = finish(prune(root, "--parent", "none-such"), server)
    assert done.returncode == 2
    assert "Unknown version 'none-such'" in said(done)
    assert not (root / "data" / "ledger").exists()


def test_every_mistake_is_refused_before_anything_is_measured(whole, tmp_path):
    root = Path(shutil.copytree(whole, tmp_path / "root"))
    right = {"score": "rho", "fraction": 0.2, "motion_strata": 2, "cap": 2}
    for changes, words in (
        ({"policy": right | {"fraction": 1.5}}, "fraction"),
        ({"runs": (tmp_path / "none",)}, "is not a run"),
        ({"irreducible": (tmp_path / "none",)}, "is not a run"),
        ({"name": "no/name"}, "'no/name' is not one"),
        ({"policy": right | {"motion_strata": 100}}, "leave one of them empty"),
        ({"runs": (root / "starter", root / "starter")}, "are of one stage"),
    ):
        asked = {"data": root / "data", "runs": (root / "starter",), "policy": right, **changes}
        with pytest.raises(LongdanceError, match=words), built_home(root / "data") as home:
            prune_in(home, prune_request(**asked))
    assert not (root / "data" / "ledger").exists()


def test_a_leak_stops_the_flow(whole, tmp_path):
    root = Path(shutil.copytree(whole, tmp_path / "root"))
    worth = {"evidence": "e", "sample_key": "s3c0v0", "irreducible_runs": ["run-a"]}
    for version, source, leaks in (("clean", "s4c0v0", False), ("dirty", "s3c1v0", True)):
        run = f"run-{version}"
        with open_catalog(root / "data" / "catalog.duckdb") as con:
            of_key = "SELECT source_id FROM samples JOIN clips USING (clip_id) WHERE sample_key = ?"
            [(seen,)] = con.execute(of_key, [source]).fetchall()
            tables = {"worth": [worth | {"evidence": version, "irreducible_runs": [run]}]}
            merge_tables(con, tables | {"run_sources": [{"run": run, "source_id": seen}]})
        if leaks:
            with pytest.raises(LongdanceError, match="that is a leak"):
                check_leaks(root / "data", version)
        else:
            check_leaks(root / "data", version)
    assert "irreducible_runs" in LEAKS


def test_a_lost_catalog_gets_its_evidence_back_from_the_disk(pruned, tmp_path):
    root = Path(shutil.copytree(pruned, tmp_path / "root"))
    rho = next(name for name in made(root) if "rho" in name)
    views = ("losses", "ledgers", "worth", "versions", "version_samples")
    before = {view: sorted(rows(root, f"FROM {view}"), key=repr) for view in views}
    assert all(before.values())
    with open_catalog(root / "data" / "catalog.duckdb") as con:
        for table in ("loss_rows", "ledger_rows", "worth_rows", "version_rows", "version_sample_rows"):
            con.execute(f"DELETE FROM {table}")
    restore_evidence(root / "data")
    assert {view: sorted(rows(root, f"FROM {view}"), key=repr) for view in views} == before
    with open_catalog(root / "data" / "catalog.duckdb", read_only=True) as con:
        assert mass(con, rho)["samples"] == len(made(root)[rho]["samples"])


def test_a_fragment_measured_again_and_other_latents_cost_a_lost_catalog_nothing(whole, tmp_path):
    root = Path(shutil.copytree(whole, tmp_path / "root"))
    data, config = root / "data", ScoreConfig(bank=BankConfig(bins=2, windows=2), k=4)
    for k in (4, 8):
        score(ScoreJob(data=data, run=root / "starter", config=config.model_copy(update={"k": k})))
    first = next(path for path in fragments(data) if "-0000-0004-" in path.name)
    first.write_bytes(first.read_bytes()[:300])
    score(ScoreJob(data=data, run=root / "starter", config=config.model_copy(update={"k": 8})))
    expected = {(row["sample_key"], row["k"]): row["loss"] for p in fragments(data) for row in _rows_of(p)}
    for path in (data / "latents").glob("*/*.f16"):  # the data set is encoded again, with other bytes
        content = bytearray(path.read_bytes())
        content[1] ^= 1
        path.write_bytes(content)
        manifest = read_json(path.with_suffix(".json"))
        write_json(path.with_suffix(".json"), sealed(manifest | {"sha256": sha256_file(path)}))
    score(ScoreJob(data=data, run=root / "starter", config=config.model_copy(update={"k": 8})))
    now = {r["sha256"] for r in map(read_json, (data / "latents").glob("*/*.json"))}
    current = [p for p in fragments(data) if read_fragment(p)[0]["latents"] in now]
    expected |= {(row["sample_key"], row["k"]): row["loss"] for p in current for row in _rows_of(p)}
    restore_evidence(data)
    found = rows(root, "SELECT sample_key, k, loss FROM losses")
    assert {(key, k): loss for key, k, loss in found} == expected
    assert len(found) == len(expected)


def _rows_of(path: Path) -> list[dict[str, Any]]:
    return list(read_fragment(path)[1].to_pylist())

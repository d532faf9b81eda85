"""Losses are facts: the same bits whatever the order, the number of workers, a kill in between."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from data_catalog.connection import open_catalog
from data_catalog.writes import merge_tables
from model.config import EncodeConfig
from model.data.dataset import load_data
from model.data.latents import encode_dataset
from model.data.samples import read_samples
from model.errors import CodecError, DataError, PolicyError, RunError
from model.runs.run import run_checkpoint
from model.scoring.ledger import catalog_rows, fragments, read_fragment
from model.scoring.policy import BankConfig, ScoreConfig, score_config
from model.scoring.score import ScoreJob, Scorer, score
from tests.model.dataset import make_dataset, micro_config, micro_encode
from tests.model.training.test_distributed import launch

CONFIG = ScoreConfig(bank=BankConfig(bins=2, windows=2), k=8, batch=4)


@pytest.fixture
def data(dataset: Path, tmp_path: Path) -> Path:
    """A copy that a ledger can be written into."""
    return Path(shutil.copytree(dataset, tmp_path / "data"))


def job(data: Path, run: Path, **settings: object) -> ScoreJob:
    return ScoreJob.model_validate({"data": data, "run": run, "config": CONFIG, **settings})


def ledger(data: Path) -> dict[str, bytes]:
    return {str(path.relative_to(data)): path.read_bytes() for path in fragments(data)}


def losses(data: Path) -> dict[tuple[str, int], float]:
    found = {}
    for path in fragments(data):
        rows = read_fragment(path)[1].to_pylist()
        found.update({(row["sample_key"], row["k"]): row["loss"] for row in rows})
    return found


def test_how_much_changes_is_the_variance_over_time_of_a_clips_latents(data, trained):
    scorer = Scorer(job(data, trained), torch.device("cpu"))
    windows = [scorer.bank.window(k, scorer.reader.index.samples[0].frames) for k in range(0, 8, 2)]
    frames = sorted({frame for window in windows for frame in window.frames})
    latents = scorer.reader.read(0, frames).astype(float)
    assert scorer.change(0) == pytest.approx(((latents - latents.mean(0)) ** 2).mean())
    assert scorer.change(0) > 0


def test_a_run_of_another_data_set_is_scored_once_that_is_encoded_as_it_is_told(trained, tmp_path):
    other = make_dataset(tmp_path / "other", sources=3)
    encode_dataset(other, micro_encode())
    with pytest.raises(CodecError, match="encode with its own by") as refused:
        Scorer(job(other, trained), torch.device("cpu"))
    told = dict(re.findall(r"--set encode\.(\w+)=([^\s]+?)(?=\.?(?:\s|$))", str(refused.value)))
    encode_dataset(other, EncodeConfig(**told))
    score(job(other, trained))
    assert {key for key, _ in losses(other)} == {sample.key for sample in read_samples(other)}


def write_job(tmp_path: Path, wanted: ScoreJob) -> Path:
    path = tmp_path / "jobs.json"
    path.write_text(f"[{wanted.model_dump_json()}]")
    return path


def test_every_good_sample_has_its_k_losses_and_a_second_call_computes_nothing(data, trained, monkeypatch):
    score(job(data, trained))
    found = losses(data)
    keys = {sample.key for sample in read_samples(data)}
    assert set(found) == {(key, k) for key in keys for k in range(8)}
    assert all(np.isfinite(list(found.values())))
    before = {path: path.stat().st_mtime_ns for path in fragments(data)}
    monkeypatch.setattr(Scorer, "losses", lambda *_: pytest.fail("scored twice"))
    score(job(data, trained))
    assert {path: path.stat().st_mtime_ns for path in fragments(data)} == before


def test_the_same_bits_by_one_process_by_two_and_in_another_order(data, trained, tmp_path):
    score(job(data, trained))
    one = ledger(data)
    shutil.rmtree(data / "ledger")
    for rank in (1, 0):
        score(job(data, trained), rank=rank, processes=2)
    assert ledger(data) == one
    shutil.rmtree(data / "ledger")
    command = launch(data, trained, write_job(tmp_path, job(data, trained)), 2)
    program = [
        *command[: command.index("model.training.train")],
        "model.scoring.score",
        "--jobs",
        str(tmp_path / "jobs.json"),
    ]
    done = subprocess.run(program, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-2000:]
    assert ledger(data) == one


def test_killed_in_between_and_run_again_the_same_bits_and_no_half_file(data, trained, tmp_path):
    score(job(data, trained))
    whole = ledger(data)
    shutil.rmtree(data / "ledger")
    command = [sys.executable, "-m", "model.scoring.score", "--jobs", str(write_job(tmp_path, job(data, trained)))]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"})
    while not ledger(data) and child.poll() is None:
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert len(ledger(data)) >= 1
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) | {"run": ""} == {
        "kind": "scored",
        "run": "",
        "done": 8,
        "total": 8,
    }
    assert ledger(data) == whole
    assert not list(data.rglob(".tmp-*"))


def test_a_fragment_that_lost_its_end_is_scored_again(data, trained):
    score(job(data, trained))
    whole, path = ledger(data), next(fragments(data))
    path.write_bytes(path.read_bytes()[:-40])
    score(job(data, trained))
    assert ledger(data) == whole


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_the_batch_size_changes_no_loss_by_more_than_1e_5(data, trained, batch):
    score(job(data, trained))
    first = losses(data)
    shutil.rmtree(data / "ledger")
    score(job(data, trained, config=CONFIG.model_copy(update={"batch": batch})))
    again = losses(data)
    assert max(abs(again[at] / first[at] - 1) for at in first) < 1e-5


def test_more_k_for_some_samples_begins_where_the_first_ended_with_the_same_bits(data, trained):
    score(job(data, trained))
    score(job(data, trained, config=CONFIG.model_copy(update={"k": 16}), keys=("s0c0v0", "s1c1v0")))
    apart = losses(data)
    assert sum(k >= 8 for _, k in apart) == 16
    shutil.rmtree(data / "ledger")
    score(job(data, trained, config=CONFIG.model_copy(update={"k": 16})))
    whole = losses(data)
    assert all(whole[at] == loss for at, loss in apart.items())


def test_unseen_leaves_out_every_source_that_the_run_was_trained_on(data, trained):
    score(job(data, trained, select="unseen"))
    config = micro_config()
    held = {sample.key for sample in load_data(data, micro_encode(), config.holdout).holdout.samples}
    assert {key for key, _ in losses(data)} == held


def test_the_averaged_weights_are_scored_in_eval_mode(data, trained):
    scorer = Scorer(job(data, trained), torch.device("cpu"))
    assert not any(module.training for module in scorer.network.modules())
    state = dict(scorer.network.named_parameters())
    from model.runs.checkpoint import load_checkpoint

    for name, average in load_checkpoint(run_checkpoint(trained)).tensors["ema"].items():
        assert torch.equal(state[name], average)


def test_fragments_become_rows_of_the_catalog_and_again_change_nothing(data, trained):
    paths = score(job(data, trained))
    ledgers, rows = catalog_rows(data, paths)
    for _ in range(2):
        with open_catalog(data / "catalog.duckdb") as con:
            merge_tables(con, {"ledgers": ledgers, "losses": rows})
            [(count, runs, bins)] = con.execute(
                "SELECT count(*), count(DISTINCT run), count(DISTINCT bin) FROM losses"
            ).fetchall()
        assert (count, runs, bins) == (64, 1, 2)


def test_mistakes_are_one_sentence(data, tmp_path, trained):
    with pytest.raises(RunError, match="is not a run"):
        score(job(data, tmp_path / "none"))
    for wrong in ({"k": 7}, {"most_k": 5}, {"most_k": 10**9}):
        with pytest.raises(PolicyError, match="k"):
            score_config(**wrong)
    latents = next(data.glob("latents/*/*.f16"))
    content = bytearray(latents.read_bytes())
    content[100] ^= 1
    latents.write_bytes(content)
    with pytest.raises(DataError, match=r"not as it was written.*longdance encode"):
        score(job(data, trained))

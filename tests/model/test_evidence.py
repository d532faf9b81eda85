"""Evidence refuses what does not belong together."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from model.errors import DataError, LedgerError, RunError
from model.evidence import weigh
from model.ledger import fragments, read_fragment
from model.measured import RunRef, judged_samples, read_losses, require_holdout
from model.policy import BankConfig, ScoreConfig, policy
from model.score import ScoreJob, score
from tests.model.dataset import micro_config

CONFIG = ScoreConfig(bank=BankConfig(bins=2, windows=2), k=4)
HIGH = policy(score="high_loss", strata=())


@pytest.fixture
def data(dataset: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(dataset, tmp_path / "data"))


def test_losses_come_back_as_they_were_written_by_sample_and_k(data, trained):
    score(ScoreJob(data=data, run=trained, config=CONFIG))
    run = RunRef.of(trained)
    keys = judged_samples(data, run.config, None).keys
    found = read_losses(data, run, CONFIG.bank.hash[:16], keys, 64)
    matrix = found.values_NK
    assert np.isnan(matrix[:, 4:]).all()
    rows = [row for path in fragments(data) for row in read_fragment(path)[1].to_pylist()]
    for row in rows:
        if row["sample_key"] in keys:
            place = keys.index(row["sample_key"])
            assert (matrix[place, row["k"]], found.change_N[place]) == (row["loss"], row["change"])


def test_the_same_ledger_is_the_same_evidence(data, trained):
    score(ScoreJob(data=data, run=trained, config=CONFIG))
    run = RunRef.of(trained)
    samples = judged_samples(data, run.config, None)
    found = [weigh(data, run, [], CONFIG, HIGH, samples) for _ in range(2)]
    assert found[0].id == found[1].id
    assert found[0].rows.equals(found[1].rows)
    other = weigh(data, run, [], CONFIG, HIGH.model_copy(update={"fraction": 0.3}), samples)
    assert other.id != found[0].id


def test_a_ledger_that_is_empty_of_another_bank_or_of_other_latents_is_refused(data, trained):
    run = RunRef.of(trained)
    samples = judged_samples(data, run.config, None)
    with pytest.raises(LedgerError, match="is empty"):
        weigh(data, run, [], CONFIG, HIGH, samples)
    score(ScoreJob(data=data, run=trained, config=CONFIG))
    other = CONFIG.model_copy(update={"bank": BankConfig(bins=2, windows=2, seed=1)})
    with pytest.raises(LedgerError, match="under bank"):
        weigh(data, run, [], other, HIGH, samples)
    for path in (data / "latents").glob("*/*.json"):
        path.write_text(path.read_text().replace('"sha256":"', '"sha256":"0'))
    with pytest.raises(LedgerError, match="on latents that have changed"):
        weigh(data, run, [], CONFIG, HIGH, samples)


def test_an_irreducible_run_must_say_what_it_was_trained_on_and_a_hold_out_must_be_there(data, trained):
    score(ScoreJob(data=data, run=trained, config=CONFIG))
    run = RunRef.of(trained)
    samples = judged_samples(data, run.config, None)
    with pytest.raises(RunError, match="without a version"):
        weigh(data, run, [run], CONFIG, policy(score="rho", strata=()), samples)
    with pytest.raises(DataError, match=r"No source of .* is held out"):
        require_holdout(data, micro_config(holdout=0))
    with pytest.raises(RunError, match="is no run"):
        RunRef.of(data)

"""The rounds of an adaptive measuring follow from the inputs, not from what a ledger holds or where a kill fell."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from model.runs.run import Run
from model.scoring.ledger import fragments, read_fragment
from model.scoring.policy import BankConfig, ScoreConfig, policy
from model.scoring.rounds import score_in_rounds
from model.scoring.score import ScoreJob, score
from model.scoring.score_table import ScoreTable
from model.scoring.scored_losses import scored_samples

CONFIG = ScoreConfig(bank=BankConfig(bins=2, windows=2), k=4, batch=4, reliability=0.999, most_k=16)
HIGH = policy(score="high_loss", fraction=0.5, strata=())


class KilledError(Exception):
    """Stands for a kill."""


@pytest.fixture
def data(dataset: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(dataset, tmp_path / "data"))


@pytest.fixture(autouse=True)
def _few_anchors(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a handful of samples has some that are not measured again."""
    monkeypatch.setattr("model.scoring.score_table._REFERENCE_COUNT", 1)


def measured(data: Path, run: Path, config: ScoreConfig, dies_at: int = 0) -> tuple[ScoreTable, ScoreTable, list[int]]:
    """What the rounds end with, and how many losses each measured."""
    ref, asked = Run.open(run), []

    def measure(k: int, keys: Sequence[str] | None) -> None:
        asked.append(k)
        job = ScoreJob.model_validate({"data": data, "run": run, "config": config.model_copy(update={"k": k})})
        score(job.model_copy(update={"keys": None if keys is None else tuple(keys)}))
        if len(asked) == dies_at:
            for path in [path for path in fragments(data) if read_fragment(path)[0]["last"] == k][:1]:
                path.unlink()  # killed before its last fragment
            raise KilledError

    return *score_in_rounds(data, ref, [], config, HIGH, scored_samples(data, ref.config, None), measure), asked


def test_more_is_measured_near_the_cut_alone_until_it_is_reliable_or_the_most_is_reached(data, trained):
    first, last, asked = measured(data, trained, CONFIG)
    assert asked[0] == 4
    assert asked[-1] == 16
    assert asked == sorted(set(asked))
    depth = dict(zip(last.keys, last.rows["k"].to_pylist()))
    assert {key for key, k in depth.items() if k == 16} == {*first.near, *last.reference_samples}
    assert set(depth.values()) == {4, 16}
    assert last.near == first.near
    assert last.losses == sum(depth.values())
    assert last.reliability == first.reliability  # that at the default K
    assert measured(data, trained, CONFIG.model_copy(update={"adaptive": False}))[2] == [4]


@pytest.mark.parametrize("dies_at", [1, 2])
def test_killed_in_any_round_and_run_again_the_evidence_is_the_same(data, trained, tmp_path, dies_at):
    other = Path(shutil.copytree(data, tmp_path / "other"))
    _, whole, _ = measured(data, trained, CONFIG)
    with pytest.raises(KilledError):
        measured(other, trained, CONFIG, dies_at)
    _, again, _ = measured(other, trained, CONFIG)
    assert again.id == whole.id
    assert again.rows.equals(whole.rows)


def test_a_ledger_that_holds_more_changes_nothing(data, trained, tmp_path):
    other = Path(shutil.copytree(data, tmp_path / "other"))
    score(ScoreJob(data=other, run=trained, config=CONFIG.model_copy(update={"k": 32})))
    before = len(list(fragments(other)))
    first, whole, _ = measured(data, trained, CONFIG)
    first_too, again, _ = measured(other, trained, CONFIG)
    assert (again.id, first_too.id) == (whole.id, first.id)
    assert again.rows.equals(whole.rows)
    assert len(list(fragments(other))) == before  # all was there


def test_other_losses_are_other_evidence_only_where_something_was_asked_otherwise(data, trained):
    ids = {measured(data, trained, config)[1].id for config in (CONFIG, CONFIG.model_copy(update={"most_k": 8}))}
    assert len(ids) == 2

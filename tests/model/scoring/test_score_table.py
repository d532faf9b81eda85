"""ScoreTable refuses what does not belong together."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from data_catalog.base.files import read_json
from data_catalog.connection import open_catalog
from data_catalog.views import set_thresholds
from data_catalog.writes import merge_decisions
from model.data.samples import read_samples
from model.data.versions import Version, version_of, write_version
from model.errors import DataError, LedgerError, RunError, VersionError
from model.runs.run import Run
from model.scoring.ledger import fragments, in_order, read_fragment
from model.scoring.policy import BankConfig, ScoreConfig, policy
from model.scoring.score import ScoreJob, score
from model.scoring.score_table import make_score_table, policy_record, version_samples
from model.scoring.scored_losses import LossCounts, read_losses, require_holdout, scored_samples
from tests.model.dataset import micro_config

CONFIG = ScoreConfig(bank=BankConfig(bins=2, windows=2), k=4)
HIGH = policy(score="high_loss", strata=())


@pytest.fixture
def data(dataset: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(dataset, tmp_path / "data"))


def test_losses_come_back_as_they_were_written_by_sample_and_k(data, trained):
    score(ScoreJob(data=data, run=trained, config=CONFIG))
    run = Run.open(trained)
    keys = scored_samples(data, run.config, None).keys
    found = read_losses(data, run, CONFIG.bank.hash[:16], keys, LossCounts(4, 8, frozenset(keys[:1])))
    matrix = found.values_NK
    assert matrix.shape == (len(keys), 8)
    assert np.isnan(matrix[:, 4:]).all()
    shallow = read_losses(data, run, CONFIG.bank.hash[:16], keys, LossCounts(2)).values_NK
    assert np.array_equal(shallow, matrix[:, :2])
    rows = [row for path in fragments(data) for row in read_fragment(path)[1].to_pylist()]
    for row in rows:
        if row["sample_key"] in keys:
            place = keys.index(row["sample_key"])
            assert (matrix[place, row["k"]], found.change_N[place]) == (row["loss"], row["change"])


def test_the_same_ledger_is_the_same_evidence(data, trained):
    score(ScoreJob(data=data, run=trained, config=CONFIG))
    run = Run.open(trained)
    samples = scored_samples(data, run.config, None)
    found = [make_score_table(data, run, [], CONFIG, HIGH, samples) for _ in range(2)]
    assert found[0].id == found[1].id
    assert found[0].rows.equals(found[1].rows)
    other = make_score_table(data, run, [], CONFIG, HIGH.model_copy(update={"fraction": 0.3}), samples)
    assert other.id != found[0].id


def test_a_ledger_that_is_empty_of_another_bank_or_of_other_latents_is_refused(data, trained):
    run = Run.open(trained)
    samples = scored_samples(data, run.config, None)
    with pytest.raises(LedgerError, match="is empty"):
        make_score_table(data, run, [], CONFIG, HIGH, samples)
    score(ScoreJob(data=data, run=trained, config=CONFIG))
    other = CONFIG.model_copy(update={"bank": BankConfig(bins=2, windows=2, seed=1)})
    with pytest.raises(LedgerError, match="under bank"):
        make_score_table(data, run, [], other, HIGH, samples)
    for path in (data / "latents").glob("*/*.json"):
        path.write_text(path.read_text().replace('"sha256":"', '"sha256":"0'))
    with pytest.raises(LedgerError, match="on latents that have changed"):
        make_score_table(data, run, [], CONFIG, HIGH, samples)


def test_a_flipped_bit_in_a_ledger_is_refused_and_measured_again(data, trained):
    score(ScoreJob(data=data, run=trained, config=CONFIG))
    path = next(fragments(data))
    whole, rows = path.read_bytes(), read_fragment(path)[1]
    value = rows["loss"].to_numpy()[0].tobytes()
    at = whole.find(value)
    assert at > 0
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    run = Run.open(trained)
    with pytest.raises(LedgerError, match="not a whole fragment"):
        make_score_table(data, run, [], CONFIG, HIGH, scored_samples(data, run.config, None))
    score(ScoreJob(data=data, run=trained, config=CONFIG))
    assert path.read_bytes() == whole


def test_a_damaged_fragment_of_another_bank_stops_nothing(data, trained):
    score(ScoreJob(data=data, run=trained, config=CONFIG))
    mine = set(fragments(data))
    score(ScoreJob(data=data, run=trained, config=CONFIG.model_copy(update={"bank": BankConfig(seed=1)})))
    for path in set(fragments(data)) - mine:
        path.write_bytes(path.read_bytes()[:-20])
    run = Run.open(trained)
    assert make_score_table(data, run, [], CONFIG, HIGH, scored_samples(data, run.config, None)).keys


def test_a_flipped_bit_in_a_footer_is_refused_or_harmless(data, trained):
    score(ScoreJob(data=data, run=trained, config=CONFIG))
    path = next(fragments(data))
    whole, rows = path.read_bytes(), read_fragment(path)
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    noticed = 0
    for at in range(footer, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        try:
            unchanged = read_fragment(path)[1].equals(rows[1])
        except LedgerError:
            noticed += 1
        else:
            assert unchanged
    assert noticed > 100


def test_fragments_of_latents_that_are_gone_come_first_and_none_beside_its_like(data, trained):
    for k in (4, 8):
        score(ScoreJob(data=data, run=trained, config=CONFIG.model_copy(update={"k": k})))
    paths = list(fragments(data))
    assert sorted(path for group in in_order(data, paths) for path in group) == paths
    assert [len(group) for group in in_order(data, paths)] == [2, 2]
    [manifest, _] = sorted((data / "latents").glob("*/*.json"))
    shard = read_json(manifest)["shard"].removesuffix(".tar")
    manifest.write_text(manifest.read_text().replace('"sha256":"', '"sha256":"0'))
    first = in_order(data, paths)[0]
    assert {path.name.rsplit("-", 3)[0] for path in first} == {shard}


def test_certainty_is_that_of_being_chosen_whichever_end_is(data, trained):
    score(ScoreJob(data=data, run=trained, config=CONFIG.model_copy(update={"k": 32})))
    run, config = Run.open(trained), CONFIG.model_copy(update={"k": 32})
    samples = scored_samples(data, run.config, None)
    sure = {}
    for action in ("drop", "keep"):
        how = policy(score="high_loss", strata=(), fraction=0.4, action=action)
        found = make_score_table(data, run, [], config, how, samples)
        order = np.argsort(found.valuation.columns["high_loss"])
        sure[action] = np.array(found.rows["certainty"].to_pylist())[order]
    assert sure["drop"][-1] > 0.5 > sure["drop"][0]
    assert sure["keep"][0] > 0.5 > sure["keep"][-1]


def test_a_parents_sample_that_is_bad_by_now_is_scored_and_judged(data, trained):
    run, stored = Run.open(trained), read_samples(data)
    write_version(data, version_of("all", None, {"config": {}}, stored))
    bad = scored_samples(data, run.config, None).keys[0]
    with open_catalog(data / "catalog.duckdb") as con:
        set_thresholds(con, [])
        con.execute("UPDATE clip_rows SET motion_energy = 99 WHERE clip_id = ?", [bad.removesuffix("v0")])
        set_thresholds(con, [{"reason": "fast", "score": "motion_energy", "op": ">", "value": 50.0, "rank": 1}])
    assert not next(s for s in read_samples(data) if s.key == bad).ok
    samples = scored_samples(data, run.config, "all")
    assert bad in samples.keys
    score(ScoreJob(data=data, run=trained, config=CONFIG, version="all"))
    assert bad in make_score_table(data, run, [], CONFIG, HIGH, samples).keys


def test_a_parent_whose_samples_have_changed_is_refused(data, trained):
    samples = read_samples(data)
    write_version(data, version_of("before", None, {}, samples))
    with open_catalog(data / "catalog.duckdb") as con:
        con.execute("UPDATE sample_rows SET mp4_sha256 = 'other' WHERE sample_key = ?", [samples[0].key])
    with pytest.raises(VersionError, match="have changed since version 'before'"):
        scored_samples(data, Run.open(trained).config, "before")


def test_a_run_that_saw_the_samples_is_refused_and_a_hold_out_must_be_there(data, trained):
    score(ScoreJob(data=data, run=trained, config=CONFIG))
    run = Run.open(trained)
    samples = scored_samples(data, run.config, None)
    with pytest.raises(LedgerError, match="have no irreducible loss"):
        make_score_table(data, run, [run], CONFIG, policy(score="rho", strata=()), samples)
    with pytest.raises(DataError, match=r"No source of .* is held out"):
        require_holdout(data, micro_config(holdout=0))
    with pytest.raises(RunError, match="is not a run"):
        Run.open(data)


def mark(data: Path, **decisions: str) -> None:
    """Somebody's word on clips, as `longdance serve` leaves it in the catalog."""
    decided = datetime(2026, 11, 1)
    with open_catalog(data / "catalog.duckdb") as con:
        rows = [{"clip_id": clip, "decided": decided, "decision": said} for clip, said in decisions.items()]
        merge_decisions(con, rows)


def pruned(data: Path, run: Run, parent: str | None, action: str = "drop") -> Version:
    """A version without all that was judged (or with nothing of it, where the policy keeps)."""
    judged = scored_samples(data, run.config, parent).keys
    how, stored = policy(score="high_loss", strata=(), action=action), read_samples(data)
    chosen = judged if action == "drop" else ()
    samples = version_samples(data, parent, stored, judged, chosen, how)
    return version_of("pruned", parent, policy_record(how, "", [], stored), samples)


@pytest.mark.parametrize("action", ["drop", "keep"])
@pytest.mark.parametrize("parent", [None, "before"])
def test_a_version_made_after_a_mark_holds_no_dropped_clip_and_every_kept_one(data, trained, parent, action):
    run = Run.open(trained)
    write_version(data, version_of("before", None, {}, read_samples(data)))
    held_out = {s.clip_id for s in read_samples(data)} - {
        key.removesuffix("v0") for key in scored_samples(data, run.config, None).keys
    }
    unmarked = pruned(data, run, parent, action)
    assert {sample.key.removesuffix("v0") for sample in unmarked.samples} == held_out
    dropped, kept = sorted(held_out)[0], sorted({s.clip_id for s in read_samples(data)} - held_out)[0]
    mark(data, **{dropped: "drop", kept: "keep"})
    marked = pruned(data, run, parent, action)
    assert {sample.key.removesuffix("v0") for sample in marked.samples} == held_out - {dropped} | {kept}
    assert marked.policy["decisions"] == {dropped: "drop", kept: "keep"}
    assert marked.hash != unmarked.hash
    assert pruned(data, run, parent, action).hash == marked.hash


def test_a_version_that_would_hold_nothing_is_refused_and_not_made(data):
    stored = read_samples(data)
    keys = [sample.key for sample in stored]
    with pytest.raises(VersionError, match=f"Of {len(keys)} samples none would stay"):
        version_samples(data, None, stored, keys, keys, policy(score="high_loss", strata=()))


def test_a_dropped_clip_is_not_judged_even_where_the_parent_holds_it(data, trained):
    run = Run.open(trained)
    write_version(data, version_of("before", None, {}, read_samples(data)))
    first = scored_samples(data, run.config, "before").keys[0]
    mark(data, **{first.removesuffix("v0"): "drop"})
    assert first not in scored_samples(data, run.config, "before").keys

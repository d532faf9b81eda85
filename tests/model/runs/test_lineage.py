"""A run knows every source that its weights have seen, also through what they began from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from model.data.latents import encode_dataset
from model.data.samples import read_samples
from model.data.versions import fold_version, write_version
from model.errors import LedgerError, RunError
from model.runs.export import export_run
from model.runs.lineage import flatten_init_chain, read_sources
from model.runs.run import Run
from model.scoring.policy import BankConfig, ScoreConfig, policy
from model.scoring.score import ScoreJob, score
from model.scoring.score_table import make_score_table
from model.scoring.scored_losses import scored_samples
from model.training.train import train
from tests.model.dataset import micro_config

CONFIG = ScoreConfig(bank=BankConfig(bins=2, windows=2), k=4)
SHORT = {"steps": 2, "sample_every": 50, "validate_every": 50}


@pytest.fixture
def data(dataset: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(dataset, tmp_path / "data"))


@pytest.fixture
def fold(data: Path) -> str:
    """A version of some of the sources."""
    samples = read_samples(data)
    trained = scored_samples(data, micro_config(), None)
    held = {s.source_id for s in samples} - {trained.sources[key] for key in trained.keys}
    version = fold_version(samples, held, 0)
    write_version(data, version)
    return version.name


def sources_of(data: Path, keys: set[str] | frozenset[str] | tuple[str, ...]) -> frozenset[str]:
    return frozenset(s.source_id for s in read_samples(data) if s.key in keys)


def test_a_run_has_seen_the_sources_of_its_own_training_and_no_others(data, trained, fold, tmp_path):
    assert read_sources(trained) == sources_of(data, scored_samples(data, micro_config(), None).keys)
    train(data, tmp_path / "half", micro_config(version=fold, **SHORT))
    assert read_sources(tmp_path / "half") < read_sources(trained)


@pytest.mark.parametrize("how", ["weights", "fork", "export", "weights of weights"])
def test_what_the_first_weights_have_seen_is_inherited_however_they_came(data, trained, fold, tmp_path, how):
    config = micro_config(version=fold, **SHORT)
    if how == "fork":
        train(data, tmp_path / "half", micro_config(version=fold, **{**SHORT, "steps": 6}), fork=trained)
    elif how == "export":
        made = export_run(trained, tmp_path / "out")
        assert set(made["sources"]) == read_sources(trained)
        train(data, tmp_path / "half", config.model_copy(update={"init": str(tmp_path / "out")}))
    else:
        start = trained
        if how == "weights of weights":
            start = tmp_path / "between"
            train(data, start, config.model_copy(update={"init": f"run:{trained}"}))
        train(data, tmp_path / "half", config.model_copy(update={"init": f"run:{start}"}))
    assert read_sources(tmp_path / "half") == read_sources(trained)


def test_a_run_that_began_with_weights_that_saw_everything_gives_no_irreducible_loss(data, trained, fold, tmp_path):
    leaky = tmp_path / "leaky"
    train(data, leaky, micro_config(version=fold, init=f"run:{trained}", **SHORT))
    for run in (trained, leaky):
        score(ScoreJob(data=data, run=run, config=CONFIG))
    target = Run.open(trained)
    samples = scored_samples(data, target.config, None)
    with pytest.raises(LedgerError, match="have no irreducible loss"):
        make_score_table(data, target, [Run.open(leaky)], CONFIG, policy(score="rho", strata=()), samples)


def test_where_it_is_not_on_record_a_run_says_so_and_so_does_one_that_began_from_it(data, trained, tmp_path):
    old = Path(shutil.copytree(trained, tmp_path / "old"))
    (old / "sources.json").unlink()
    train(data, tmp_path / "child", micro_config(init=f"run:{old}", **SHORT))
    for run in (old, tmp_path / "child"):
        with pytest.raises(RunError, match="does not say which sources"):
            read_sources(run)
    assert export_run(old, tmp_path / "out")["sources"] is None
    from_export = micro_config(init=str(tmp_path / "out"), **SHORT)
    encode_dataset(data, from_export.encode)  # its codec is the export's
    train(data, tmp_path / "grandchild", from_export)
    assert json.loads((tmp_path / "grandchild" / "sources.json").read_text()) is None


def test_a_pipelines_folder_is_known_by_the_export_that_its_network_is(data, trained, fold, tmp_path):
    export_run(trained, tmp_path / "pipe" / "unet")
    train(data, tmp_path / "half", micro_config(version=fold, init=str(tmp_path / "pipe"), **SHORT))
    assert read_sources(tmp_path / "half") == read_sources(trained)


@pytest.mark.parametrize("damage", ["", "{", "[1]", '"all"'])
def test_a_damaged_record_of_sources_is_one_sentence(trained, tmp_path, damage):
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    (run / "sources.json").write_text(damage)
    with pytest.raises(RunError, match="is damaged"):
        read_sources(run)


def test_a_killed_forks_copy_does_not_stand_in_for_another_parents(data, trained, fold, tmp_path):
    for name in ("p0", "p1"):
        train(data, tmp_path / name, micro_config(seed=5 + int(name[1]), **SHORT))
    child = tmp_path / "child"
    train(data, child, micro_config(**{**SHORT, "steps": 4}), fork=tmp_path / "p0")
    for path in child.iterdir():  # as if it had been killed before its run.json was written
        if path.name != "checkpoints":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for folder in (child / "checkpoints").glob("step-*"):
        if folder.name != "step-00000002":
            shutil.rmtree(folder)
    train(data, child, micro_config(**{**SHORT, "steps": 4}), fork=tmp_path / "p1")
    alone = tmp_path / "alone"
    train(data, alone, micro_config(**{**SHORT, "steps": 4}), fork=tmp_path / "p1")
    last = "checkpoints/step-00000004/weights.safetensors"
    assert (child / last).read_bytes() == (alone / last).read_bytes()


def test_a_start_that_was_killed_begins_anew_where_its_parent_is_another_by_now(data, trained, fold, tmp_path):
    parent, child = tmp_path / "parent", tmp_path / "child"
    train(data, parent, micro_config(version=fold, **SHORT))
    train(data, child, micro_config(version=fold, init=f"run:{parent}", **SHORT))
    before = read_sources(child)
    shutil.rmtree(child / "checkpoints")
    (child / "checkpoints.jsonl").unlink(missing_ok=True)
    shutil.rmtree(parent)
    shutil.copytree(trained, parent)
    train(data, child, micro_config(version=fold, init=f"run:{parent}", **SHORT))
    assert before < read_sources(child) == read_sources(trained)


def test_a_chain_of_runs_leads_back_to_what_the_first_began_from(data, trained, tmp_path):
    alone = flatten_init_chain(micro_config(steps=7))
    assert (alone["init"], alone["steps"], alone["train"]) == ("scratch", 7, "all")
    later = {"init": f"run:{trained}", "network": {}, "train": "new", **SHORT}
    train(data, tmp_path / "between", micro_config(**later))
    chained = flatten_init_chain(micro_config(steps=7, network={}, train="new", init=f"run:{tmp_path / 'between'}"))
    assert (chained["init"], chained["steps"], chained["train"]) == ("scratch", 7 + 2 + 4, "all")
    assert {**chained["network"], "block_out_channels": ()} == {**alone["network"], "block_out_channels": ()}
    shutil.rmtree(tmp_path / "between")
    with pytest.raises(RunError, match=r"is gone.*fit\.init=scratch"):
        flatten_init_chain(micro_config(init=f"run:{tmp_path / 'between'}"))

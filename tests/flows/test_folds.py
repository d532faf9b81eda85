"""The models of a cross-fit begin before anything that the judged run has seen."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from flows.folds import fold_of
from model.data.latents import encode_dataset
from model.errors import RunError
from model.runs.run import Run
from model.training.train import train
from tests.model.dataset import make_dataset, micro_config, micro_encode

SHORT = {"sample_every": 50, "validate_every": 50}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoded data set, a run on it, and one that began with that one's weights."""
    from model.data.latents import encode_dataset

    root = tmp_path_factory.mktemp("folds")
    data = make_dataset(root / "data", sources=6)
    encode_dataset(data, micro_encode())
    train(data, root / "first", micro_config(steps=4, **SHORT))
    train(data, root / "second", micro_config(steps=2, init=f"run:{root / 'first'}", **SHORT))
    return root


def test_folds_begin_where_the_first_run_of_the_chain_did_with_half_the_steps_of_all(root: Path) -> None:
    for name, steps in (("first", 2), ("second", 3)):
        folds = [fold_of(root / "data", Run.open(root / name), number, {}) for number in range(2)]
        assert [fold.config.init for fold in folds] == ["scratch"] * 2
        assert [fold.config.steps for fold in folds] == [steps] * 2
        assert not {s.key for s in folds[0].version.samples} & {s.key for s in folds[1].version.samples}


def test_settings_given_come_first_and_other_settings_are_other_runs(root: Path) -> None:
    target = Run.open(root / "second")
    plain, longer = (fold_of(root / "data", target, 0, given) for given in ({}, {"steps": 9}))
    assert longer.config.steps == 9
    assert plain.run != longer.run
    assert plain.run == fold_of(root / "data", target, 0, {}).run
    gone = SimpleNamespace(config=target.config.model_copy(update={"init": "run:/nowhere"}), path=target.path)
    assert fold_of(root / "data", gone, 0, {"init": "scratch"}).config.init == "scratch"


def test_weights_that_have_seen_these_sources_begin_no_fold(root: Path) -> None:
    from model.runs.export import export_run

    export_run(root / "first", root / "export")
    config = micro_config(steps=2, init=str(root / "export"), **SHORT)
    encode_dataset(root / "data", config.encode)  # its codec is the export's
    train(root / "data", root / "third", config)
    target = Run.open(root / "third")
    with pytest.raises(RunError, match=r"has seen .* of the sources.*fit\.init=scratch"):
        fold_of(root / "data", target, 0, {})
    assert fold_of(root / "data", target, 0, {"init": "scratch"}).config.init == "scratch"

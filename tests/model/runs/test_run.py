"""A trained run, opened: what it is, and the newest of its checkpoints that is whole."""

import shutil
from pathlib import Path

import pytest

from data_catalog.base.paths import RunFolder
from model.errors import RunError
from model.runs.checkpoint import list_checkpoints, network_config
from model.runs.record import read_record
from model.runs.run import Run


def test_an_opened_run_names_itself_its_weights_and_what_they_predict(trained: Path) -> None:
    run, record = Run.open(trained), read_record(trained)
    assert run.record() == {
        "run": record["run_id"],
        "path": str(trained),
        "stage": record["identity"]["config"]["stage"],
        "step": 4,
        "checkpoint": run.checkpoint.sha256,
    }
    assert run.config.model_dump(mode="json") == record["identity"]["config"]
    assert run.encode == run.config.encode
    assert run.codec == record["identity"]["data"]["codec"]
    assert run.prediction == network_config(run.checkpoint)["prediction_type"]


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(trained: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(trained, tmp_path / "run"))
    *_, before, newest = list_checkpoints(RunFolder(copy).checkpoints)
    (newest / "weights.safetensors").write_bytes(b"damaged")
    assert Run.open(copy).checkpoint.path == before


def test_a_folder_that_is_no_run_and_a_run_without_a_checkpoint_are_told_apart(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run"):
        Run.open(tmp_path)
    copy = Path(shutil.copytree(trained, tmp_path / "run"))
    shutil.rmtree(RunFolder(copy).checkpoints)
    RunFolder(copy).checkpoint_history.unlink()
    with pytest.raises(RunError, match="no checkpoint yet"):
        Run.open(copy)

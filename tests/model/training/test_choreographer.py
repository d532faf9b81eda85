"""A choreographer is trained by the same trainer: exact resume, hold-out by source, fork, and no codec."""

from __future__ import annotations

import json
import signal
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from data_catalog.base.files import read_json
from data_catalog.base.paths import RunFolder
from model.choreography.config import choreographer_config
from model.choreography.dances import load_dances
from model.errors import ConfigError, DataError, RunError
from model.runs.lineage import seen_sources
from model.training.train import train
from tests.model.children import train_and_die, train_here
from tests.model.choreography.conftest import small_config, swaying  # noqa: F401  (a fixture)
from tests.model.dataset import micro_config
from tests.model.training.test_resume import footprint


def test_a_killed_and_resumed_training_is_the_undisturbed_one(
    swaying: Path,  # noqa: F811
    tmp_path: Path,
    children: ForkServerContext,
) -> None:
    config = small_config()
    assert train(swaying, tmp_path / "whole", config).status == "finished"
    for at in (9, 23):
        child = children.Process(
            target=train_and_die, args=(swaying, tmp_path / "killed", config.model_dump(mode="json"), at)
        )
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL
    child = children.Process(target=train_here, args=(swaying, tmp_path / "killed", config.model_dump(mode="json")))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert footprint(tmp_path / "killed", 10) == footprint(tmp_path / "whole", 10)
    assert (tmp_path / "whole" / "samples" / "step-00000010.gif").is_file()
    assert not RunFolder(tmp_path / "whole").codec.exists()


def test_no_source_is_on_both_sides_and_the_ledger_of_losses_names_the_training_s_alone(
    swaying: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    data = load_dances(swaying, 4, 0.3)
    train_side, held = ({dance.source_id for dance in side.samples} for side in (data.train, data.holdout))
    assert train_side
    assert held
    assert not train_side & held
    train(swaying, tmp_path / "run", small_config(steps=2))
    assert seen_sources(tmp_path / "run") == train_side
    lines = [json.loads(line) for line in RunFolder(tmp_path / "run").metrics.read_text().splitlines()]
    steps = [line for line in lines if line["kind"] == "step"]
    own = {dance.key for dance in data.train.samples}
    assert all(set(step["samples"]) <= own and len(step["losses"]) == 4 for step in steps)
    assert any(line["kind"] == "validation" for line in lines)


def test_a_fork_goes_on_with_its_parent_s_components(swaying: Path, tmp_path: Path) -> None:  # noqa: F811
    train(swaying, tmp_path / "parent", small_config(steps=2))
    child = train(swaying, tmp_path / "child", small_config(steps=4, learning_rate=1e-4), fork=tmp_path / "parent")
    assert child.step == 4
    record = read_json(RunFolder(child.run_dir).record)
    assert record["parent"]["kind"] == "fork"
    with pytest.raises(RunError, match="fork a run of the same kind"):
        train(swaying, tmp_path / "other", small_config(steps=4), fork=_video_run(swaying, tmp_path))


def _video_run(data: Path, folder: Path) -> Path:
    """What of a video's run a fork is checked against, without training one."""
    from data_catalog.base.files import sealed, write_json

    record = read_json(RunFolder(folder / "parent").record)
    record["identity"]["config"] = micro_config().model_dump(mode="json")
    record.pop("seal", None)
    import shutil

    shutil.copytree(folder / "parent", folder / "video")
    write_json(RunFolder(folder / "video").record, sealed(record))
    return folder / "video"


def test_another_setting_is_another_run(swaying: Path, tmp_path: Path) -> None:  # noqa: F811
    train(swaying, tmp_path / "run", small_config(steps=2))
    with pytest.raises(RunError, match=r"velocity_weight: 1\.0 before, 2\.0 now"):
        train(swaying, tmp_path / "run", small_config(steps=2, velocity_weight=2.0))


def test_clips_too_short_for_two_beats_are_refused_in_one_sentence(raw_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="shows a whole dancer for two beats"):
        train(raw_dataset, tmp_path / "run", small_config())


def test_a_wrong_setting_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match="Unknown setting 'velocity_wait': did you mean 'velocity_weight'"):
        choreographer_config(velocity_wait=1)

"""A run is opened as new, as one that continues, or as a fork that names its parent; anything else is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from data_catalog.base.files import read_json, write_json
from model.config import TrainConfig
from model.data.codec import load_codec
from model.data.latents import encode_dataset
from model.errors import CodecError, ConfigError, RunError
from model.pose.limb_map import LIMB_CHANNELS
from model.runs.checkpoint import load_checkpoint, newest_checkpoint
from model.runs.init_weights import network_of_run
from model.training.train import train
from tests.model.dataset import QUICK, make_dataset, micro_config, micro_encode


@pytest.fixture(scope="module")
def parent(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two steps. Read only."""
    run_dir = tmp_path_factory.mktemp("parent") / "run"
    train(dataset, run_dir, micro_config(**QUICK))
    return run_dir


def test_a_fork_goes_on_from_its_parent_under_another_config(parent: Path, dataset: Path, tmp_path: Path) -> None:
    child, config = tmp_path / "child", micro_config(**{**QUICK, "steps": 4, "learning_rate": 5e-4})
    assert train(dataset, child, config, fork=parent).step == 4
    said = read_json(child / "run.json")["parent"]
    info = newest_checkpoint(parent / "checkpoints")
    assert info is not None
    assert said == {
        "run_id": read_json(parent / "run.json")["run_id"],
        "kind": "fork",
        "step": 2,
        "checkpoint": info.sha256,
    }
    steps = [json.loads(line)["step"] for line in (child / "metrics.jsonl").read_text().splitlines()]
    assert steps == [3, 4, 4]  # the last step is validated, too
    assert train(dataset, child, config, fork=parent).step == 4


def test_a_stage_starts_from_another_runs_averaged_weights(parent: Path, dataset: Path, tmp_path: Path) -> None:
    child = tmp_path / "child"
    config = micro_config("interpolation", **{**QUICK, "init": f"run:{parent}", "learning_rate": 1e-12})
    assert train(dataset, child, config).step == 2
    assert read_json(child / "run.json")["parent"]["kind"] == "weights"
    parent_info, child_info = (newest_checkpoint(path / "checkpoints") for path in (parent, child))
    assert parent_info is not None
    assert child_info is not None
    averaged, begun = load_checkpoint(parent_info).tensors["ema"], load_checkpoint(child_info).tensors["weights"]
    for name, tensor in averaged.items():
        assert (tensor - begun[name]).abs().max() < 1e-6


def test_without_poses_a_network_that_knows_them_is_trained_and_trained_on(
    parent: Path, dataset: Path, tmp_path: Path
) -> None:
    network = network_of_run(parent)
    network.add_pose_path(LIMB_CHANNELS)
    network.save_pretrained(tmp_path / "knows")
    told = {**QUICK, "network": {}, "init": str(tmp_path / "knows")}
    assert train(dataset, tmp_path / "run", micro_config(**told)).step == 2
    more = micro_config(**{**told, "steps": 4})
    assert train(dataset, tmp_path / "child", more, fork=tmp_path / "run").step == 4
    info = newest_checkpoint(tmp_path / "child" / "checkpoints")
    assert info is not None
    weights = load_checkpoint(info).tensors["weights"]
    kept = {name: tensor for name, tensor in network.state_dict().items() if name.startswith("pose_path.")}
    assert kept
    for name, tensor in kept.items():
        assert torch.equal(weights[name], tensor)


def test_latents_of_another_codec_are_refused(parent: Path, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "other", sources=2)
    encode_dataset(data, micro_encode())
    with pytest.raises(CodecError, match="was trained on latents of codec"):
        train(data, tmp_path / "child", micro_config(**QUICK, init=f"run:{parent}"))
    with pytest.raises(CodecError, match="was trained on latents of codec"):
        train(data, tmp_path / "child", micro_config(**QUICK), fork=parent)


def test_a_fork_whose_settings_would_do_nothing_is_refused(parent: Path, dataset: Path, tmp_path: Path) -> None:
    longer = {**QUICK, "steps": 4}
    for settings in ({"preset": "sd15"}, {"prediction": "epsilon"}, {"init": "/nonexistent"}):
        config = TrainConfig.model_validate({**micro_config(**longer).model_dump(), **settings})
        with pytest.raises(RunError, match=rf"setting '{next(iter(settings))}' is .* would do nothing"):
            train(dataset, tmp_path / "child", config, fork=parent)
    same = micro_config(**longer, prediction="v_prediction")
    assert train(dataset, tmp_path / "child", same, fork=parent).step == 4


def test_a_runs_codec_that_is_lost_is_put_back(parent: Path, dataset: Path, tmp_path: Path) -> None:
    run_dir = shutil.copytree(parent, tmp_path / "run")
    shutil.rmtree(run_dir / "codec")
    train(dataset, run_dir, micro_config(**QUICK))
    assert load_codec(run_dir / "codec").hash == load_codec(parent / "codec").hash


def test_a_record_that_is_not_as_it_was_written_is_refused(parent: Path, dataset: Path, tmp_path: Path) -> None:
    run_dir = shutil.copytree(parent, tmp_path / "run")
    record = read_json(run_dir / "run.json")
    for damage in ({"run_id": "0" * 32}, {"environment": {**record["environment"], "threads": 3}}, {"environment": {}}):
        write_json(run_dir / "run.json", {**record, **damage})
        with pytest.raises(RunError, match="not there or damaged"):
            train(dataset, run_dir, micro_config(**QUICK))


def test_checkpoints_without_their_record_are_nobodys(parent: Path, dataset: Path, tmp_path: Path) -> None:
    run_dir = shutil.copytree(parent, tmp_path / "run")
    (run_dir / "run.json").write_text("{}")
    with pytest.raises(RunError, match="not there or damaged"):
        train(dataset, run_dir, micro_config(**QUICK))
    (run_dir / "run.json").unlink()
    with pytest.raises(RunError, match="holds checkpoints and no"):
        train(dataset, run_dir, micro_config(**QUICK))


def test_a_fork_that_was_killed_while_it_began_begins_again(parent: Path, dataset: Path, tmp_path: Path) -> None:
    child, config = tmp_path / "child", micro_config(**{**QUICK, "steps": 4})
    assert train(dataset, child, config, fork=parent, until=2).step == 2
    (child / "run.json").unlink()  # it is written last
    assert train(dataset, child, config, fork=parent).step == 4
    (child / "run.json").unlink()
    with pytest.raises(RunError, match="holds checkpoints and no"):
        train(dataset, child, config, fork=parent)


def test_a_fork_that_cannot_go_on_is_refused(parent: Path, dataset: Path, tmp_path: Path) -> None:
    other = {**micro_config().network, "block_out_channels": (16, 16)}
    for settings, said in (({"network": other, "steps": 4}, "parent's network"), ({"steps": 2}, "at step 2 already")):
        with pytest.raises(RunError, match=said):
            train(dataset, tmp_path / "child", micro_config(**{**QUICK, **settings}), fork=parent)
    with pytest.raises(RunError, match="no fork of"):
        train(dataset, parent, micro_config(**QUICK), fork=parent)
    deeper = {**micro_config().network, "attention_levels": 2, "first_attention_level": 0}
    for network, said in ((other, "block_out_channels"), (deeper, "down_block_types")):
        settings = {**QUICK, "init": f"run:{parent}", "network": network}
        with pytest.raises(ConfigError, match=said):
            train(dataset, tmp_path / said, micro_config(**settings))

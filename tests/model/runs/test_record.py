"""A run stays what it is: any change is refused and spelled out, and a fork names its parent."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from data_catalog.base.at_work import training
from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import read_json, sealed, write_json
from data_catalog.connection import open_catalog
from data_catalog.writes import merge_checkpoints, merge_runs
from model.config import TrainConfig, train_config
from model.errors import (
    ChannelCountError,
    CheckpointError,
    ConfigError,
    DataError,
    DeviceError,
    RunError,
    WeightsError,
)
from model.runs.checkpoint import load_checkpoint, newest_checkpoint
from model.runs.record import checkpoint_rows, differences, run_row
from model.training.train import train
from tests.model.dataset import ENCODE, QUICK, micro_config
from tests.model.networks import unet2d


@pytest.fixture(scope="module")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two steps. Read only: copy it."""
    run_dir = tmp_path_factory.mktemp("trained") / "run"
    train(dataset, run_dir, micro_config(**QUICK))
    return run_dir


@pytest.fixture
def run_dir(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def test_run_json_says_what_the_run_is_made_of(run_dir: Path) -> None:
    record = read_json(run_dir / "run.json")
    identity = record["identity"]
    assert TrainConfig.model_validate(identity["config"]).hash == micro_config(**QUICK).hash
    assert len(identity["data"]["version"]) == 64
    assert {"model.training.train", "data_catalog.base.files"} <= identity["code"].keys()
    assert {len(digest) for digest in identity["code"].values()} == {64}
    assert {"torch", "diffusers", "accelerate"} <= identity["libraries"].keys()
    assert record["parent"] is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 1}, "config.seed: 0 before, 1 now"),
        ({"steps": 3, "learning_rate": 0.5}, "config.learning_rate: 0.002 before, 0.5 now; config.steps: 2 before, 3"),
        ({"holdout": 0.0}, "config.holdout: 0.3 before, 0.0 now; data.holdout_samples: 2 before, 0 now"),
    ],
)
def test_a_changed_config_is_refused_and_spelled_out(change: dict, said: str, run_dir: Path, dataset: Path) -> None:
    with pytest.raises(RunError, match=said.replace(".", r"\.")):
        train(dataset, run_dir, micro_config(**{**QUICK, **change}))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (("code",), "begun by another code"),
        (("code", "model.training.train"), "the code of model.training.train is another one now"),
        (("libraries", "torch"), "libraries.torch: 'x' before"),
        (("data", "version"), "data.version: 'x' before"),
        (("processes",), "processes: 'x' before, 1 now"),
    ],
)
def test_other_code_libraries_or_data_are_refused(path: tuple, said: str, run_dir: Path, dataset: Path) -> None:
    record = read_json(run_dir / "run.json")
    place = record["identity"]
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = "x"
    write_json(run_dir / "run.json", sealed(record))
    with pytest.raises(RunError, match=said):
        train(dataset, run_dir, micro_config(**QUICK))


def test_a_network_of_other_channels_is_refused(dataset: Path, tmp_path: Path) -> None:
    unet2d(3, 3).save_pretrained(tmp_path / "sd" / "unet")
    config = micro_config(**{**QUICK, "network": {}}, init=str(tmp_path / "sd"))
    with pytest.raises(ChannelCountError, match="have 4 channels and the network takes 3"):
        train(dataset, tmp_path / "run", config)


def test_a_stable_diffusion_folder_starts_a_run_whose_image_layers_stay(dataset: Path, tmp_path: Path) -> None:
    unet = unet2d(4)
    unet.save_pretrained(tmp_path / "sd" / "unet")
    config = micro_config(**{**QUICK, "network": {}}, init=str(tmp_path / "sd"), train="new")
    train(dataset, tmp_path / "run", config)
    info = newest_checkpoint(tmp_path / "run" / "checkpoints")
    assert info is not None
    weights = load_checkpoint(info).tensors["weights"]
    image = {tensor.double().sum().item() for tensor in unet.state_dict().values()}
    frozen = [n for n, t in weights.items() if t.double().sum().item() in image]
    assert len(frozen) >= len(unet.state_dict())
    assert set(load_checkpoint(info).tensors["ema"]) < set(weights)


def test_what_cannot_be_loaded_is_said_in_one_sentence(dataset: Path, tmp_path: Path) -> None:
    for settings, kind, said in (
        ({"init": "/nonexistent/sd"}, WeightsError, "No network could be loaded from '/nonexistent/sd'"),
        ({"network": {**micro_config().network, "block_out_channels": (7, 9)}}, ConfigError, "makes no network"),
    ):
        with pytest.raises(kind, match=said):
            train(dataset, tmp_path / "run", micro_config(**{**QUICK, **settings}))
    assert train(dataset, tmp_path / "run", micro_config(**QUICK)).status == "finished"


def test_two_processes_cannot_train_one_run(run_dir: Path, dataset: Path) -> None:
    with training(run_dir).alone(), pytest.raises(LongdanceError, match="Another process is training"):
        train(dataset, run_dir, micro_config(**QUICK))


def test_a_run_whose_checkpoints_are_gone_does_not_start_anew(run_dir: Path, dataset: Path) -> None:
    for path in (run_dir / "checkpoints").glob("step-*"):
        shutil.rmtree(path)
    with pytest.raises(CheckpointError, match="all are gone"):
        train(dataset, run_dir, micro_config(**QUICK))
    shutil.rmtree(run_dir / "checkpoints")
    with pytest.raises(CheckpointError, match="all are gone"):
        train(dataset, run_dir, micro_config(**QUICK))


def test_rows_of_runs_and_checkpoints_fit_the_catalog(run_dir: Path, tmp_path: Path) -> None:
    with open_catalog(tmp_path / "catalog.duckdb") as catalog:
        merge_runs(catalog, [run_row(run_dir, "finished", 2)])
        merge_checkpoints(catalog, checkpoint_rows(run_dir))
        assert catalog.execute("SELECT stage, step, status FROM runs").fetchall() == [("starter", 2, "finished")]
        assert catalog.execute("SELECT step, verified FROM checkpoints ORDER BY 1").fetchall() == [
            (1, True),
            (2, True),
        ]


def test_differences_name_each_place() -> None:
    assert differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3, "d": 4}}) == [
        "a.c: 2 before, 3 now",
        "a.d: None before, 4 now",
    ]
    assert differences({"a": [1]}, {"a": [1]}) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"stage": "dance"}, "'stage' is 'dance'.*'starter', 'extrapolation', 'interpolation', 'any' or 'star'"),
        ({"preset": "huge"}, "Unknown preset 'huge': choose one of tiny, sd15"),
        ({"steps": 0}, "'steps' is 0.*greater than or equal to 1"),
        ({"stepps": 5}, "Unknown setting 'stepps'"),
        ({"encode": {"picture": 95}}, "picture 95 is not a multiple of patch 6"),
        ({"encode": {"channels": 109}}, "a 6x6 patch has no 109 components"),
        ({"batch": 3, "accumulate": 2}, "batch 3 cannot be split into 2"),
    ],
)
def test_wrong_settings_are_said_in_one_sentence(settings: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        train_config(**{"stage": "starter", **settings})


def test_settings_go_over_the_preset_and_encode_merges() -> None:
    config = train_config("starter", "sd15", encode={"prompt": "a cat"}, batch=3)
    assert (config.encode.picture, config.encode.prompt, config.batch) == (512, "a cat", 3)
    assert config.hash != train_config("starter", "sd15", batch=3).hash
    assert TrainConfig.model_validate(json.loads(config.model_dump_json())) == config


def test_a_networks_size_means_the_same_as_text_and_as_a_number() -> None:
    typed, read = (
        train_config("starter", network={"layers_per_block": one, "residual_std": half, "block_out_channels": sizes})
        for one, half, sizes in (("1", "0.5", [8, 16]), (1, 0.5, (8, 16)))
    )
    assert typed == read
    assert typed.network["layers_per_block"] == 1


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"device": "cuda"}, DeviceError, "GPU was asked for .* and torch finds none"),
        ({"mixed_precision": "fp16"}, DeviceError, "'fp16'.* needs a GPU: use 'bf16' or 'no'"),
        ({"encode": {**ENCODE, "channels": 5}}, DataError, "no latents of this codec: run `longdance encode"),
        ({"init": "run:/nowhere"}, RunError, "is not a run"),
        ({"network": {"widths": 3}}, ConfigError, r"Unknown setting 'network\.widths'"),
        ({"batch": 6, "accumulate": 3, "holdout": 0.99}, None, ""),
    ],
)
def test_what_cannot_be_trained_is_said_before_it_begins(
    settings: dict, error: type[Exception] | None, said: str, dataset: Path, tmp_path: Path
) -> None:
    config = micro_config(**{**QUICK, **settings})
    if error is None:
        assert train(dataset, tmp_path / "run", config).status == "finished"
        return
    with pytest.raises(error, match=said):
        train(dataset, tmp_path / "run", config)

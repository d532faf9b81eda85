"""First weights bring their codec; what cannot fit is refused before latents are made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_catalog.base.files import read_json
from model.config import train_config
from model.data.latents import encode_dataset
from model.errors import CodecError, RunError
from model.runs.export import export_run
from model.training.fitting_codec import as_begun, check_init, with_codec_of_run
from model.training.train import train
from tests.model.dataset import ENCODE, QUICK, make_dataset, micro_config


@pytest.fixture(scope="module")
def parent(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, and what `export` makes of it beside it. Read only."""
    run_dir = tmp_path_factory.mktemp("parent") / "run"
    train(dataset, run_dir, micro_config(**QUICK))
    export_run(run_dir, run_dir.with_name("export"))
    return run_dir


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another data set, whose own codec is fitted already: somebody typed `longdance encode` first."""
    data = make_dataset(tmp_path_factory.mktemp("other") / "data", sources=2)
    encode_dataset(data, micro_config().encode)
    return data


def test_an_export_brings_its_codec_and_the_size_of_its_pictures(parent: Path) -> None:
    out = str(parent.with_name("export"))
    brought = train_config("starter", init=out).encode
    assert (brought.codec, brought.size.width) == (out, ENCODE["picture"])
    assert train_config("starter", init=out, encode={"codec": "embedded"}).encode.codec == "embedded"
    assert train_config("starter").encode.codec == "embedded"


def test_another_run_brings_the_settings_of_its_codec(parent: Path) -> None:
    encode = train_config("starter", init=f"run:{parent}").encode
    assert {name: getattr(encode, name) for name in ENCODE} == ENCODE
    assert train_config("starter", init=f"run:{parent}", encode={"patch": 8}).encode.patch == 8


@pytest.mark.parametrize("kind", ["export", "run"])
def test_on_a_data_set_with_a_codec_of_its_own_the_training_begins_all_the_same(
    kind: str, parent: Path, other: Path, tmp_path: Path
) -> None:
    init = f"run:{parent}" if kind == "run" else str(parent.with_name("export"))
    settings = {**micro_config(**QUICK).model_dump(exclude={"stage", "preset", "encode"}), "init": init, "network": {}}
    config = with_codec_of_run(other, train_config("starter", **settings))
    check_init(other, config)
    encode_dataset(other, config.encode)
    assert train(other, tmp_path / "child", config).step == 2
    assert as_begun(tmp_path / "child", train_config("starter", **settings)) == config  # the same command resumes
    trained = read_json(parent / "run.json")["identity"]["data"]["codec"]
    assert read_json(tmp_path / "child" / "run.json")["identity"]["data"]["codec"] == trained


def test_on_its_own_data_set_a_runs_codec_stays_the_one_that_was_fitted_there(parent: Path, dataset: Path) -> None:
    config = train_config("interpolation", init=f"run:{parent}")
    assert with_codec_of_run(dataset, config) == config
    check_init(dataset, config)


@pytest.mark.parametrize("kind", ["export", "new data", "fork"])
def test_a_codec_that_does_not_fit_is_refused_before_latents_with_the_setting_that_mends_it(
    kind: str, parent: Path, other: Path, tmp_path: Path
) -> None:
    out, data = parent.with_name("export"), other
    config, mends = micro_config(init=str(out), encode={**ENCODE, "codec": "embedded"}), f"encode.codec={out}."
    if kind == "new data":
        data = make_dataset(tmp_path / "new", sources=2)  # nothing is fitted there yet
    fork = parent if kind == "fork" else None
    if kind == "fork":
        config, mends = micro_config(), f"encode.codec={parent / 'codec'}."
    with pytest.raises(CodecError, match=f"--set {mends}") as refused:
        check_init(data, config, fork)
    assert "codec ," not in str(refused.value)
    assert not (tmp_path / "new" / "latents").exists()


def test_somebody_elses_network_of_other_channels_is_refused_with_its_own_vae(other: Path, tmp_path: Path) -> None:
    (tmp_path / "sd" / "unet").mkdir(parents=True)
    (tmp_path / "sd" / "unet" / "config.json").write_text(json.dumps({"in_channels": 9, "out_channels": 9}))
    with pytest.raises(CodecError, match=rf"9 channels, .* have 4: .*encode\.codec={tmp_path / 'sd'}"):
        check_init(other, micro_config(init=str(tmp_path / "sd"), network={}))


def test_a_run_that_is_none_is_told_before_latents_are_made(other: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError):
        with_codec_of_run(other, micro_config(init=f"run:{tmp_path / 'nowhere'}"))

"""A run as a folder: what starts from it starts from the run's averaged weights, on the run's own codec."""

import shutil

import pytest
import torch

from model.config import EncodeConfig
from model.data.latents import prepare_codec
from model.data.samples import read_samples
from model.errors import CodecError, RunError
from model.runs.export import export_run
from model.runs.init_weights import initial_network, network_of_run
from model.sources import NoText
from model.training.train import train
from tests.model.dataset import micro_config, micro_encode


@pytest.fixture
def fresh(raw_dataset, tmp_path):
    """A data set without latents, to write into."""
    return shutil.copytree(raw_dataset, tmp_path / "fresh")


@pytest.mark.parametrize("half", [False, True])
def test_an_exported_run_starts_another_with_its_averaged_weights(trained, tmp_path, half):
    made = export_run(trained, tmp_path / "out", half)
    assert made["steps"] == 4
    again = initial_network(micro_config(init=str(tmp_path / "out")), 1, 1)
    for name, weight in network_of_run(trained).state_dict().items():
        torch.testing.assert_close(
            again.state_dict()[name].float(), weight, rtol=1e-3 if half else 0, atol=1e-6 if half else 0
        )


def test_a_data_set_is_encoded_with_an_exported_codec_and_a_training_goes_on_from_it(trained, fresh, tmp_path):
    out = tmp_path / "out"
    export_run(trained, out)
    encode = micro_encode().model_copy(update={"codec": str(out)})
    codec = prepare_codec(fresh, encode, read_samples(fresh))
    assert codec.hash == prepare_codec(fresh, micro_encode(), read_samples(fresh)).hash
    assert encode.text_source == NoText()


def test_a_codec_for_another_size_of_picture_and_a_folder_that_is_there_are_refused(trained, fresh, tmp_path):
    out = tmp_path / "out"
    export_run(trained, out)
    wrong = EncodeConfig(codec=str(out), picture=8 + micro_encode().picture)
    with pytest.raises(CodecError, match=r"set it to"):
        prepare_codec(fresh, wrong, read_samples(fresh))
    with pytest.raises(RunError, match="there already"):
        export_run(trained, out)


def test_an_export_of_another_codec_is_refused(trained, fresh, tmp_path):
    from model.data.latents import encode_dataset

    out = tmp_path / "out"
    export_run(trained, out)
    config = micro_config(steps=2, init=str(out), encode={**micro_encode().model_dump(), "fit_frames": 9})
    encode_dataset(fresh, config.encode)
    with pytest.raises(CodecError, match=f"encode.codec={out}"):
        train(fresh, tmp_path / "run", config)


def test_a_training_starts_from_an_export_on_its_codec(trained, fresh, tmp_path):
    from model.data.latents import encode_dataset

    out = tmp_path / "out"
    export_run(trained, out, half=True)
    config = micro_config(steps=2, init=str(out), encode={**micro_encode().model_dump(), "codec": str(out)})
    encode_dataset(fresh, config.encode)
    assert train(fresh, tmp_path / "run", config).step == 2

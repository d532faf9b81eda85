"""What a dry run takes for the shapes is what encoding and training then have."""

from pathlib import Path

import numpy as np
import pytest

from model.data.codec import KLCodec, fit_patch_codec
from model.data.text import embed
from model.errors import CodecError, DataError
from model.training.shapes import latent_shape, shapes_of, text_shape
from pipeline.picture_size import PictureSize
from tests.model.dataset import micro_config
from tests.model.networks import save_stable_diffusion

FRAMES = np.zeros((1, 32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Stable Diffusion in diffusers' format."""
    folder = tmp_path_factory.mktemp("sd") / "sd"
    save_stable_diffusion(folder, 4)
    return folder


def test_the_shapes_of_a_local_checkpoint_are_read_from_its_configs(checkpoint: Path) -> None:
    encode = {"codec": str(checkpoint), "picture": 32}
    config = micro_config("interpolation", init=str(checkpoint), network={}, train="new", encode=encode)
    shapes = shapes_of(config)
    latents = KLCodec(str(checkpoint), PictureSize(32, 32)).encode(FRAMES)
    assert (shapes.channels, shapes.latents.height, shapes.latents.width) == latents.shape[1:]
    embedded = embed(str(checkpoint), ["a person"])
    assert text_shape(config.encode) == embedded.shape[1:]
    assert shapes.network.unet.config.cross_attention_dim == embedded.shape[2]
    assert shapes.assumed == ()


def test_the_shape_of_a_saved_codec_is_its_own(checkpoint: Path, tmp_path: Path) -> None:
    kl = KLCodec(str(checkpoint), PictureSize(32, 32))
    for name, codec in (("patches", fit_patch_codec(FRAMES, 8, 5)), ("kl", kl)):
        codec.save(tmp_path / name)
        encode = micro_config(encode={"codec": str(tmp_path / name), "picture": 32}).encode
        channels, latents = latent_shape(encode)
        assert (channels, latents.height, latents.width) == codec.encode(FRAMES).shape[1:]


def test_a_folder_that_holds_nothing_of_the_kind_is_one_sentence(tmp_path: Path) -> None:
    encode = micro_config(encode={"codec": str(tmp_path), "picture": 32}).encode
    with pytest.raises(CodecError, match="No AutoencoderKL's config could be read"):
        latent_shape(encode)
    with pytest.raises(DataError, match="No text encoder's config could be read"):
        text_shape(encode)

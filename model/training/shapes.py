"""The shapes that a training will have, from configs alone: nothing is encoded yet, nothing is downloaded.

What is named by a hub id is not looked at, but taken to be shaped as Stable Diffusion 1.5's, and that is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from data_catalog.base.files import read_json
from model.config import EncodeConfig, TrainConfig
from model.data.text import ZEROS_WIDTH
from model.errors import CodecError, DataError
from model.network.unet import VideoUNet
from model.runs.init_weights import initial_network
from model.sources import CODEC_FILE, EmbeddedCodec, NoText, Pretrained, SavedCodec
from pipeline.picture_size import PictureSize

SD15_LATENTS = (4, 8)
"""Channels of its VAE's latents, and pixels per latent."""
SD15_TEXT = (77, 768)
"""Tokens of a prompt and their width: CLIP ViT-L/14."""


@dataclass(frozen=True)
class Shapes:
    """Of a frame's latents, of a prompt's embedding, and the network (its bytes may not be there)."""

    channels: int
    latents: PictureSize
    """Width and height of a frame's latents."""
    tokens: int
    network: VideoUNet
    assumed: tuple[str, ...]
    """Hub ids that were not looked at."""


def shapes_of(config: TrainConfig) -> Shapes:
    """Work them out. Raises CodecError, DataError and what `initial_network` raises, for a folder that does not fit."""
    encode = config.encode
    channels, latents = latent_shape(encode)
    tokens, width = text_shape(encode)
    sources = (config.init_source, encode.codec_source, encode.text_source)
    on_hub = [source for source in sources if isinstance(source, Pretrained) and source.on_hub]
    if config.init_source in on_hub:
        with torch.device("meta"):
            network = VideoUNet.from_preset("sd15", latent_channels=channels, text_channels=width)
    else:
        network = initial_network(config, channels, width)
    return Shapes(channels, latents, tokens, network, tuple(dict.fromkeys(source.name for source in on_hub)))


def latent_shape(encode: EncodeConfig) -> tuple[int, PictureSize]:
    """Channels and size of a frame's latents. Raises CodecError if a local folder holds no codec."""
    match encode.codec_source:
        case EmbeddedCodec():
            return encode.channels, _divided(encode, encode.patch)
        case SavedCodec(folder):
            record = read_json(folder / CODEC_FILE)
            if "patch" in record:
                return record["channels"], _divided(encode, record["patch"])
            return latent_shape(encode.model_copy(update={"codec": record["source"]}))
        case Pretrained(name) as source:
            channels, factor = SD15_LATENTS if source.on_hub else _vae_shape(name)
            return channels, _divided(encode, factor)


def _divided(encode: EncodeConfig, factor: int) -> PictureSize:
    return PictureSize(encode.size.width // factor, encode.size.height // factor)


def _vae_shape(folder: str) -> tuple[int, int]:
    from diffusers import AutoencoderKL  # seconds of import that the embedded codec does not need

    subfolder = "vae" if (Path(folder) / "vae").is_dir() else ""
    try:
        config = AutoencoderKL.load_config(folder, subfolder=subfolder)
        return config["latent_channels"], 2 ** (len(config["block_out_channels"]) - 1)
    except (OSError, ValueError, KeyError) as error:
        raise CodecError(
            f"No AutoencoderKL's config could be read in {folder!r} ({str(error).splitlines()[0]}): give a folder in "
            "diffusers' format or a hub id."
        ) from error


def text_shape(encode: EncodeConfig) -> tuple[int, int]:
    """Tokens and width of a prompt's embedding. Raises DataError if a local folder holds no text encoder."""
    source = encode.text_source
    if isinstance(source, NoText):
        return 1, ZEROS_WIDTH
    if source.on_hub:
        return SD15_TEXT
    try:
        config = read_json(Path(source.name) / "text_encoder" / "config.json")
        return config["max_position_embeddings"], config["hidden_size"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"No text encoder's config could be read in {source.name!r} ({type(error).__name__}): give a folder with "
            "tokenizer/ and text_encoder/, or set encode.text to zeros."
        ) from error

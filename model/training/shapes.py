"""The shapes that a training will have, from configs alone: nothing is encoded yet, nothing is downloaded.

What is named by a hub id is not looked at, but taken to be shaped as Stable Diffusion 1.5's, and that is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from data_catalog.base.files import read_json
from model.config import EncodeConfig, TrainConfig
from model.data.codec import CODEC_FILE
from model.data.text import ZEROS_WIDTH
from model.errors import CodecError, DataError
from model.network.unet import VideoUNet
from model.runs.init_weights import initial_network
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
    if _on_hub(config.init):
        with torch.device("meta"):
            network = VideoUNet.from_preset("sd15", latent_channels=channels, text_channels=width)
    else:
        network = initial_network(config, channels, width)
    named = (config.init, encode.codec, encode.text_source)
    hub = tuple(dict.fromkeys(name for name in named if _on_hub(name)))
    return Shapes(channels, latents, tokens, network, hub)


def latent_shape(encode: EncodeConfig) -> tuple[int, PictureSize]:
    """Channels and size of a frame's latents. Raises CodecError if a local folder holds no codec."""
    if encode.codec == "embedded":
        return encode.channels, _divided(encode, encode.patch)
    if encode.codec_is_saved:
        record = read_json(Path(encode.codec) / CODEC_FILE)
        if "patch" in record:
            return record["channels"], _divided(encode, record["patch"])
        return latent_shape(encode.model_copy(update={"codec": record["source"]}))
    channels, factor = SD15_LATENTS if _on_hub(encode.codec) else _vae_shape(encode.codec)
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
    if source == "zeros":
        return 1, ZEROS_WIDTH
    if _on_hub(source):
        return SD15_TEXT
    try:
        config = read_json(Path(source) / "text_encoder" / "config.json")
        return config["max_position_embeddings"], config["hidden_size"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"No text encoder's config could be read in {source!r} ({type(error).__name__}): give a folder with "
            "tokenizer/ and text_encoder/, or set encode.text to zeros."
        ) from error


def _on_hub(name: str) -> bool:
    """Whether a name is neither a word of ours, nor a run, nor a local folder."""
    return name not in ("scratch", "embedded", "zeros") and not name.startswith("run:") and not Path(name).is_dir()

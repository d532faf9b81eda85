"""Prompts to text embeddings, once: training and generation read them, neither runs a text encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from data_catalog.base.files import atomic, sha256_json
from model.config import EncodeConfig
from model.errors import DataError
from model.sources import NoText

ZEROS_WIDTH = 32
"""Width of the embeddings when there is no text encoder and the network is made from nothing."""


def prompts_of(config: EncodeConfig, captions: Sequence[str | None]) -> list[str]:
    """The distinct prompts of a data set, sorted: each sample's caption, or the config's prompt."""
    return sorted({caption or config.prompt for caption in captions})


def text_path(folder: Path, config: EncodeConfig, prompts: Sequence[str]) -> Path:
    """Where these prompts' embeddings lie: named by the encoder and the prompts."""
    return folder / f"text-{sha256_json([str(config.text_source), list(prompts)])[:16]}.safetensors"


def write_text(folder: Path, config: EncodeConfig, prompts: Sequence[str], device: str = "cpu") -> None:
    """Embed `prompts` and store them as float16 (P, L, D); nothing to do for `zeros` or if they are there."""
    path = text_path(folder, config, prompts)
    if isinstance(config.text_source, NoText) or path.is_file():
        return
    embeddings_PLD = embed(config.text_source.name, prompts, device).half().contiguous()
    with atomic(path) as temp:
        save_file({"embeddings": embeddings_PLD}, temp)


@torch.inference_mode()
def embed(source: str, prompts: Sequence[str], device: str = "cpu") -> torch.Tensor:
    """CLIP's last hidden states (P, L, D) of `prompts`, padded to the encoder's length, as SD 1.5 was trained.

    Raises DataError if `source` holds no tokenizer and text encoder.
    """
    from transformers import CLIPTextModel, CLIPTokenizer  # seconds of import that `zeros` does not need

    try:
        tokenizer = CLIPTokenizer.from_pretrained(source, subfolder="tokenizer")
        encoder = CLIPTextModel.from_pretrained(source, subfolder="text_encoder", use_safetensors=True)
    except (OSError, ValueError) as error:
        raise DataError(
            f"No CLIP text encoder could be loaded from {source!r} ({str(error).splitlines()[0]}): give a folder "
            "or hub id with tokenizer/ and text_encoder/, or set encode.text to zeros."
        ) from error
    encoder = encoder.to(device).eval()
    length = encoder.config.max_position_embeddings
    parts = []
    for start in range(0, len(prompts), 64):
        tokens = tokenizer(
            list(prompts[start : start + 64]),
            padding="max_length",
            max_length=length,
            truncation=True,
            return_tensors="pt",
        )
        parts.append(encoder(tokens.input_ids.to(device))[0].float().cpu())
    return torch.cat(parts)


def text_width(folder: Path, config: EncodeConfig, prompts: Sequence[str]) -> int:
    """The width D of the embeddings that a network made from nothing should take. Raises DataError."""
    if isinstance(config.text_source, NoText):
        return ZEROS_WIDTH
    with safe_open(_existing(text_path(folder, config, prompts)), "pt") as file:
        return int(file.get_slice("embeddings").get_shape()[2])


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise DataError(f"The prompts of this data set have no embeddings ({path}): run `longdance encode`.")
    return path


class TextTable:
    """The text embedding of any prompt of the data set; (1, width) of zeros each when the source is `zeros`."""

    def __init__(self, folder: Path, config: EncodeConfig, prompts: Sequence[str], width: int) -> None:
        self._rows = {prompt: row for row, prompt in enumerate(prompts)}
        if isinstance(config.text_source, NoText):
            self._embeddings_PLD: torch.Tensor | None = None
            self._zeros_LD = torch.zeros(1, width)
            return
        path = text_path(folder, config, prompts)
        if not path.is_file():
            raise DataError(f"The prompts of this data set have no embeddings in {folder}: run `longdance encode`.")
        with safe_open(path, "pt") as file:
            self._embeddings_PLD = file.get_tensor("embeddings")
        if self._embeddings_PLD.shape[2] != width:
            raise DataError(
                f"The text embeddings are {self._embeddings_PLD.shape[2]} wide, the network expects {width}: "
                "encode with the text encoder that the network was trained with."
            )

    def __call__(self, prompt: str) -> torch.Tensor:
        """The embedding (L, D), float32."""
        if self._embeddings_PLD is None:
            return self._zeros_LD
        return self._embeddings_PLD[self._rows[prompt]].float()

"""Prompts become what the encoder says, once; zeros need no encoder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from model.config import EncodeConfig
from model.data.text import TextTable, embed, prompts_of, text_path, text_width, write_text
from model.errors import DataError
from tests.model.networks import save_clip


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CLIP text encoder and tokenizer in diffusers' layout."""
    folder = tmp_path_factory.mktemp("clip")
    save_clip(folder)
    return folder


def test_each_prompt_gets_its_own_embedding_whatever_stands_beside_it(clip_folder: Path) -> None:
    both = embed(str(clip_folder), ["a cat", "a dog"])
    assert both.shape == (2, 12, 16)
    assert not torch.equal(both[0], both[1])
    torch.testing.assert_close(embed(str(clip_folder), ["a dog"])[0], both[1])


def test_stored_embeddings_are_found_by_prompt(clip_folder: Path, tmp_path: Path) -> None:
    config = EncodeConfig(text=str(clip_folder), prompt="a dance")
    prompts = prompts_of(config, ["a cat", None, "a cat"])
    assert prompts == ["a cat", "a dance"]
    write_text(tmp_path, config, prompts)
    table = TextTable(tmp_path, config, prompts, text_width(tmp_path, config, prompts))
    expected = embed(str(clip_folder), ["a dance"])[0]
    torch.testing.assert_close(table("a dance"), expected, atol=2e-3, rtol=2e-3)
    before = text_path(tmp_path, config, prompts).stat().st_mtime_ns
    write_text(tmp_path, config, prompts)
    assert text_path(tmp_path, config, prompts).stat().st_mtime_ns == before


def test_zeros_need_no_file() -> None:
    config = EncodeConfig()
    assert torch.equal(TextTable(Path("nowhere"), config, ["x"], 8)("x"), torch.zeros(1, 8))


def test_missing_or_wrong_embeddings_are_said_clearly(clip_folder: Path, tmp_path: Path) -> None:
    config = EncodeConfig(text=str(clip_folder))
    with pytest.raises(DataError, match="run `longdance encode`"):
        TextTable(tmp_path, config, ["x"], 16)
    write_text(tmp_path, config, ["x"])
    with pytest.raises(DataError, match="are 16 wide, the network expects 768"):
        TextTable(tmp_path, config, ["x"], 768)
    with pytest.raises(DataError, match="No CLIP text encoder could be loaded"):
        embed(str(tmp_path), ["x"])

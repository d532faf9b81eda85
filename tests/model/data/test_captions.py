"""Captions: a clip's own before its source's, wrong files refused, and each sample trained under its own prompt."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from model.data.captions import read_captions
from model.data.dataset import load_data
from model.data.latents import encode_dataset
from model.data.samples import read_samples
from model.data.text import TextTable, embed
from model.errors import DataError, RunError
from model.training.train import train
from tests.model.dataset import ENCODE, micro_config
from tests.model.networks import save_clip

CLIPS = {"a1": "a", "a2": "a", "b1": "b"}


def captions(folder: Path, text: str) -> dict[str, str]:
    """What a file of this text says."""
    path = folder / "captions.csv"
    path.write_text(text, encoding="utf-8")
    return read_captions(path, CLIPS)


def test_without_a_file_there_are_no_captions(tmp_path: Path) -> None:
    assert read_captions(tmp_path / "captions.csv", CLIPS) == {}


def test_a_clips_own_caption_goes_before_its_sources(tmp_path: Path) -> None:
    text = 'source_id,clip_id,caption\na,,"a waltz, slowly"\n,a2,a jump\n,b1,\n'
    assert captions(tmp_path, text) == {"a1": "a waltz, slowly", "a2": "a jump"}


def test_one_of_the_id_columns_is_enough_and_others_are_passed_over(tmp_path: Path) -> None:
    text = "\ufeffclip_id,path,caption\r\nb1,/videos/é.mp4,eine Drehung\r\n"
    assert captions(tmp_path, text) == {"b1": "eine Drehung"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clip_id,title\na1,x\n", "columns clip_id, title: expected 'caption'"),
        ("path,caption\nx,y\n", "expected 'caption', and 'clip_id' or 'source_id'"),
        ("", "columns none"),
        ("clip_id,caption\na1,x\na9,y\n", "line 3: this data set has no clip 'a9'"),
        ("source_id,caption\nc,x\n", "line 2: this data set has no source 'c'"),
        ("clip_id,caption\na1,x\na1,y\n", "line 3: 'a1' has a caption already"),
        ("clip_id,caption\na1,slow, fast\n", "line 2: more values than the header"),
        ('clip_id,caption\na1,"slow\nb1,fast\n', "no CSV file"),
        ("clip_id,caption,caption\na1,x,y\n", "a column twice"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_in_one_sentence(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        captions(tmp_path, text)


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "captions.csv").write_bytes("clip_id,caption\na1,é\n".encode("latin-1"))
    with pytest.raises(DataError, match="no CSV file in UTF-8"):
        read_captions(tmp_path / "captions.csv", CLIPS)


def test_each_sample_is_trained_under_its_own_caption_and_a_change_is_refused(
    raw_dataset: Path, tmp_path: Path
) -> None:
    data, clip = tmp_path / "data", tmp_path / "clip"
    shutil.copytree(raw_dataset, data)
    save_clip(clip)
    one, *others = sorted({sample.clip_id for sample in read_samples(data)})
    (data / "captions.csv").write_text(f"clip_id,caption\n{one},a slow turn\n")
    config = micro_config(encode={**ENCODE, "text": str(clip), "prompt": "a dance"}, steps=2, holdout=0)
    with pytest.raises(DataError, match="run `longdance encode"):
        train(data, tmp_path / "run", config)
    encode_dataset(data, config.encode)
    split = load_data(data, config.encode, holdout=0)
    said = {sample.key.removesuffix("v0"): sample.prompt for sample in split.train.samples}
    assert said == {one: "a slow turn", **dict.fromkeys(others, "a dance")}
    table = TextTable(split.latents, config.encode, split.prompts, 16)
    for prompt in ("a slow turn", "a dance"):
        torch.testing.assert_close(table(prompt), embed(str(clip), [prompt])[0], atol=2e-3, rtol=2e-3)
    assert not torch.equal(table("a slow turn"), table("a dance"))
    assert train(data, tmp_path / "run", config).status == "finished"
    (data / "captions.csv").write_text(f"clip_id,caption\n{one},a jump\n")
    encode_dataset(data, config.encode)
    with pytest.raises(RunError, match=r"data\.version"):
        train(data, tmp_path / "run", config)

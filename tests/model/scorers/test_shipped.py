"""The scorers that come along: a person's taste is learnt, the same footage is found again, CLIP is asked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

from data_catalog.base.paths import DataFolder
from flows.catalog.decisions import decide
from flows.catalog.measure_rows import merge_measures
from model.scorers import aesthetic, embeddings
from model.scorers.learnt import area_under_curve, score
from model.scorers.measure import checked_call, measure
from tests.model.dataset import make_dataset
from tests.model.scorers.test_measure import column

NAMES = ("blur", "brightness", "motion_energy", "visibility", "cam_shake", "upscale", "body_size", "filled", "people")


def drawn_clips(count: int, seed: int) -> tuple[list[dict[str, object]], np.ndarray]:
    """Rows of clips from 40 sources, scores correlated and differing in spread, some unknown; (N, F) of their truth."""
    generator = np.random.default_rng(seed)
    mixing = np.eye(len(NAMES)) + 0.3 * generator.normal(size=(len(NAMES), len(NAMES)))
    x_NF = (
        generator.normal(size=(40, len(NAMES))).repeat(count // 40, 0) + generator.normal(size=(count, len(NAMES)))
    ) @ mixing
    spread_F = 10.0 ** np.arange(-4, 5)
    clips = []
    for at, values in enumerate(np.exp(0.3 * x_NF) * spread_F):
        scores = dict(zip(NAMES, map(float, values)))
        if at % 7 == 0:
            scores["people"] = None
        clips.append({"clip_id": f"c{at}", "source_id": f"s{at // (count // 40)}", "decision": None, "scores": scores})
    return clips, x_NF


RULES = {
    "one score": lambda x: x[:, 2] > 0,
    "two scores": lambda x: x[:, 2] - 0.7 * x[:, 0] > 0.2,
    "a middle": lambda x: np.abs(x[:, 1] - np.median(x[:, 1])) < 0.8 * np.std(x[:, 1]),
    "both": lambda x: (x[:, 2] > -0.3) & (x[:, 4] < 0.3),
}


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("rule", RULES)
def test_a_hidden_rule_is_learnt_from_a_hundred_marks_for_clips_of_other_sources(rule, seed, capsys):
    clips, x_NF = drawn_clips(800, seed)
    likes_N = RULES[rule](x_NF)
    sources = np.array([int(str(clip["source_id"])[1:]) for clip in clips])
    inside = np.flatnonzero(sources < 20)
    marked = np.random.default_rng(seed).choice(inside, 100, replace=False)
    for at in marked:
        clips[at]["decision"] = "keep" if likes_N[at] else "drop"
    told_N = np.array([one["score"] for one in score(clips)])
    others = sources >= 20
    assert area_under_curve(told_N[others], likes_N[others].astype(float)) >= 0.9
    assert "learnt from 100 marks; area under the curve on sources left out: 0." in capsys.readouterr().err


def test_marks_without_a_rule_teach_nothing_and_that_is_said(capsys):
    clips, _ = drawn_clips(400, 5)
    for at, keep in zip(range(0, 400, 4), np.random.default_rng(0).random(100) < 0.5):
        clips[at]["decision"] = "keep" if keep else "drop"
    score(clips)
    said = capsys.readouterr().err
    assert float(said.split("left out: ")[1].split(";")[0]) < 0.7


def test_marks_of_a_data_set_become_a_column_and_new_marks_another(tmp_path):
    data = DataFolder(make_dataset(tmp_path / "data", sources=6))
    few = measure(data.root, checked_call("taste", "learnt", {}, None, 60))
    assert "0 clips are marked: mark at least 10" in few.wrong[0]
    clips = [f"s{s}c{c}" for s in range(6) for c in range(2)]
    decide(data, clips[6:], "keep", "anna", "")  # motion_energy rises with the source
    decide(data, clips[:6], "drop", "anna", "")
    done = measure(data.root, checked_call("taste", "learnt", {}, None, 60))
    assert (done.made, done.wrong) == (12, ())
    assert "learnt from 12 marks" in done.said
    merge_measures(data)
    taste = column(data.root, "taste")
    assert min(taste[clip] for clip in clips[6:]) > max(taste[clip] for clip in clips[:6])
    decide(data, clips[:1], "clear", "anna", "")
    assert measure(data.root, checked_call("taste", "learnt", {}, None, 60)).made == 12


def test_the_same_footage_again_is_found_and_a_stranger_stands_out(tmp_path):
    root = make_dataset(tmp_path / "data", sources=4)
    clips = [{"clip_id": f"c{at}", "mp4": str(tmp_path / f"c{at}.mp4")} for at in range(9)]
    from model.data.samples import read_samples
    from pipeline.shards.tar import read_member

    for at, sample in enumerate(read_samples(root)):
        content = read_member(root / "shards" / sample.shard, sample.mp4_offset, sample.mp4_length)
        Path(clips[at]["mp4"]).write_bytes(content)
    shutil.copy(clips[2]["mp4"], clips[8]["mp4"])
    found = embeddings.score(clips)
    alike = [at for at, one in enumerate(found) if one["nearest"] > 0.999]
    assert alike == [2, 8]
    from tests.model.dataset import encode_mp4

    noise = np.random.default_rng(0).integers(0, 256, (25, 32, 32, 3)).astype(np.uint8)
    Path(clips[5]["mp4"]).write_bytes(encode_mp4(noise))
    outliers = [one["outlier"] for one in embeddings.score(clips)]
    assert int(np.argmax(outliers)) == 5


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CLIP with random weights, with the files that a real one has."""
    folder = tmp_path_factory.mktemp("clip")
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    letters = "abcdefghijklmnopqrstuvwxyz,"
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    text = {**small, "vocab_size": len(words), "max_position_embeddings": 77, "eos_token_id": 1, "bos_token_id": 0}
    vision = {**small, "image_size": 32, "patch_size": 8}
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({word: at for at, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    about = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77}
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    return folder


def test_an_aesthetic_score_by_a_clip_of_the_users(tmp_path, clip_folder):
    data = make_dataset(tmp_path / "data", sources=2)
    done = measure(data, checked_call("pretty", "aesthetic", {"clip": str(clip_folder)}, None, 120))
    assert (done.made, done.wrong, done.columns) == (4, (), ("pretty",))
    merge_measures(DataFolder(data))
    assert all(0 < value < 1 for value in column(data, "pretty").values())
    missing = measure(data, checked_call("pretty", "aesthetic", {"clip": "/nowhere"}, None, 120))
    assert "is no folder: give that of a CLIP model" in missing.wrong[0]


def test_a_linear_head_is_used_where_there_is_one(tmp_path, clip_folder):
    from safetensors.numpy import save_file

    data = make_dataset(tmp_path / "data", sources=2)
    head = {"weight": np.zeros((1, 8), np.float32), "bias": np.array([5.5], np.float32)}
    save_file(head, tmp_path / "head.safetensors")
    settings = {"clip": str(clip_folder), "head": str(tmp_path / "head.safetensors")}
    assert measure(data, checked_call("pretty", "aesthetic", settings, None, 120)).made == 4
    merge_measures(DataFolder(data))
    assert set(column(data, "pretty").values()) == {5.5}
    assert aesthetic.SCALE == 100

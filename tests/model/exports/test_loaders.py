"""What each target's loader reads of an export: items, frames, captions, masks, sound.

`datasets` and `webdataset` are the loaders themselves. diffusion-pipe, musubi-tuner and finetrainers do not install
beside longdance on a CPU: their files are read as their documentation says, and checked against a schema of it.
LONGDANCE_MUSUBI=FOLDER, a checkout of musubi-tuner, runs its own loader, too.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tomllib
from pathlib import Path

import av
import numpy as np
import pytest
import webdataset
from PIL import Image

from model.exports.config import export_config
from model.exports.export_data import export_data
from tests.model.dataset import make_dataset
from tests.model.exports.schemas import DiffusionPipe, Finetrainers, FinetrainersValidation, Musubi

FRAMES, SIDE = 25, 32
CAPTIONS = {"s0c0": "she turns\nand jumps", "s3c1": 'a "quoted" step, arms up'}
TRAIN, HELD = 6, 2
PICTURE = [4, 0, 28, 32]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four sources, two clips each; odd sources show their picture in a part of the clip."""
    root = make_dataset(tmp_path_factory.mktemp("export") / "data", picture=[PICTURE])
    rows = "".join(f'{clip},"{text.replace(chr(34), chr(34) * 2)}"\n' for clip, text in CAPTIONS.items())
    (root / "captions.csv").write_text("clip_id,caption\n" + rows)
    return root


def export(data: Path, out: Path, to: str, **more: object) -> Path:
    export_data(data, out, export_config(to=to, holdout=0.3, **more))
    return out / to


def frames_of(video: Path | bytes) -> int:
    with av.open(io.BytesIO(video) if isinstance(video, bytes) else str(video)) as container:
        return sum(1 for _ in container.decode(video=0))


def one_line(caption: str) -> str:
    return " ".join(caption.split())


@pytest.fixture(autouse=True)
def _offline(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))


def test_the_hugging_face_loader_reads_both_splits_with_captions_frames_and_pictures(data, tmp_path):
    import datasets

    folder = export(data, tmp_path, "hf")
    found = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in found.items()} == {"train": TRAIN, "validation": HELD}
    for rows in found.values():
        for row in rows.cast_column("video", datasets.Video(decode=False)):
            assert frames_of(Path(row["video"]["path"])) == FRAMES == row["frames"]
            assert row["text"] == one_line(CAPTIONS.get(row["clip_id"], "a person dancing"))
            assert row["picture"] == ([PICTURE] if int(row["source_id"][-1]) % 2 else [[0, 0, SIDE, SIDE]])
            assert (row["width"], row["height"], row["fps"]) == (SIDE, SIDE, 30.0)


def test_webdataset_reads_every_member_and_a_mask_for_all(data, tmp_path):
    folder = export(data, tmp_path, "webdataset")
    for split, count in (("train", TRAIN), ("validation", HELD)):
        tars = sorted(str(path) for path in (folder / split).glob("*.tar"))
        samples = list(webdataset.WebDataset(tars, shardshuffle=False, empty_check=False))
        assert len(samples) == count
        for sample in samples:
            clip = sample["__key__"][:4]
            assert frames_of(sample["mp4"]) == FRAMES
            assert sample["txt"].decode() == CAPTIONS.get(clip, "a person dancing")
            assert json.loads(sample["json"])["clip_id"] == clip
            assert np.load(io.BytesIO(sample["npy"])).shape == (FRAMES, 33, 4)
            mask = np.asarray(Image.open(io.BytesIO(sample["loss_mask.png"])))
            assert int((mask == 255).sum()) == (24 * 32 if int(clip[1]) % 2 else SIDE * SIDE)


def test_the_hugging_face_loader_reads_the_tars_too(data, tmp_path):
    import datasets

    folder = export(data, tmp_path, "webdataset")
    found = datasets.load_dataset("webdataset", data_dir=str(folder), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in found.items()} == {"train": TRAIN, "validation": HELD}
    assert {"mp4", "txt", "json", "npy", "loss_mask.png"} <= set(found["train"].column_names)


def test_diffusion_pipes_files_are_as_its_example_says(data, tmp_path):
    folder = export(data, tmp_path, "diffusion-pipe", model_fps=24.0)
    for name, split, count in (("dataset", "train", TRAIN), ("validation", "validation", HELD)):
        config = DiffusionPipe.model_validate(tomllib.loads((folder / f"{name}.toml").read_text()))
        [directory] = config.directory
        assert directory.mask_path
        videos = sorted(p for p in Path(directory.path).iterdir() if p.suffix != ".txt")
        assert Path(directory.path) == folder / split
        assert len(videos) == count
        # What its loader does: frames at the model's rate must be as many as the bucket has.
        [(width, height, frames)] = config.size_buckets
        assert (width, height) == (SIDE, SIDE)
        assert frames == 17 <= int(FRAMES * 24 / 30)
        assert frames % 4 == 1
        for video in videos:
            assert video.suffix == ".mp4"
            assert frames_of(video) == FRAMES
            assert video.with_suffix(".txt").read_text() == CAPTIONS.get(video.stem[:4], "a person dancing")
            mask = Image.open(Path(directory.mask_path) / f"{video.stem}.png")
            assert mask.size == (SIDE, SIDE)
            assert mask.convert("RGB").getpixel((0, 16)) == ((0, 0, 0) if int(video.stem[1]) % 2 else (255,) * 3)


def test_musubis_files_are_as_its_documentation_says(data, tmp_path):
    folder = export(data, tmp_path, "musubi")
    for name, count in (("dataset", TRAIN), ("validation", HELD)):
        config = Musubi.model_validate(tomllib.loads((folder / f"{name}.toml").read_text()))
        [videos] = config.datasets
        found = sorted(Path(videos.video_directory).glob("*.mp4"))
        assert len(found) == count
        assert (videos.resolution, videos.max_frames, videos.source_fps) == ((SIDE, SIDE), FRAMES, 30.0)
        for video in found:
            caption = video.with_suffix(config.general.caption_extension).read_text()
            assert caption == CAPTIONS.get(video.stem[:4], "a person dancing")
            assert frames_of(video) == FRAMES


@pytest.mark.skipif("LONGDANCE_MUSUBI" not in os.environ, reason="LONGDANCE_MUSUBI names no checkout of musubi-tuner")
def test_musubis_own_loader_reads_the_export(data, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(Path(os.environ["LONGDANCE_MUSUBI"]) / "src"), *sys.path])
    from musubi_tuner.dataset import config_utils  # type: ignore[import-not-found]

    folder = export(data, tmp_path, "musubi")
    for name, count in (("dataset", TRAIN), ("validation", HELD)):
        user = config_utils.load_user_config(str(folder / f"{name}.toml"))
        maker = config_utils.BlueprintGenerator(config_utils.ConfigSanitizer())
        blueprint = maker.generate(user, argparse.Namespace(debug_dataset=False), architecture="wan")
        [videos] = config_utils.generate_dataset_group_by_blueprint(blueprint.dataset_group).datasets
        items = [item for _, batch in videos.retrieve_latent_cache_batches(1) for item in batch]
        assert len(items) == count
        for item in items:
            # Wan is trained at 16 frames a second: 25 of 30 a second become 13.
            assert np.asarray(item.content).shape == (13, SIDE, SIDE, 3)
            assert item.caption == CAPTIONS.get(Path(item.item_key).stem[:4], "a person dancing")


def test_finetrainers_files_are_as_its_documentation_says(data, tmp_path):
    folder = export(data, tmp_path, "finetrainers")
    training = Finetrainers.model_validate_json((folder / "training.json").read_text())
    [dataset] = training.datasets
    assert dataset.video_resolution_buckets == [(FRAMES, SIDE, SIDE)]
    root = Path(dataset.data_root)
    prompts, videos = ((root / f"{name}.txt").read_text().splitlines() for name in ("prompts", "videos"))
    assert len(prompts) == len(videos) == TRAIN
    for prompt, video in zip(prompts, videos, strict=True):
        assert frames_of(root / video) == FRAMES
        assert prompt == one_line(CAPTIONS.get(Path(video).stem[:4], "a person dancing"))
    held = FinetrainersValidation.model_validate_json((folder / "validation.json").read_text()).data
    assert len(held) == HELD
    assert all(frames_of(Path(one.video_path)) == one.num_frames == FRAMES for one in held)
    assert one_line(CAPTIONS["s0c0"]) in {one.caption for one in held}

"""A sample's filled area: its latents follow from its picture alone, its windows say which of them count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from data_catalog.base.files import read_json
from model.data.codec import load_codec
from model.data.counted import counted_mask
from model.data.dataset import LatentReader, load_data
from model.data.latents import encode_dataset, read_regions, read_video
from model.data.loader import BatchPlan, WindowDataset, window_loader
from model.data.samples import read_samples
from model.errors import DataError
from pipeline.clips.fill import refill
from pipeline.picture_size import PictureSize
from tests.model.dataset import ENCODE, make_dataset, micro_config, micro_encode

PICTURE = [[8, 2, 26, 32]]
MOVING = [[2 * (n % 5), 0, 2 * (n % 5) + 18, 32] for n in range(25)]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two data sets that differ in nothing but the noise that lies outside of their pictures; both encoded."""
    folders = [make_dataset(tmp_path_factory.mktemp("f") / "data", picture=PICTURE, spoil=seed) for seed in (1, 2)]
    for folder in folders:
        encode_dataset(folder, micro_encode())
    return folders


def test_the_latents_of_a_sample_follow_from_its_true_picture_alone(pair: list[Path]) -> None:
    raw = [[path.read_bytes() for path in sorted((data / "shards").glob("*.tar"))] for data in pair]
    assert raw[0][1] != raw[1][1]
    latents = [sorted((data / "latents").glob("*/*.f16")) for data in pair]
    assert [path.read_bytes() for path in latents[0]] == [path.read_bytes() for path in latents[1]]
    codecs = [[p.read_bytes() for p in sorted((data / "codecs").rglob("codec.*"))] for data in pair]
    assert codecs[0] == codecs[1]


def test_frames_come_with_what_lies_outside_made_anew_and_the_region_that_is_true(pair: list[Path]) -> None:
    by_key = {sample.key: sample for sample in read_samples(pair[0])}
    frames, regions = read_regions(pair[0], by_key["s1c0v0"], PictureSize(32, 32))
    assert regions is not None
    assert regions.tolist() == PICTURE
    assert np.array_equal(frames, refill(frames, regions))
    assert read_regions(pair[0], by_key["s0c0v0"], PictureSize(32, 32))[1] is None
    assert read_regions(pair[0], by_key["s1c0v0"], PictureSize(16, 16))[1].tolist() == [[4, 1, 13, 16]]


def test_only_manifests_of_filled_samples_say_what_counts(pair: list[Path]) -> None:
    entries = [e for path in sorted(pair[0].glob("latents/*/*.json")) for e in read_json(path)["samples"]]
    assert {entry["key"][:2]: "counted" in entry for entry in entries} == {
        "s0": False,
        "s1": True,
        "s2": False,
        "s3": True,
    }
    plain = make_dataset(pair[0].parent / "plain", frames=9)
    encode_dataset(plain, micro_encode())
    assert all(
        set(e) == {"key", "offset", "frames"} for p in plain.glob("latents/*/*.json") for e in read_json(p)["samples"]
    )


def test_batches_carry_a_mask_where_a_sample_needs_one_and_none_elsewhere(pair: list[Path]) -> None:
    split = load_data(pair[0], micro_encode(), holdout=0.0)
    dataset = WindowDataset(split.train, "starter", seed=0, batch=2)
    codec = load_codec(split.codec_folder)
    seen = set()
    for batch in window_loader(dataset, BatchPlan(2).positions(0, 0, 12), workers=2):
        filled = [split.train.samples[sample].counted is not None for sample in batch.samples]
        seen.add(tuple(filled))
        if not any(filled):
            assert batch.counted_BFHW is None
            continue
        assert batch.counted_BFHW is not None
        assert batch.counted_BFHW.shape == (2, *batch.latents_BFCHW.shape[1:2], *batch.latents_BFCHW.shape[3:])
        for mask, sample, window, is_filled in zip(batch.counted_BFHW, batch.samples, batch.windows, filled):
            cells = split.train.samples[sample].counted
            shape = (codec.picture.height // codec.factor, codec.picture.width // codec.factor)
            expected = counted_mask(cells, window.frames, *shape) if is_filled else np.ones(mask.shape, bool)
            assert torch.equal(mask, torch.from_numpy(expected))
    assert len(seen) >= 3


def test_a_moving_rectangle_gives_each_frame_cells_of_its_own(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", picture=MOVING)
    encode_dataset(data, micro_encode())
    split = load_data(data, micro_encode(), holdout=0.0)
    reader = LatentReader(split.train)
    place = next(n for n, sample in enumerate(split.train.samples) if sample.counted is not None)
    masks = reader.counted(place, [0, 4, 5])
    assert masks is not None
    assert np.array_equal(masks[0], masks[2])
    assert not np.array_equal(masks[0], masks[1])


def test_a_picture_too_narrow_for_any_latent_is_refused_with_a_way_out(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", picture=[[14, 0, 18, 32]])
    with pytest.raises(DataError, match=r"shows so little of its picture.*raise encode\.picture"):
        encode_dataset(data, micro_encode())


def test_clips_of_another_shape_than_encode_picture_are_refused_with_theirs(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", side=32, height=64)
    with pytest.raises(DataError, match=r"has 32x64 pixels and encode\.picture is 32x32"):
        encode_dataset(data, micro_encode())
    encode = micro_config(encode={**ENCODE, "picture": "16x32"}).encode
    encode_dataset(data, encode)
    split = load_data(data, encode, holdout=0.0)
    assert split.train.shape == (4, 8, 4)
    assert read_video(data, read_samples(data)[0], encode.size).shape == (25, 32, 16, 3)

"""Encoding: once, completely, and again only what is missing."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from data_catalog.base.errors import LongdanceError
from data_catalog.base.files import read_json, sealed, write_json
from data_catalog.connection import open_catalog
from data_catalog.writes import merge_latents
from model.data.codec import load_codec
from model.data.dataset import LatentReader, load_data
from model.data.latents import (
    codec_folder,
    encode_dataset,
    latent_rows,
    latents_manifests,
    read_video,
    verify_latents,
)
from model.data.samples import read_samples
from model.errors import CodecError, DataError
from pipeline.picture_size import PictureSize
from tests.model.dataset import ENCODE, micro_config, micro_encode

ROOT = Path(__file__).parents[3]


@pytest.fixture
def data(raw_dataset: Path, tmp_path: Path) -> Path:
    """A data set of one's own, without latents."""
    shutil.copytree(raw_dataset, tmp_path / "data")
    return tmp_path / "data"


def test_latents_are_the_codec_of_the_videos_frames(dataset: Path) -> None:
    split = load_data(dataset, micro_encode(), holdout=0.0)
    codec = load_codec(split.codec_folder)
    reader = LatentReader(split.train)
    by_key = {sample.key: sample for sample in read_samples(dataset)}
    for number, entry in enumerate(split.train.samples):
        frames = read_video(dataset, by_key[entry.key], PictureSize(32, 32))
        expected = codec.encode(frames).half().numpy()
        assert np.array_equal(reader.read(number, range(len(frames))), expected)


def test_encoding_again_does_nothing_and_only_the_missing_is_made(data: Path) -> None:
    seen: list[tuple[int, int]] = []
    first = encode_dataset(data, micro_encode(), lambda done, total: seen.append((done, total)))
    assert (first.encoded_shards, first.skipped_shards, first.samples) == (2, 0, 8)
    assert seen == [(4, 8), (8, 8)]
    bytes_before = {path: path.read_bytes() for path in first.folder.iterdir()}
    assert encode_dataset(data, micro_encode()).encoded_shards == 0
    victim = first.manifests[1].with_suffix(".f16")
    os.truncate(victim, 100)
    assert encode_dataset(data, micro_encode()).encoded_shards == 1
    assert {path: path.read_bytes() for path in first.folder.iterdir()} == bytes_before


def test_the_codec_stays_as_it_was_fitted_and_another_config_lies_beside_it(data: Path) -> None:
    first = encode_dataset(data, micro_encode())
    other = micro_config(encode={**ENCODE, "channels": 3}).encode
    second = encode_dataset(data, other)
    assert first.codec != second.codec
    assert first.folder != second.folder
    assert encode_dataset(data, micro_encode()).codec == first.codec


def test_rows_for_the_catalog_name_every_sample_once(dataset: Path, data: Path) -> None:
    result = encode_dataset(data, micro_encode())
    rows = [row for manifest in result.manifests for row in latent_rows(manifest)]
    with open_catalog(data / "catalog.duckdb") as catalog:
        merge_latents(catalog, rows)
        stored = catalog.execute('SELECT sample_key, "offset", length FROM latents ORDER BY 1').fetchall()
    assert [row[0] for row in stored] == [sample.key for sample in read_samples(data)]
    assert {length for _, _, length in stored} == {25 * 4 * 8 * 8 * 2}


def test_a_flipped_bit_in_the_latents_is_found(data: Path) -> None:
    manifest = encode_dataset(data, micro_encode()).manifests[0]
    assert verify_latents(manifest)
    path = manifest.parent / read_json(manifest)["file"]
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    assert not verify_latents(manifest)
    other = encode_dataset(data, micro_encode()).manifests[1]
    other.write_text("{")
    assert [verify_latents(path) for path in latents_manifests(data)] == [False, False]


def test_a_manifest_that_is_not_as_it_was_written_is_refused_and_made_anew(data: Path) -> None:
    manifest = encode_dataset(data, micro_encode()).manifests[0]
    whole = read_json(manifest)
    moved = [{**entry, "offset": entry["offset"] + 2} for entry in whole["samples"]]
    for damage in ({"samples": moved}, {"shape": [4, 8, 4]}, {"samples": moved[1:]}):
        write_json(manifest, {**whole, **damage})
        with pytest.raises(DataError, match="no latents yet: run `longdance encode"):
            load_data(data, micro_encode(), holdout=0.0)
        assert encode_dataset(data, micro_encode()).encoded_shards == 1
        assert read_json(manifest) == whole
    write_json(manifest, sealed({**whole, "samples": whole["samples"][1:]}))  # of a data set that has grown since
    with pytest.raises(DataError, match="no latents yet"):
        load_data(data, micro_encode(), holdout=0.0)


def test_a_codec_that_is_damaged_is_one_sentence(data: Path) -> None:
    encode_dataset(data, micro_encode())
    for damage in ("{", "[]", '{"kind": "lapped patches"}'):
        (codec_folder(data, micro_encode()) / "codec.json").write_text(damage)
        for touch in (
            lambda: load_data(data, micro_encode(), holdout=0.0),
            lambda: encode_dataset(data, micro_encode()),
        ):
            with pytest.raises(CodecError, match=r"is damaged .*restore it from a copy"):
                touch()


def test_an_autoencoder_folder_goes_through_the_same_path(data: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=(4, 4),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=2,
    )
    vae.save_pretrained(tmp_path / "model" / "vae")
    config = micro_config(
        encode={"codec": str(tmp_path / "model"), "picture": 32, "text": "zeros", "patch": 4, "channels": 4}
    ).encode
    result = encode_dataset(data, config)
    split = load_data(data, config, holdout=0.0)
    assert split.codec == result.codec
    assert split.train.shape == (4, 16, 16)
    assert LatentReader(split.train).read(0, [3, 4]).std() > 0


def test_a_shard_that_is_cut_short_is_said_clearly(data: Path) -> None:
    for shard in (data / "shards").iterdir():
        os.truncate(shard, 2000)
    with pytest.raises(DataError, match=r"cannot be read .*rebuild its shard"):
        encode_dataset(data, micro_encode())


def test_no_data_set_is_said_clearly(tmp_path: Path) -> None:
    with pytest.raises(LongdanceError, match=r"holds no data set: run `longdance build RAW --data .*` first"):
        encode_dataset(tmp_path, micro_encode())


def test_samples_without_latents_are_said_clearly(data: Path) -> None:
    with pytest.raises(DataError, match="no latents of this codec: run `longdance encode"):
        load_data(data, micro_encode(), holdout=0.0)
    result = encode_dataset(data, micro_encode())
    result.manifests[0].unlink()
    with pytest.raises(DataError, match="no latents yet: run `longdance encode"):
        load_data(data, micro_encode(), holdout=0.0)


def test_the_folder_of_a_codec_does_not_depend_on_the_prompt(data: Path) -> None:
    config = micro_encode()
    assert codec_folder(data, config) == codec_folder(data, config.model_copy(update={"prompt": "a cat"}))
    assert dataclasses.is_dataclass(encode_dataset(data, config))


def test_two_trainings_that_begin_together_encode_once_between_them(data: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path; from model.data.latents import encode_dataset\n"
        "from tests.model.dataset import micro_encode\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "print(encode_dataset(Path(sys.argv[1]), micro_encode()).encoded_shards)"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    encoded = []
    for process in both:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in both:
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        encoded.append(int(out))
    assert sum(encoded) == len({sample.shard for sample in read_samples(data)})
    assert all(verify_latents(path) for path in encode_dataset(data, micro_encode()).manifests)


@pytest.mark.parametrize("damage", ["", "{", "[]"])
def test_a_damaged_manifest_is_made_anew_and_said_where_it_is_read(data: Path, damage: str) -> None:
    first = encode_dataset(data, micro_encode()).manifests[0]
    whole = first.read_bytes()
    first.write_text(damage)
    with pytest.raises(DataError, match="longdance encode"):
        load_data(data, micro_encode(), holdout=0.0)
    assert encode_dataset(data, micro_encode()).encoded_shards == 1
    assert first.read_bytes() == whole

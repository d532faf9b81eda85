"""Poses of training windows: what is stored, at the pictures' size, and noise that is a function of the position."""

from pathlib import Path

import numpy as np
import pytest
import torch

from data_catalog.base.errors import LongdanceError
from model.data.dataset import LatentReader, load_data
from model.data.landmarks import clip_landmarks, read_landmarks
from model.data.loader import training_windows_of
from model.data.poses import PoseNoise, PoseReader, pose_reader
from model.plans.stages import Window
from pipeline.picture_size import PictureSize
from tests.model.dataset import dancing_joints, make_dataset, micro_config, micro_encode

WINDOW = Window((3,), (8, 9, 12), first=3)


@pytest.fixture
def reader(dataset: Path) -> LatentReader:
    """Of the samples that are trained on, with their poses."""
    return LatentReader(load_data(dataset, micro_encode(), 0.3, pose=True).train)


def test_landmarks_of_a_window_are_those_of_the_sample_at_the_pictures_size(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", side=64)
    clip = clip_landmarks(data, "s0c1", PictureSize(32, 32))
    assert np.allclose(clip[..., :3], read_landmarks(data, "s0c1")[..., :3] / 2)
    assert np.allclose(read_landmarks(data, "s0c1"), dancing_joints(25, 64, 1))


def test_any_frames_of_a_window_are_read(reader: LatentReader) -> None:
    whole = reader.landmarks(0, range(25))
    assert np.array_equal(reader.landmarks(0, (3, 8, 9, 24)), whole[[3, 8, 9, 24]])


@pytest.mark.parametrize("frames", [(3, 25), (40, 41)])
def test_frames_that_are_not_there_are_an_error(reader: LatentReader, frames: tuple[int, ...]) -> None:
    with pytest.raises(LongdanceError, match="cannot be read"):
        reader.landmarks(0, frames)


def test_a_shard_without_landmarks_is_told_in_a_sentence(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data")
    for shard in (data / "shards").glob("*.tar"):
        content = shard.read_bytes()
        shard.write_bytes(content.replace(b"\x93NUMPY", b"\x00NUMPY"))
    with pytest.raises(LongdanceError, match=r"landmarks of sample s0c0v0 cannot be read .*rebuild its shard"):
        clip_landmarks(data, "s0c0", PictureSize(32, 32))


def test_a_run_without_poses_reads_none(dataset: Path) -> None:
    config = micro_config()
    split = load_data(dataset, config.encode, 0.3)
    assert pose_reader(config, split) is None
    windows = training_windows_of(config, split)
    assert windows.fill(windows.empty([0, 1])).pose is None


def test_batches_of_poses_are_a_function_of_their_positions(dataset: Path) -> None:
    config = micro_config("star", pose_dropout=0.5, pose_jitter=0.02, pose_missing=0.2)
    split = load_data(dataset, config.encode, 0.3, pose=True)
    first, again = (training_windows_of(config, split) for _ in range(2))
    batches = [first.fill(first.empty([n, n + 1])) for n in (0, 2, 4, 6)]
    assert batches[0].pose is not None
    other = again.fill(again.empty([4, 5])).pose
    assert other is not None
    assert batches[2].pose is not None
    assert torch.equal(batches[2].pose.limbs_BFMHW, other.limbs_BFMHW)
    told = torch.cat([batch.pose.told_B for batch in batches if batch.pose is not None])
    assert told.any()
    assert not told.all()


def test_noise_is_on_frames_that_are_made_and_on_no_hint(dataset: Path, reader: LatentReader) -> None:
    config = micro_config("star")
    codec = pose_reader(config, load_data(dataset, config.encode, 0.3, pose=True))
    assert codec is not None
    latents = torch.from_numpy(reader.read(0, WINDOW.frames)).float()
    clean, noisy = (
        PoseReader(codec.codec, 0, noise).read(reader, 5, 0, WINDOW, latents)
        for noise in (PoseNoise(), PoseNoise(jitter=0.05))
    )
    assert torch.equal(clean.limbs_BFMHW[:, 0], noisy.limbs_BFMHW[:, 0])
    assert not torch.equal(clean.limbs_BFMHW[:, 1], noisy.limbs_BFMHW[:, 1])

"""Codecs: what comes back, what names them, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from model.data.codec import KLCodec, fit_patch_codec, lapping_filter, load_codec, resize_frames
from model.errors import CodecError
from pipeline.picture_size import PictureSize
from tests.model.dataset import moving_square


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.mean((a.astype(float) - b.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


@pytest.fixture(scope="module")
def vae_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small AutoencoderKL as diffusers saves it, with a shift as newer ones have."""
    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=4,
        norm_num_groups=4,
        scaling_factor=0.18215,
        shift_factor=0.1,
    )
    folder = tmp_path_factory.mktemp("vae")
    vae.save_pretrained(folder)
    return folder


def test_the_patch_codec_half_whitens_and_brings_pictures_back() -> None:
    frames = moving_square(16, 64, 0)
    codec = fit_patch_codec(frames, patch=4, channels=16)
    latents = codec.encode(frames)
    assert latents.shape == (16, 16, 16, 16)
    assert (codec.channels, codec.factor, codec.picture) == (16, 4, (64, 64))
    variance_C = latents.var(dim=(0, 2, 3))
    kept_C = (variance_C > 0.1).nonzero().ravel()
    assert (variance_C[kept_C].diff() < 0).all()  # half whitened: the order of the components still shows
    std_C = latents.std(dim=(0, 2, 3)) * codec.scale  # of the components before scaling
    assert torch.allclose(variance_C[kept_C] * std_C[0], variance_C[0] * std_C[kept_C], rtol=0.05)
    assert psnr(codec.decode(latents.half().float()), frames) > 30


def test_the_patch_codec_is_exact_with_all_components() -> None:
    frames = moving_square(4, 16, 1)
    codec = fit_patch_codec(frames, patch=2, channels=12)
    assert np.array_equal(codec.decode(codec.encode(frames)), frames)


@pytest.mark.parametrize("patch", [1, 2, 3, 4, 8])
def test_patches_that_overlap_are_exact_with_all_components(patch: int) -> None:
    frames = np.random.default_rng(2).integers(0, 256, (3, 24, 24, 3)).astype(np.uint8)
    codec = fit_patch_codec(frames, patch, channels=3 * patch**2)
    assert np.array_equal(codec.decode(codec.encode(frames)), frames)


@pytest.mark.parametrize("patch", [2, 4, 8])
def test_the_lapping_filter_is_orthonormal_and_blurs_a_lost_patch_into_its_neighbours(patch: int) -> None:
    matrix = lapping_filter(patch)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(2 * (patch // 2)), atol=1e-12)
    frames = np.full((1, 3 * patch, 3 * patch, 3), 128, np.uint8)
    frames[:, patch : 2 * patch, patch : 2 * patch] = 255
    codec = fit_patch_codec(np.concatenate([frames, moving_square(4, 3 * patch, 3)]), patch, 3 * patch**2)
    latents = codec.encode(frames)
    latents[:, :, 1, 1] = 0
    lost = np.abs(codec.decode(latents).astype(int) - frames)[0].max(-1)
    if patch > 2:  # a filter over two pixels is the identity
        assert lost[patch - 1, patch + patch // 2] > 0
    assert lost[0, 0] == 0


def test_fitting_is_deterministic_and_the_hash_names_the_codec() -> None:
    frames = moving_square(8, 32, 2)
    codec = fit_patch_codec(frames, 4, 8)
    assert codec.hash == fit_patch_codec(frames, 4, 8).hash
    assert codec.hash != fit_patch_codec(frames, 4, 7).hash
    assert codec.hash != fit_patch_codec(moving_square(8, 32, 3), 4, 8).hash


def test_a_flat_data_set_does_not_divide_by_zero() -> None:
    frames = np.full((2, 16, 16, 3), 77, np.uint8)
    codec = fit_patch_codec(frames, 4, 8)
    latents = codec.encode(frames)
    assert latents.isfinite().all()
    assert np.array_equal(codec.decode(latents), frames)


def test_a_saved_codec_loads_as_the_same_function(tmp_path: Path, vae_folder: Path) -> None:
    frames = moving_square(3, 32, 4)
    for number, codec in enumerate((fit_patch_codec(frames, 4, 8), KLCodec(str(vae_folder), PictureSize(32, 32)))):
        codec.save(tmp_path / str(number))
        loaded = load_codec(tmp_path / str(number))
        assert loaded.hash == codec.hash
        assert torch.equal(loaded.encode(frames), codec.encode(frames))
        assert not list((tmp_path / str(number)).glob("*.pkl"))


def test_the_kl_codec_is_the_posteriors_mean_shifted_and_scaled(vae_folder: Path) -> None:
    frames = moving_square(3, 32, 5)
    codec = KLCodec(str(vae_folder), PictureSize(32, 32))
    latents = codec.encode(frames)
    assert (codec.channels, codec.factor, latents.shape) == (4, 4, (3, 4, 8, 8))
    vae = AutoencoderKL.from_pretrained(vae_folder)
    signed = torch.from_numpy(frames).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        mean = vae.encode(signed).latent_dist.mean
        decoded = vae.decode(mean).sample.permute(0, 2, 3, 1)
    torch.testing.assert_close(latents, (mean - 0.1) * 0.18215)
    expected = ((decoded + 1) * 127.5).round().clamp(0, 255).numpy()
    assert np.abs(codec.decode(latents).astype(float) - expected).max() <= 1


def test_a_kl_codec_whose_weights_changed_is_refused(vae_folder: Path, tmp_path: Path) -> None:
    vae = AutoencoderKL.from_pretrained(vae_folder)
    vae.save_pretrained(tmp_path / "vae")
    KLCodec(str(tmp_path / "vae"), PictureSize(32, 32)).save(tmp_path / "codec")
    with torch.no_grad():
        next(vae.parameters()).add_(0.01)
    vae.save_pretrained(tmp_path / "vae")
    with pytest.raises(CodecError, match="weights have changed"):
        load_codec(tmp_path / "codec")


def test_a_folder_without_an_autoencoder_is_said_clearly(tmp_path: Path) -> None:
    with pytest.raises(CodecError, match="No AutoencoderKL could be loaded"):
        KLCodec(str(tmp_path), PictureSize(32, 32))
    with pytest.raises(CodecError, match="run `longdance encode`"):
        load_codec(tmp_path)


def test_wrong_frames_are_refused() -> None:
    codec = fit_patch_codec(moving_square(2, 16, 0), 4, 4)
    with pytest.raises(CodecError, match="not a multiple of 4"):
        codec.encode(np.zeros((1, 18, 16, 3), np.uint8))
    with pytest.raises(CodecError, match="uint8"):
        codec.encode(np.zeros((1, 16, 16, 3), np.float32))


def test_resizing_averages_areas() -> None:
    frames = np.zeros((1, 4, 4, 3), np.uint8)
    frames[0, :2, :2] = [[[0], [100]], [[100], [200]]]
    assert resize_frames(frames, PictureSize(2, 2))[0, 0, 0].tolist() == [100, 100, 100]

"""Frames to latents and back, behind one small interface: `channels`, `factor`, `hash`, encode, decode, save."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from data_catalog.base.files import atomic, canonical_json, read_json, write_json
from model.errors import CodecError
from model.sources import CODEC_FILE
from pipeline.picture_size import PictureSize

_BATCH = 16
"""Frames that an AutoencoderKL sees at once: bounds its memory at 512x512 to about 4 GiB."""


class Codec(Protocol):
    """What training and generation need of a codec."""

    channels: int
    factor: int
    """Pixels per latent, along a side."""
    reach: int
    """Pixels by which a latent reaches beyond its own block of `factor` x `factor`."""
    picture: PictureSize
    """Of the pictures that it encodes."""
    is_network: bool
    """Whether it costs so much that training cannot run it."""
    hash: str
    """Names the exact function from frames to latents."""

    def encode(self, frames_FHWC: np.ndarray) -> torch.Tensor:
        """uint8 RGB frames to float32 latents (F, channels, H / factor, W / factor), about unit variance."""

    def decode(self, latents_FCHW: torch.Tensor) -> np.ndarray:
        """Latents to uint8 RGB frames (F, H, W, 3)."""

    def save(self, folder: Path) -> None:
        """Write what `load_codec` needs into `folder`."""


def resize_frames(frames_FHWC: np.ndarray, size: PictureSize) -> np.ndarray:
    """uint8 frames scaled to this size by area averaging."""
    if frames_FHWC.shape[1:3] == (size.height, size.width):
        return frames_FHWC
    return np.stack([cv2.resize(frame, tuple(size), interpolation=cv2.INTER_AREA) for frame in frames_FHWC])


def _to_signed(frames_FHWC: np.ndarray, factor: int) -> torch.Tensor:
    if frames_FHWC.dtype != np.uint8 or frames_FHWC.ndim != 4 or frames_FHWC.shape[3] != 3:
        raise CodecError(
            f"Frames of {frames_FHWC.dtype} {frames_FHWC.shape} were given, uint8 (F, H, W, 3) were expected."
        )
    if frames_FHWC.shape[1] % factor or frames_FHWC.shape[2] % factor:
        raise CodecError(f"Frames of {frames_FHWC.shape[1:3]} pixels are not a multiple of {factor}: resize them.")
    return torch.from_numpy(frames_FHWC).permute(0, 3, 1, 2).float() / 127.5 - 1


def _to_uint8(pictures_FCHW: torch.Tensor) -> np.ndarray:
    levels = ((pictures_FCHW.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(levels.permute(0, 2, 3, 1).cpu().numpy())


def lapping_filter(side: int) -> np.ndarray:
    """The orthonormal pre-filter (M, M) over the M = 2 floor(side / 2) pixels around a border between patches.

    With it a patch's components reach into its neighbours and fade out there, so that what is uncertain comes out
    blurred and not in blocks: Tran, Liang & Tu 2003, "Lapped transform via time-domain pre- and post-filtering",
    eq. 8, with V of the type-II fast lapped orthogonal transform (eq. 10).
    """
    half = side // 2
    n = np.arange(half)
    dct2 = np.sqrt(2 / half) * np.cos(np.pi / half * (n[None] + 0.5) * n[:, None])
    dct2[0] /= np.sqrt(2)
    dct4 = np.sqrt(2 / half) * np.cos(np.pi / half * (n[None] + 0.5) * (n[:, None] + 0.5))
    one, flip = np.eye(half), np.eye(half)[::-1]
    turn = flip @ dct2.T @ dct4 @ flip
    butterfly = np.block([[one, flip], [flip, -one]])
    middle = np.block([[one, np.zeros_like(one)], [np.zeros_like(one), turn]])
    return np.array(0.5 * butterfly @ middle @ butterfly)


def _lap(pictures_FCHW: torch.Tensor, side: int, inverse: bool = False) -> torch.Tensor:
    """Filter across every border between patches, along both sides of the picture; exactly invertible."""
    if side < 2:
        return pictures_FCHW
    matrix = torch.from_numpy(lapping_filter(side)).to(pictures_FCHW)
    matrix = matrix.T if inverse else matrix
    half, result = side // 2, pictures_FCHW.clone()
    for axis in (2, 3):
        count = result.shape[axis] // side
        for border in range(side, count * side, side):
            strip = result.narrow(axis, border - half, 2 * half)
            strip.copy_(torch.movedim(torch.movedim(strip, axis, -1) @ matrix.T, -1, axis))
    return result


class PatchCodec:
    """Lapped orthonormal patches: each p x p patch's leading principal components, half whitened.

    A component's scale is the geometric mean of its own standard deviation and the average one. Full whitening
    makes the diffusion loss spend itself on fine texture; no scaling at all, on flat colour.
    """

    is_network = False

    def __init__(
        self, mean_D: torch.Tensor, basis_DC: torch.Tensor, scale_C: torch.Tensor, picture: PictureSize
    ) -> None:
        self.mean, self.basis, self.scale = mean_D, basis_DC, scale_C
        self.picture = picture
        self.factor = round((mean_D.numel() / 3) ** 0.5)
        self.reach = self.factor // 2
        self.channels = scale_C.numel()
        digest = hashlib.sha256(canonical_json(self._header()))
        for tensor in (mean_D, basis_DC, scale_C):
            digest.update(tensor.numpy().astype("<f4").tobytes())
        self.hash = digest.hexdigest()

    def _header(self) -> dict[str, Any]:
        return {
            "kind": "lapped patches",
            "picture": self.picture.short,
            "patch": self.factor,
            "channels": self.channels,
        }

    def encode(self, frames_FHWC: np.ndarray) -> torch.Tensor:
        """See `Codec.encode`."""
        signed_FCHW = _to_signed(frames_FHWC, self.factor)
        patches_FDHW = torch.nn.functional.pixel_unshuffle(_lap(signed_FCHW, self.factor), self.factor)
        latents_FHWC = ((patches_FDHW.permute(0, 2, 3, 1) - self.mean) @ self.basis) / self.scale
        return latents_FHWC.permute(0, 3, 1, 2).contiguous()

    def decode(self, latents_FCHW: torch.Tensor) -> np.ndarray:
        """See `Codec.decode`."""
        latents_FHWC = latents_FCHW.detach().cpu().float().permute(0, 2, 3, 1)
        patches_FHWD = (latents_FHWC * self.scale) @ self.basis.T + self.mean
        lapped_FCHW = torch.nn.functional.pixel_shuffle(patches_FHWD.permute(0, 3, 1, 2), self.factor)
        return _to_uint8(_lap(lapped_FCHW, self.factor, inverse=True))

    def save(self, folder: Path) -> None:
        """See `Codec.save`."""
        tensors = {"mean": self.mean, "basis": self.basis, "scale": self.scale}
        with atomic(folder / "codec.safetensors") as temp:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temp)
        write_json(folder / CODEC_FILE, {**self._header(), "hash": self.hash})


def fit_patch_codec(frames_FHWC: np.ndarray, patch: int, channels: int) -> PatchCodec:
    """The PCA of all patches of `frames` (uint8): same frames, same codec, bit for bit on one machine."""
    signed_FCHW = _to_signed(frames_FHWC, patch)
    patches_FDHW = torch.nn.functional.pixel_unshuffle(_lap(signed_FCHW, patch), patch)
    patches_ND = patches_FDHW.permute(0, 2, 3, 1).flatten(0, 2).double().numpy()
    mean = patches_ND.mean(0)
    centred = patches_ND - mean
    variances, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    basis = vectors[:, ::-1][:, :channels]
    strongest = basis[np.abs(basis).argmax(0), np.arange(channels)]
    basis = basis * np.sign(strongest)
    # A component without variance (flat pictures) would divide by zero: one grey level is the floor.
    std = np.sqrt(variances[::-1][:channels].clip(min=(1 / 127.5) ** 2))
    scale = np.sqrt(std * std.mean())
    mean_D, basis_DC, scale_C = (torch.from_numpy(np.array(x, np.float32)) for x in (mean, basis, scale))
    return PatchCodec(mean_D, basis_DC, scale_C, PictureSize(frames_FHWC.shape[2], frames_FHWC.shape[1]))


class KLCodec:
    """diffusers' `AutoencoderKL`: the posterior's mean, shifted and scaled as its config says.

    Its `reach` is 0: its convolutions and its attention see the whole picture, little of what is far.
    """

    is_network = True

    def __init__(self, source: str, picture: PictureSize, device: str = "cpu") -> None:
        self.source, self.picture = source, picture
        self._vae = _load_vae(source).to(device).eval().requires_grad_(False)
        config = self._vae.config
        self.channels = config.latent_channels
        self.factor, self.reach = 2 ** (len(config.block_out_channels) - 1), 0
        self._scale, self._shift = config.scaling_factor, config.shift_factor or 0.0
        digest = hashlib.sha256(canonical_json({"kind": "autoencoder_kl", "picture": picture.short}))
        digest.update(canonical_json([self._scale, self._shift]))
        for name, tensor in sorted(self._vae.state_dict().items()):
            digest.update(name.encode() + tensor.cpu().float().numpy().tobytes())
        self.hash = digest.hexdigest()

    @torch.inference_mode()
    def encode(self, frames_FHWC: np.ndarray) -> torch.Tensor:
        """See `Codec.encode`."""
        parts = _to_signed(frames_FHWC, self.factor).split(_BATCH)
        means = [self._vae.encode(part.to(self._vae.device)).latent_dist.mean.cpu() for part in parts]
        return (torch.cat(means) - self._shift) * self._scale

    @torch.inference_mode()
    def decode(self, latents_FCHW: torch.Tensor) -> np.ndarray:
        """See `Codec.decode`."""
        latents = latents_FCHW.to(self._vae.device).float() / self._scale + self._shift
        return np.concatenate([_to_uint8(self._vae.decode(part).sample) for part in latents.split(_BATCH)])

    def save(self, folder: Path) -> None:
        """See `Codec.save`. The weights stay where they are; their hash is checked on loading."""
        record = {"kind": "autoencoder_kl", "source": self.source, "picture": self.picture.short, "hash": self.hash}
        write_json(folder / CODEC_FILE, record)


def _load_vae(source: str) -> Any:
    from diffusers import AutoencoderKL  # seconds of import that the embedded codec does not need

    root = Path(source)
    subfolder = "" if root.is_dir() and not (root / "vae").is_dir() else "vae"
    try:
        return AutoencoderKL.from_pretrained(source, subfolder=subfolder, use_safetensors=True)
    except (OSError, ValueError) as error:
        raise CodecError(
            f"No AutoencoderKL could be loaded from {source!r} ({str(error).splitlines()[0]}): give a folder in "
            "diffusers' format or a hub id that can be reached."
        ) from error


def codec_hash(folder: Path) -> str:
    """The hash of the codec that `save` wrote into `folder`. Raises CodecError if it is damaged."""
    try:
        return str(read_json(folder / CODEC_FILE)["hash"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, type(error).__name__) from error


def _damaged(folder: Path, why: str) -> CodecError:
    return CodecError(f"The codec in {folder} is damaged ({why}): restore it from a copy (each run holds one).")


def load_codec(folder: Path, device: str = "cpu") -> Codec:
    """The codec that `save` wrote into `folder`. Raises CodecError if it is missing or no longer the same."""
    path = folder / CODEC_FILE
    if not path.is_file():
        raise CodecError(f"There is no codec in {folder}: run `longdance encode`, or put a run's back.")
    codec: Codec
    try:
        record = read_json(path)
        picture = PictureSize.parse(record["picture"])
        if record["kind"] == "lapped patches":
            tensors = load_file(folder / "codec.safetensors")
            codec = PatchCodec(tensors["mean"], tensors["basis"], tensors["scale"], picture)
        else:
            codec = KLCodec(record["source"], picture, device)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise _damaged(folder, type(error).__name__) from error
    if codec.hash != record.get("hash"):
        where = record.get("source", "the folder from a copy (each run holds one)")
        raise CodecError(
            f"The codec in {folder} is no longer the one that was saved, its weights have changed: put back {where}."
        )
    return codec

"""What a window's hints show of each frame's pose: every hint moved there part by part, and blended.

Where a codec costs next to nothing (patches), the pictures behind the latents are moved, which keeps them sharp, and
with smooth outlines; where it is a network, the latents themselves are, so that training runs none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from model.data.codec import Codec
from model.data.outlines import outline_at
from model.network.conditioning import HINT_DRIFT, PoseConditioning
from model.pose.body_parts import HIPS, SHOULDERS
from model.pose.limb_map import limb_maps, to_cells
from model.pose.paint import behind, warp_picture
from model.pose.smooth_warp import smoothly_warped
from model.pose.warp import reference_of, warp_field
from pipeline.analysis.pose import MAIN
from pipeline.picture_size import PictureSize

LEAST = 1e-3
"""Weight of a hint where it knows nothing, so that what no hint knows is still a guess."""


def is_known(landmarks_FJ4: np.ndarray, given_F: np.ndarray) -> bool:
    """Whether a window's poses can be told: of given frames all main joints, of others the trunk."""
    finite_FJ = np.isfinite(landmarks_FJ4).all(-1)
    return bool(finite_FJ[given_F][:, MAIN].all() and finite_FJ[:, [*SHOULDERS, *HIPS]].all())


def pose_conditioning(
    codec: Codec,
    latents_FCHW: Tensor,
    frames: Sequence[int],
    hints: Sequence[int],
    landmarks_FJ4: np.ndarray,
    outlines: Mapping[int, np.ndarray] = MappingProxyType({}),
) -> PoseConditioning:
    """One window's poses for a network (batch of 1), from clean latents of its hints.

    Args:
        latents_FCHW: of all frames of the window; those of hints are read.
        frames: their numbers, ascending; `hints` are among them.
        landmarks_FJ4: (F, 33, 4) in pixels of the codec's pictures.
        outlines: of hints, by their number, where the dancer is in the codec's picture, (H, W) bool, as far as known.
    """
    known = is_known(landmarks_FJ4, np.array([frame in hints for frame in frames]))
    height, width = latents_FCHW.shape[-2:]
    maps = limb_maps(to_cells(landmarks_FJ4, codec.factor), (height, width))
    warped, unknown = latents_FCHW.clone(), torch.zeros(len(frames), height, width)
    if known:
        targets = [place for place, frame in enumerate(frames) if frame not in hints]
        moved = [
            _moved(codec, latents_FCHW, frames.index(hint), targets, landmarks_FJ4, outlines.get(hint))
            for hint in hints
        ]
        apart = np.array([[abs(frames[t] - hint) for t in targets] for hint in hints])
        warped[targets], unknown[targets] = _blended(moved, apart)
    limbs = torch.from_numpy(maps) if known else torch.zeros(maps.shape)
    return PoseConditioning(limbs[None], warped[None], unknown[None], torch.tensor([known]))


def _moved(
    codec: Codec,
    latents_FCHW: Tensor,
    hint: int,
    targets: Sequence[int],
    landmarks_FJ4: np.ndarray,
    outline_HW: np.ndarray | None,
) -> tuple[Tensor, Tensor]:
    """A hint in every target's pose (T, C, H, W), and how little it shows of each place (T, H, W)."""
    if not codec.is_network:
        picture = codec.decode(latents_FCHW[hint : hint + 1])[0]
        pictures, unknown = smoothly_warped(picture, landmarks_FJ4[hint], landmarks_FJ4[targets], outline_HW)
        return codec.encode(pictures), _by_cell(unknown, codec.factor)
    cells = to_cells(landmarks_FJ4, codec.factor)
    latents = latents_FCHW[hint].float().permute(1, 2, 0).numpy()
    cells_shape = PictureSize(latents.shape[1], latents.shape[0])
    outline = None if outline_HW is None else outline_at(outline_HW, cells_shape)
    reference = reference_of(cells[hint], (cells_shape.height, cells_shape.width), outline)
    fields, guessed = [warp_field(reference, pose) for pose in cells[targets]], behind(latents, reference)
    warped = np.stack([warp_picture(latents, guessed, field) for field in fields])
    unknown = np.stack([field.unknown_HW for field in fields])
    return torch.from_numpy(warped).permute(0, 3, 1, 2).to(latents_FCHW.dtype), torch.from_numpy(unknown).float()


def _by_cell(unknown_FHW: np.ndarray, factor: int) -> Tensor:
    """The share of each latent's own pixels."""
    return torch.nn.functional.avg_pool2d(torch.from_numpy(unknown_FHW)[:, None], factor)[:, 0]


def _blended(moved: Sequence[tuple[Tensor, Tensor]], apart_HT: np.ndarray) -> tuple[Tensor, Tensor]:
    """All hints' views of the targets, each weighted by what it knows and how near in time it is."""
    if len(moved) == 1:
        return moved[0]
    total, known = torch.zeros_like(moved[0][0]), torch.zeros_like(moved[0][1])
    unknown = torch.ones_like(known)
    for (warped, lacks), apart_T in zip(moved, apart_HT):
        weight = ((1 - lacks) + LEAST) / (HINT_DRIFT * torch.from_numpy(apart_T).float()[:, None, None])
        total += warped * weight[:, None].to(warped.dtype)
        known += weight
        unknown = torch.minimum(unknown, lacks)
    return total / known[:, None].to(total.dtype), unknown

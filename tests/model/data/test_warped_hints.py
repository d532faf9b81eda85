"""What hints show of a pose: the hint itself where nobody moved, and never anything of where the targets really are."""

from pathlib import Path

import numpy as np
import pytest
import torch

from model.data.codec import KLCodec, fit_patch_codec
from model.data.warped_hints import pose_conditioning
from model.network.conditioning import PoseConditioning
from pipeline.analysis.pose import MIRROR
from pipeline.picture_size import PictureSize
from tests.model.networks import save_stable_diffusion
from tests.model.pose.dancers import drawn

SIZE, HINT = 96, 10
SHOT, POSES = drawn(3001, size=SIZE)
PICTURES = np.stack([SHOT.draw(t)[..., ::-1] for t in range(0, 90, 5)])
CODEC = fit_patch_codec(PICTURES, 6, 108)  # without loss
FRAMES = (10, 20, 40, 60)


def told(
    frames: tuple[int, ...] = FRAMES, hints: tuple[int, ...] = (HINT,), poses: np.ndarray = POSES
) -> PoseConditioning:
    """The conditioning of a window whose targets' latents are noise: nobody may look at them."""
    noise = torch.randn(len(frames), 108, 16, 16, generator=torch.Generator().manual_seed(0))
    known = [f in hints for f in frames]
    noise[known] = CODEC.encode(np.stack([PICTURES[f // 5] for f in frames if f in hints]))
    return pose_conditioning(CODEC, noise, frames, hints, poses[list(frames)])


def apart(latents: torch.Tensor, frame: int) -> float:
    """Mean difference of decoded latents from the real picture of a frame, 8-bit levels."""
    return float(np.abs(CODEC.decode(latents[None])[0].astype(float) - PICTURES[frame // 5]).mean())


def test_a_moved_hint_is_nearer_to_what_follows_than_the_hint() -> None:
    warped = told().warped_BFCHW[0]
    for place, frame in enumerate(FRAMES[1:], 1):
        assert apart(warped[place], frame) < 0.8 * apart(warped[0], frame)


def test_a_given_frame_keeps_its_latents_and_is_known() -> None:
    pose = told()
    assert torch.equal(pose.warped_BFCHW[0, 0], CODEC.encode(PICTURES[2:3])[0])
    assert not pose.unknown_BFHW[0, 0].any()


def test_where_nobody_moves_the_hint_is_the_target() -> None:
    still = np.repeat(POSES[HINT : HINT + 1], 90, 0)
    pose = told(poses=still)
    assert np.array_equal(CODEC.decode(pose.warped_BFCHW[0, 1:2]), CODEC.decode(pose.warped_BFCHW[0, :1]))
    assert not pose.unknown_BFHW[0, 1].any()


def test_what_the_dancer_hid_is_unknown_where_she_was_and_is_no_more() -> None:
    moved = POSES.copy()
    moved[20:, :, 0] += 30
    lacks = told(poses=moved).unknown_BFHW[0, 1].numpy()
    x, y = (POSES[HINT, [11, 12, 23, 24], :2].mean(0) / 6).astype(int)
    assert lacks[y, x] > 0.9
    assert lacks[:, 0].max() == 0


def test_two_hints_know_more_than_one() -> None:
    one, two = told(), told(hints=(10, 60))
    assert (two.unknown_BFHW[0, 1:3] <= one.unknown_BFHW[0, 1:3]).all()
    assert apart(two.warped_BFCHW[0, 2], 40) < apart(one.warped_BFCHW[0, 2], 40)


@pytest.mark.parametrize("lost", [(HINT, 23), (20, 11), (40, 24)])
def test_a_window_without_a_trunk_or_a_whole_hint_is_told_nothing(lost: tuple[int, int]) -> None:
    poses = POSES.copy()
    poses[lost] = np.nan
    pose = told(poses=poses)
    assert not pose.told_B.any()
    assert not pose.limbs_BFMHW.any()
    assert all(torch.isfinite(x).all() for x in (pose.limbs_BFMHW, pose.unknown_BFHW))


def test_a_target_may_lack_an_arm() -> None:
    poses = POSES.copy()
    poses[20, [13, 15]] = np.nan
    pose = told(poses=poses)
    assert pose.told_B.all()
    assert all(torch.isfinite(x).all() for x in (pose.limbs_BFMHW, pose.warped_BFCHW, pose.unknown_BFHW))


def test_a_mirrored_window_gives_the_mirrored_maps() -> None:
    mirrored = POSES[:, MIRROR].copy()
    mirrored[..., 0] = SIZE - 1 - mirrored[..., 0]
    here, there = told(), told(poses=mirrored)
    parts = here.limbs_BFMHW[0, 1].sum(0), there.limbs_BFMHW[0, 1].sum(0).flip(-1)
    assert torch.allclose(*parts, atol=1e-4)


def test_with_a_codec_that_is_a_network_the_latents_are_moved_and_it_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_stable_diffusion(tmp_path, 4)
    codec = KLCodec(str(tmp_path), PictureSize(SIZE, SIZE))
    latents = codec.encode(PICTURES[[2, 4]])
    monkeypatch.setattr(codec, "decode", None)
    monkeypatch.setattr(codec, "encode", None)
    still = np.repeat(POSES[HINT : HINT + 1], 2, 0)
    pose = pose_conditioning(codec, latents, (10, 20), (10,), still)
    assert torch.allclose(pose.warped_BFCHW[0, 1], latents[0], atol=1e-5)
    moved = pose_conditioning(codec, latents, (10, 20), (10,), POSES[[10, 60]])
    assert not torch.allclose(moved.warped_BFCHW[0, 1], latents[0], atol=1e-2)

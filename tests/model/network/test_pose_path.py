"""A network that is told poses: nothing changes at first, all of it learns, and frames stay with their poses."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from model.errors import ChannelCountError
from model.network.conditioning import FrameConditioning, PoseConditioning, blended_hints, network_input
from model.network.presets import NETWORK_PRESETS
from model.network.unet import VideoUNet
from model.plans.stages import Window
from tests.model.networks import inputs, unet2d

LIMBS, LATENTS = 5, 4


def posed(cond: FrameConditioning, warped: Tensor, unknown: float = 1.0, told: bool = True) -> FrameConditioning:
    """The conditioning with random limbs."""
    batch, frames = cond.given_BF.shape
    limbs = torch.rand(batch, frames, LIMBS, 8, 8, generator=torch.Generator().manual_seed(5))
    lacks = torch.full((batch, frames, 8, 8), unknown)
    pose = PoseConditioning(limbs, warped, lacks, torch.full((batch,), told))
    return FrameConditioning(cond.frame_index_BF, cond.hint_log_snr_BF, cond.given_BF, pose)


def network(kind: str) -> VideoUNet:
    """A network of each kind with a pose path."""
    torch.manual_seed(0)
    if kind == "tiny":
        made = VideoUNet(NETWORK_PRESETS["tiny"].unet2d_config(LATENTS, 8), "v_prediction", 0.5)
    else:
        made = VideoUNet.from_unet2d(unet2d(LATENTS if kind == "text to image" else 2 * LATENTS + 1))
    made.add_pose_path(LIMBS)
    return made.eval()


KINDS = ["tiny", "text to image", "inpaint"]


@pytest.mark.parametrize("kind", KINDS)
def test_at_first_a_told_pose_changes_no_bit(kind: str) -> None:
    made, (sample, timestep, text, cond) = network(kind), inputs()
    hint = blended_hints(sample[:, :, :LATENTS], cond)
    without = made(sample, timestep, text, cond)
    # A network of residuals works its hint out itself where no pose is told: then it is given that very hint.
    same = torch.cat([sample[:, :, : LATENTS + 1], hint], 2) if kind == "tiny" else sample
    assert torch.equal(without, made(same, timestep, text, posed(cond, hint)))
    assert torch.equal(without, made(sample, timestep, text, posed(cond, hint, told=False)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_new_layer_gets_a_gradient_after_one_step(kind: str) -> None:
    made, (sample, timestep, text, cond) = network(kind).train(), inputs()
    told = posed(cond, sample[:, :, LATENTS + 1 :])
    optimizer = torch.optim.SGD(made.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        made(sample, timestep, text, told).square().mean().backward()
        optimizer.step()
    names = [name for name in made.new_parameters() if name.startswith("pose_path")]
    assert len(names) == 4
    for name in names:
        gradient = made.get_parameter(name).grad
        assert gradient is not None, name
        assert gradient.abs().max() > 0, name


def test_a_pose_that_goes_with_its_frame_goes_with_what_is_made_of_it() -> None:
    made, (sample, timestep, text, cond) = network("inpaint"), inputs()
    torch.nn.init.normal_(made.pose_path.out.weight, std=0.2)
    told = posed(cond, sample[:, :, LATENTS + 1 :])
    assert told.pose is not None
    order = torch.tensor([3, 0, 6, 2, 5, 1, 4])
    limbs, warped = (x[:, order] for x in (told.pose.limbs_BFMHW, told.pose.warped_BFCHW))
    pose = PoseConditioning(limbs, warped, told.pose.unknown_BFHW, told.pose.told_B)
    moved = FrameConditioning(*(x[:, order] for x in (cond.frame_index_BF, cond.hint_log_snr_BF, cond.given_BF)), pose)
    kept = FrameConditioning(moved.frame_index_BF, moved.hint_log_snr_BF, moved.given_BF, told.pose)
    with torch.no_grad():
        usual = made(sample, timestep, text, told)[:, order]
        assert torch.allclose(usual, made(sample[:, order], timestep, text, moved), atol=1e-4)
        assert not torch.allclose(usual, made(sample[:, order], timestep, text, kept), atol=1e-2)


def test_the_input_holds_the_moved_hints_and_how_little_they_show() -> None:
    window = [Window((0,), (5, 6), first=0)]
    cond = FrameConditioning.of(window, torch.zeros(1, 3))
    warped = torch.randn(1, 3, LATENTS, 8, 8, generator=torch.Generator().manual_seed(2))
    noisy, hints = torch.randn(2, 1, 3, LATENTS, 8, 8, generator=torch.Generator().manual_seed(3))
    sample = network_input(noisy, hints, posed(cond, warped, unknown=0.3))
    assert torch.equal(sample[:, :, LATENTS + 1 :], warped)
    assert torch.allclose(sample[:, 1:, LATENTS], torch.tensor(0.3))
    assert not sample[:, 0, LATENTS].any()  # what is given is known
    assert torch.equal(network_input(noisy, hints, posed(cond, warped, told=False)), network_input(noisy, hints, cond))


def test_without_hints_the_limbs_stay_and_nothing_else_is_known() -> None:
    *_, cond = inputs()
    told = posed(cond, torch.ones(2, 7, LATENTS, 8, 8), unknown=0.25).without_hints(torch.tensor([True, False]))
    assert told.pose is not None
    assert not told.pose.warped_BFCHW[0].any()
    assert told.pose.unknown_BFHW[0].min() == 1
    assert told.pose.warped_BFCHW[1].min() == 1
    assert told.pose.limbs_BFMHW.any()


def test_poses_of_another_kind_are_refused() -> None:
    made = VideoUNet.from_unet2d(unet2d(LATENTS))
    sample, timestep, text, cond = inputs()
    with pytest.raises(ChannelCountError, match=r"The poses have 5 channels and this network takes 0"):
        made(sample, timestep, text, posed(cond, sample[:, :, LATENTS + 1 :]))


def test_a_pose_path_is_saved_and_loaded(tmp_path: Path) -> None:
    made = network("inpaint")
    torch.nn.init.normal_(made.pose_path.out.weight)
    made.save_pretrained(tmp_path)
    again = VideoUNet.from_pretrained(str(tmp_path))
    assert torch.equal(again.pose_path.out.weight, made.pose_path.out.weight)

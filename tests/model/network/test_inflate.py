from __future__ import annotations

import torch
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D

from model.network.inflate import GrownInputConv, InflatedConv, InflatedTransformerBlock
from model.network.unet import VideoUNet
from tests.model.networks import inputs, unet2d


def test_every_convolution_of_resnets_and_samplers_and_both_ends_sees_time() -> None:
    network = VideoUNet.from_unet2d(unet2d(4)).unet
    shortcuts = 0
    for module in network.modules():
        if isinstance(module, ResnetBlock2D):
            assert isinstance(module.conv1, InflatedConv)
            assert isinstance(module.conv2, InflatedConv)
            assert module.conv_shortcut is None or isinstance(module.conv_shortcut, InflatedConv)
            shortcuts += module.conv_shortcut is not None
        if isinstance(module, Upsample2D | Downsample2D):
            assert isinstance(module.conv, InflatedConv)
    assert shortcuts > 0
    assert isinstance(network.conv_in, GrownInputConv)
    assert isinstance(network.conv_out, InflatedConv)


def test_every_transformer_block_has_a_temporal_attention() -> None:
    plain = unet2d(9)
    blocks = [name for name, _ in plain.named_modules() if name.split(".")[-2:-1] == ["transformer_blocks"]]
    network = VideoUNet.from_unet2d(plain).unet
    assert len(blocks) == 4  # one down, one middle, two up
    assert all(isinstance(network.get_submodule(name), InflatedTransformerBlock) for name in blocks)


@torch.no_grad()
def test_before_training_a_frame_does_not_reach_another_not_even_by_a_norm() -> None:
    network = VideoUNet.from_unet2d(unet2d(9))
    sample, *rest = inputs()
    before = network(sample, *rest)
    sample[0, 3] *= 5
    changed = (network(sample, *rest) != before).flatten(2).any(-1)
    assert changed.nonzero().tolist() == [[0, 3]]


@torch.no_grad()
def test_once_temporal_weights_move_a_frame_reaches_the_others() -> None:
    network = VideoUNet.from_unet2d(unet2d(9))
    for name, parameter in network.new_parameters().items():
        if name.endswith("temporal.to_out.weight"):
            torch.nn.init.normal_(parameter, std=0.3)
    sample, *rest = inputs()
    before = network(sample, *rest)
    sample[0, 3] += 1
    reached = (network(sample, *rest) != before).flatten(2).any(-1)
    assert reached[0].all()
    assert not reached[1].any()


@torch.no_grad()
def test_a_grown_input_reads_mask_and_hint_once_its_weights_move() -> None:
    network = VideoUNet.from_unet2d(unet2d(4))
    sample, *rest = inputs()
    other = sample.clone()
    other[:, :, 4:] += 1
    assert torch.equal(network(sample, *rest), network(other, *rest))
    torch.nn.init.normal_(network.unet.conv_in.hint_conv.weight)
    assert not torch.equal(network(sample, *rest), network(other, *rest))

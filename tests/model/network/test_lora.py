"""LoRA: nothing at first, two small factors learn, and merged it is a plain network again."""

from __future__ import annotations

import copy

import torch

from model.network.lora import add_lora, is_lora, merge_lora
from model.network.unet import VideoUNet
from model.runs.init_weights import configure_parameters
from tests.model.dataset import micro_config
from tests.model.networks import inputs, unet2d


def awake() -> VideoUNet:
    """A network whose factors do something."""
    network = VideoUNet.from_unet2d(unet2d(9))
    add_lora(network, rank=3)
    for name, parameter in network.named_parameters():
        if is_lora(name):
            torch.nn.init.normal_(parameter, std=0.2)
    return network.eval()


@torch.no_grad()
def test_new_factors_change_nothing_and_stand_beside_every_projection_of_the_2d_attentions() -> None:
    network = VideoUNet.from_unet2d(unet2d(9)).eval()
    before, count = network(*inputs()), sum(1 for _ in network.parameters())
    add_lora(network, rank=3)
    assert torch.equal(network(*inputs()), before)
    blocks = sum(name.endswith("attn1") for name, _ in network.named_modules())
    assert blocks > 0
    assert sum(1 for _ in network.parameters()) == count + blocks * 2 * 4 * 2
    add_lora(network, rank=3)
    assert sum(1 for _ in network.parameters()) == count + blocks * 2 * 4 * 2


def test_only_factors_and_new_layers_learn() -> None:
    network = VideoUNet.from_unet2d(unet2d(9))
    trained = configure_parameters(network, micro_config(train="lora", lora_rank=3), torch.device("cpu"))
    assert {name for name in trained if not is_lora(name)} == set(network.new_parameters())
    optimizer = torch.optim.AdamW(trained.values(), lr=1e-2)
    frozen = {n: p.clone() for n, p in network.image_parameters().items() if not is_lora(n)}
    for _ in range(2):
        optimizer.zero_grad()
        network(*inputs()).square().mean().backward()
        optimizer.step()
    assert [name for name, p in trained.items() if p.grad is None or not p.grad.abs().max() > 0] == []
    for name, parameter in frozen.items():
        assert torch.equal(parameter, network.get_parameter(name))


@torch.no_grad()
def test_merged_it_computes_the_same_and_has_a_plain_networks_names() -> None:
    network = awake()
    merged = copy.deepcopy(network)
    merge_lora(merged)
    assert merged.state_dict().keys() == VideoUNet.from_unet2d(unet2d(9)).state_dict().keys()
    torch.testing.assert_close(merged(*inputs()), network(*inputs()), rtol=1e-4, atol=1e-5)
    assert (VideoUNet.from_unet2d(unet2d(9)).eval()(*inputs()) - network(*inputs())).abs().max() > 1e-3

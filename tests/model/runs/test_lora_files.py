"""Factors as peft and diffusers load them: the image network then has the weights that ours has with them merged."""

from __future__ import annotations

import copy
import re

import torch
from peft import PeftModel

from model.network.lora import add_lora, is_lora, merge_lora
from model.network.unet import VideoUNet
from model.runs.export import export_run
from model.runs.lora_files import write_lora
from model.training.train import train
from tests.model.dataset import QUICK, micro_config
from tests.model.networks import unet2d

RANK = 3


def learnt() -> tuple[torch.nn.Module, VideoUNet]:
    """An image network, and the video network with factors that were made from it."""
    plain = unet2d(9)
    network = VideoUNet.from_unet2d(plain)
    add_lora(network, RANK)
    for name, parameter in network.named_parameters():
        if is_lora(name):
            torch.nn.init.normal_(parameter, std=0.2)
    return plain, network


def merged_projections(network: VideoUNet) -> dict[str, torch.Tensor]:
    merged = copy.deepcopy(network)
    merge_lora(merged)
    projections = [(n, p) for n, p in merged.unet.named_parameters() if re.search(r"\.attn\d\.to_", n)]
    return {n.replace(".spatial.", "."): p.detach() for n, p in projections if n.endswith("weight")}


def check(loaded: torch.nn.Module, network: VideoUNet) -> None:
    names = dict(loaded.named_parameters())
    wanted = merged_projections(network)
    assert wanted
    for name, weight in wanted.items():
        torch.testing.assert_close(names[name], weight, rtol=1e-4, atol=1e-5)


def test_peft_loads_them(tmp_path):
    plain, network = learnt()
    assert write_lora(dict(network.state_dict()), RANK, tmp_path)
    check(PeftModel.from_pretrained(plain, str(tmp_path / "lora")).merge_and_unload(), network)


def test_diffusers_loads_them(tmp_path):
    plain, network = learnt()
    write_lora(dict(network.state_dict()), RANK, tmp_path)
    plain.load_lora_adapter(str(tmp_path / "lora"), weight_name="pytorch_lora_weights.safetensors", prefix="unet")
    plain.fuse_lora()
    plain.unload_lora()
    check(plain, network)


def test_a_run_that_learnt_lora_is_exported_with_its_factors_and_another_without(dataset, trained, tmp_path):
    train(dataset, tmp_path / "run", micro_config(train="lora", lora_rank=2, **QUICK))
    made = export_run(tmp_path / "run", tmp_path / "out")
    assert made["lora"]
    assert (tmp_path / "out" / "lora" / "adapter_config.json").is_file()
    assert not export_run(trained, tmp_path / "plain")["lora"]
    assert not (tmp_path / "plain" / "lora").exists()

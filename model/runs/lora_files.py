"""A run's LoRA factors as the files that peft and diffusers load onto the image network that the run began with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from data_catalog.base.files import make_folder, write_json
from model.network.lora import is_lora

FOLDER = "lora"
PEFT, PEFT_CONFIG, DIFFUSERS = "adapter_model.safetensors", "adapter_config.json", "pytorch_lora_weights.safetensors"
_FACTORS = {"lora_down": "lora_A", "lora_up": "lora_B"}
_IMAGE_NETWORK = "unet."
_INFLATED = ".spatial."  # an image layer beside its temporal one


def write_lora(weights: Mapping[str, Tensor], rank: int, folder: Path) -> bool:
    """Write the factors among a VideoUNet's weights into `folder/lora`; False where there are none.

    The names below `unet.` are those of diffusers' UNet2DConditionModel, so the files fit any pipeline with one of its
    shape. `lora_alpha` is the rank: our factors are added as they are, unscaled. Temporal layers, which such a run
    learns too, have no place in a LoRA file.
    """
    factors = {_named(name): weight.contiguous() for name, weight in weights.items() if is_lora(name)}
    if not factors:
        return False
    out = folder / FOLDER
    make_folder(out)
    save_file({f"unet.{name}": weight for name, weight in factors.items()}, out / DIFFUSERS, {"format": "pt"})
    save_file({f"base_model.model.{name}": weight for name, weight in factors.items()}, out / PEFT, {"format": "pt"})
    targets = sorted({name.rsplit(".", 2)[0] for name in factors})
    write_json(
        out / PEFT_CONFIG,
        {
            "peft_type": "LORA",
            "r": rank,
            "lora_alpha": rank,
            "lora_dropout": 0.0,
            "bias": "none",
            "target_modules": targets,
            "base_model_name_or_path": None,
            "inference_mode": True,
        },
    )
    return True


def _named(name: str) -> str:
    """`unet.X.lora_down.weight` as both call it, `X.lora_A.weight`."""
    module, factor, kind = name.removeprefix(_IMAGE_NETWORK).replace(_INFLATED, ".").rsplit(".", 2)
    return f"{module}.{_FACTORS[factor]}.{kind}"

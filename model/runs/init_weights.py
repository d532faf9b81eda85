"""The network that a run starts from, and which of its parameters learn."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Any

import torch
from pydantic import ValidationError

from data_catalog.base.paths import RunFolder
from data_catalog.base.settings import explain_settings
from model.config import EncodeConfig, TrainConfig
from model.data.codec import load_codec
from model.data.latents import codec_folder
from model.errors import CodecError, ConfigError, ModelError, WeightsError
from model.network.lora import add_lora, is_lora, merge_lora
from model.network.memory_efficient import make_lean
from model.network.presets import NETWORK_PRESETS, UNetPreset
from model.network.unet import VideoUNet
from model.pose.limb_map import LIMB_CHANNELS
from model.runs.checkpoint import load_checkpoint
from model.runs.record import read_record
from model.runs.run import Run
from model.sources import CODEC_FILE, OtherRun, Pretrained, Scratch


def initial_network(config: TrainConfig, latent_channels: int, text_width: int) -> VideoUNet:
    """Build or load the network that `config.init` names, seeded by `config.seed`.

    Raises ConfigError, WeightsError, ChannelCountError; CheckpointError for a run without a whole checkpoint.
    """
    torch.manual_seed(config.seed)
    match config.init_source:
        case Scratch():
            network = _from_scratch(config, latent_channels, text_width)
        case OtherRun(path):
            network = network_of_run(path)
        case Pretrained(name):
            network = _pretrained(name)
    if config.network and not isinstance(config.init_source, Scratch):
        _check_shape(network, config)
    if config.prediction not in (None, network.config.prediction_type):
        if isinstance(config.init_source, OtherRun):
            raise ConfigError(
                f"Setting 'prediction' is {config.prediction!r}, the network of {config.init} was trained with "
                f"{network.config.prediction_type!r}: leave it out."
            )
        network.register_to_config(prediction_type=config.prediction)
    if config.pose:
        network.add_pose_path(LIMB_CHANNELS)
    return network


def _pretrained(name: str) -> VideoUNet:
    """A network in diffusers' format. Raises WeightsError, ChannelCountError."""
    root = Path(name)
    subfolder = None if root.is_dir() and not (root / "unet").is_dir() else "unet"
    try:
        return VideoUNet.from_pretrained(name, subfolder=subfolder)
    except ModelError:
        raise
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"No network could be loaded from {name!r} ({str(error).split('.')[0]}): give a folder in diffusers' "
            "format, a hub id that can be reached, or run:FOLDER."
        ) from error


def _check_shape(network: VideoUNet, config: TrainConfig) -> None:
    """Raise ConfigError if setting `network` asks for another shape than the loaded network has."""
    found = network.config.unet2d
    asked = _preset(config).unet2d_config(network.latent_channels, found["cross_attention_dim"])
    of_codec = ("in_channels", "out_channels")  # checked by themselves
    wrong = [name for name, value in asked.items() if name not in of_codec and value != _like(found[name], value)]
    if wrong:
        raise ConfigError(
            f"Setting 'network' is {config.network} and the network of {config.init!r} differs ({', '.join(wrong)}): "
            "leave 'network' out, or begin from scratch."
        )


def _like(found: Any, asked: Any) -> Any:
    """JSON has lists where a preset has tuples."""
    return tuple(found) if isinstance(asked, tuple) and isinstance(found, list) else found


def _preset(config: TrainConfig) -> UNetPreset:
    fields: dict[str, Any] = {**NETWORK_PRESETS[config.preset].model_dump(), **config.network}
    if config.prediction:
        fields["prediction_type"] = config.prediction
    try:
        return UNetPreset.model_validate(fields)
    except ValidationError as error:
        raise ConfigError(explain_settings(error, UNetPreset, "network.")) from error


def _from_scratch(config: TrainConfig, latent_channels: int, text_width: int) -> VideoUNet:
    preset = _preset(config)
    try:
        return VideoUNet(
            unet2d=preset.unet2d_config(latent_channels, text_width),
            prediction_type=preset.prediction_type,
            residual_std=preset.residual_std,
        )
    except ValueError as error:  # diffusers' own words: widths that no group norm divides, and the like
        raise ConfigError(f"Setting 'network' is {config.network}, which makes no network: {error}.") from error


def network_of_run(run_dir: Path) -> VideoUNet:
    """A run's network with its averaged weights, LoRA merged, on the CPU. Raises RunError, CheckpointError."""
    run = Run.open(run_dir)
    state = load_checkpoint(run.checkpoint)
    network = VideoUNet.from_config(state.network)
    if run.config.train == "lora":
        add_lora(network, run.config.lora_rank)
    network.load_state_dict({**state.tensors["weights"], **state.tensors["ema"]})
    merge_lora(network)
    return network


def encode_on(run: Run, data: Path) -> EncodeConfig:
    """How a run's latents are made of a data set: with its own codec, if the data set holds latents of that.

    An embedded codec is fitted on one data set: another has one of its own, and the run's where it was asked for.
    """
    own = run.config.encode.model_copy(update={"codec": str(RunFolder(run.path).codec.absolute())})
    return own if codec_folder(data, own).is_dir() else run.config.encode


def check_codec_of_run(run_dir: Path, codec: str) -> None:
    """Raise CodecError unless the run at `run_dir` was trained on latents of `codec`."""
    identity = read_record(run_dir)["identity"]
    trained = identity["data"]["codec"]
    if trained != codec:
        usual = EncodeConfig().model_dump(mode="json")
        given = {"codec": RunFolder(run_dir).codec.absolute()} | {
            name: value
            for name, value in identity["config"]["encode"].items()
            if name in ("picture", "patch", "channels", "fit_frames") and value != usual.get(name)
        }
        asked = " ".join(f"--set {quote(f'encode.{name}={value}')}" for name, value in given.items())
        raise CodecError(
            f"Run {run_dir} was trained on latents of codec {trained[:12]}, this data set's are of "
            f"{codec[:12] or 'one that is fitted on it'}: encode with its own by {asked}."
        )


def check_codec_of_export(folder: Path, codec: str) -> None:
    """Raise CodecError if the folder is an exported run's, which holds its codec, and that is not `codec`."""
    if not (folder / CODEC_FILE).is_file():
        return
    trained = load_codec(folder).hash
    if trained != codec:
        raise CodecError(
            f"The network in {folder} was trained on latents of codec {trained[:12]}, this data set's are of "
            f"{codec[:12] or 'one that is fitted on it'}: encode with its own by --set encode.codec={folder}."
        )


def compute_dtype(config: TrainConfig) -> torch.dtype:
    """The type of activations and of frozen weights."""
    return {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[config.mixed_precision]


def splits_weights(config: TrainConfig) -> bool:
    """Whether learnt weights are held in halves by the optimizer: where the image network learns, with 8-bit Adam."""
    return config.train == "all" and config.optimizer == "adamw8bit" and config.mixed_precision == "bf16"


def configure_parameters(
    network: VideoUNet, config: TrainConfig, device: torch.device
) -> dict[str, torch.nn.Parameter]:
    """Set dropout and memory format, freeze what does not learn and return, by name, what does, in float32.

    With mixed precision the frozen 2-D layers are cast to it: they need neither gradients nor a master. Where no pose
    is told, the way of poses has no gradient, and no state of an optimizer that a resume could give back: it is frozen.
    """
    network.channels_last = True  # the order that CPU kernels and tensor cores want
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = config.dropout
    if config.train == "lora":
        add_lora(network, config.lora_rank)
    if device.type == "cuda" or config.mixed_precision != "no":
        make_lean(network)  # on a CPU in float32 there is memory enough, and time is short
    new = network.new_parameters()
    for name, parameter in network.named_parameters():
        learns = config.train == "all" or name in new or is_lora(name)
        learns &= config.pose or not name.startswith("pose_path.")
        parameter.requires_grad_(learns)
        parameter.data = parameter.data.to(torch.float32 if learns else compute_dtype(config))
    return {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}

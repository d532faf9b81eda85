"""What one kind of training adds to the loop: its network, its batches, its loss, what it shows; and which is meant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]

from model.choreography.config import ChoreographerConfig, choreographer_config
from model.choreography.dances import DanceData, load_dances
from model.choreography.network import network_of
from model.choreography.task import ChoreographerTask, begun_network
from model.config import TrainConfig, parse_config
from model.data.dataset import SplitData, load_data
from model.data.text import TextTable, text_width
from model.errors import ChannelCountError
from model.loop_config import CHOREOGRAPHER, LoopConfig
from model.network.unet import VideoUNet
from model.runs.checkpoint import Tensors, TrainingState
from model.runs.init_weights import initial_network
from model.runs.run_data import RunData
from model.runs.told import told_state
from model.training.ema import Ema
from model.training.video_task import VideoTask


class Examination(Protocol):
    """What a run shows of its averaged network every so often."""

    def bin_losses(self, stop: Callable[[], bool] = lambda: False) -> list[float] | None:
        """The mean loss on the hold-out in each bin of noise; None if it was asked to stop before. There is one."""

    def write_samples(self, step: int) -> Path:
        """Pictures of what the network makes."""

    def has_samples(self, step: int) -> bool:
        """Whether `write_samples` got to its end at this step."""


class Task(Protocol):
    """A network and what it learns. All it draws is a function of (seed, position) and of its `state`."""

    splits_weights: bool
    """Whether the optimizer holds learnt weights in halves."""
    holds_out: bool
    """Whether there is anything to validate on."""

    @property
    def network(self) -> torch.nn.Module:
        """What learns."""

    def configure(self, device: torch.device) -> dict[str, torch.nn.Parameter]:
        """Get the network ready to learn, and return by name what learns."""

    def network_config(self) -> Mapping[str, Any]:
        """What the network is built from, as plain JSON values."""

    def batches(self, positions: Iterable[list[int]]) -> Iterator[Any]:
        """The batches at these positions, in order."""

    def losses(self, model: torch.nn.Module, batch: Any) -> torch.Tensor:
        """One loss per sample of a batch, (B,). `model` is the network as it was prepared for training."""

    def state(self) -> Tensors:
        """What this process remembers beside the weights; empty where that is nothing."""

    def restore(self, state: Tensors) -> None:
        """Take over what this process remembered."""

    def seen(self, positions: Sequence[int]) -> dict[str, Any]:
        """What stands at these positions, for the line of a step in the metrics."""

    def out_of_memory(self) -> str:
        """What takes a GPU's memory and what would free some, where it was not enough."""

    def examination(self, ema: Ema) -> Examination:
        """Who examines the network."""


def parse_run_config(raw: dict[str, Any]) -> LoopConfig:
    """A config as `run.json` holds it, of any stage. Raises ConfigError."""
    return choreographer_config(**raw) if raw.get("stage") == CHOREOGRAPHER else parse_config(raw)


def load_run_data(data: Path, config: LoopConfig) -> RunData:
    """What a config trains on. Raises DataError, VersionError."""
    if isinstance(config, ChoreographerConfig):
        return load_dances(data, config.network.keys_per_beat, config.holdout, config.version)
    assert isinstance(config, TrainConfig)
    return load_data(data, config.encode, config.holdout, config.version, config.pose)


def make_task(config: LoopConfig, data: RunData, state: TrainingState | None, run_dir: Path) -> Task:
    """The task; its network is as saved, or as it begins. Raises ModelError's kinds."""
    if isinstance(config, ChoreographerConfig):
        assert isinstance(data, DanceData)
        dancer = network_of(state.network) if state else begun_network(config, data)
        if state:
            dancer.load_state_dict(state.tensors["weights"])  # its components, before any dance is told by them
        return ChoreographerTask(config, data, dancer, run_dir)
    assert isinstance(config, TrainConfig)
    assert isinstance(data, SplitData)
    network, text_of = _video_network(config, data, state)
    return VideoTask(config, data, network, text_of, run_dir)


def begun_task(
    accelerator: Accelerator, config: LoopConfig, data: RunData, state: TrainingState | None, run_dir: Path
) -> Task:
    """The task of every process, its network as saved, or as it begins for the first. Raises ModelError's kinds."""
    if state is not None or accelerator.num_processes == 1:
        return make_task(config, data, state, run_dir)
    first = make_task(config, data, None, run_dir) if accelerator.is_main_process else None
    begun = told_state(accelerator, _as_state(first) if first else None)
    if first is not None:
        return first
    assert begun is not None
    task = make_task(config, data, begun, run_dir)
    task.network.load_state_dict(begun.tensors["weights"])
    return task


def _as_state(task: Task) -> TrainingState:
    return TrainingState({"weights": dict(task.network.state_dict())}, {}, dict(task.network_config()))


def _video_network(config: TrainConfig, split: SplitData, state: TrainingState | None) -> tuple[VideoUNet, TextTable]:
    """The network as saved, or as it begins, and the embeddings of the data set's prompts."""
    channels = split.train.shape[0]
    if state is None:
        width = text_width(split.latents, config.encode, split.prompts)
        network = initial_network(config, channels, width)
    else:
        network = VideoUNet.from_config(state.network)
    if network.latent_channels != channels:
        raise ChannelCountError(
            f"The latents of this data set have {channels} channels and the network takes {network.latent_channels}: "
            "encode the data set with the codec that the network was trained with."
        )
    width = network.unet.config.cross_attention_dim
    return network, TextTable(split.latents, config.encode, split.prompts, width)

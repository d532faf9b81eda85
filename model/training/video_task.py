"""The task of the video stages: windows of latents are denoised, beside hints, texts and poses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from model.config import TrainConfig
from model.data.dataset import SplitData
from model.data.loader import WindowBatch, training_windows_of, window_loader
from model.data.text import TextTable
from model.network.error_bank import ErrorBank
from model.network.loss_weights import LossWeights
from model.network.objective import Objective, draw, dropped_hints
from model.network.unet import VideoUNet
from model.runs.checkpoint import Tensors
from model.runs.init_weights import configure_parameters, splits_weights
from model.training.ema import Ema
from model.training.examine import Examiner
from model.training.memory import explain_out_of_memory, plan_memory
from pipeline.picture_size import PictureSize


class VideoTask:
    """One stage of the video model on one data set."""

    def __init__(
        self, config: TrainConfig, split: SplitData, network: VideoUNet, text_of: TextTable, run_dir: Path
    ) -> None:
        self.network, self.splits_weights = network, splits_weights(config)
        self.holds_out = bool(split.holdout.samples)
        self._config, self._split, self._text_of, self._run_dir = config, split, text_of, run_dir
        self._device = torch.device("cpu")
        self._objective = Objective.of(config, network.config.prediction_type)
        self._weights = LossWeights(config.weigh_moving, config.weigh_uncovered, config.weigh_noise)
        self._bank = ErrorBank(split.train.shape, config.seed) if config.error_share else None
        self._dataset = training_windows_of(config, split)

    def configure(self, device: torch.device) -> dict[str, torch.nn.Parameter]:
        """As `configure_parameters` does; batches are then brought to that device."""
        self._device = device
        return configure_parameters(self.network, self._config, device)

    def network_config(self) -> Mapping[str, Any]:
        """As diffusers keeps it."""
        return {key: value for key, value in self.network.config.items() if not key.startswith("_")}

    def batches(self, positions: Iterable[list[int]]) -> Iterator[WindowBatch]:
        """Windows of latents, read ahead by the workers."""
        return window_loader(self._dataset, positions, self._config.workers, self._device.type == "cuda")

    def losses(self, model: torch.nn.Module, batch: WindowBatch) -> torch.Tensor:
        """One loss per sample of the batch, (B,)."""
        config = self._config
        frames, shape = batch.latents_BFCHW.shape[1], tuple(batch.latents_BFCHW.shape[2:])
        draws = draw(config.seed, "training", batch.positions, shape, frames).to(self._device)
        draws = draws.shifted(config.timestep_shift)
        latents = batch.latents_BFCHW.to(self._device, non_blocking=True).float()
        samples = self._split.train.samples
        text = torch.stack([self._text_of(samples[sample].prompt) for sample in batch.samples])
        dropped = dropped_hints(config.seed, batch.positions, config.hint_dropout) if config.hint_dropout else None
        counted = None if batch.counted_BFHW is None else batch.counted_BFHW.to(self._device)
        text, pose, errors = text.to(self._device), batch.pose, self._errors(batch)
        done = self._objective.denoise(model, latents, batch.windows, draws, text, dropped, counted, pose, errors)
        if self._bank is not None:
            self._bank.keep(done.errors(), batch.windows, batch.positions)
        return done.losses(self._weights)

    def _errors(self, batch: WindowBatch) -> torch.Tensor | None:
        """The network's own, to be put on hints, where the run does that."""
        if self._bank is None:
            return None
        return self._bank.draw(batch.windows, batch.positions, self._config.error_share).to(self._device)

    def state(self) -> Tensors:
        """The bank of errors."""
        return {} if self._bank is None else self._bank.state()

    def restore(self, state: Tensors) -> None:
        """Put the bank of errors back; a fork may do without."""
        if self._bank is not None:
            self._bank.load(state)

    def seen(self, positions: Sequence[int]) -> dict[str, Any]:
        """Samples and windows."""
        seen = [self._dataset.window(position) for position in positions]
        return {
            "samples": [self._split.train.samples[sample].key for sample, _ in seen],
            "windows": [[list(window.hints), list(window.targets)] for _, window in seen],
        }

    def out_of_memory(self) -> str:
        """By part."""
        _, height, width = self._split.train.shape
        tokens = len(self._text_of(self._split.prompts[0]))
        plan = plan_memory(self._config, self.network.config, PictureSize(width, height), tokens)
        return explain_out_of_memory(self._config, plan)

    def examination(self, ema: Ema) -> Examiner:
        """On the hold-out's windows."""
        what = (self._config, self._split, self.network, ema, self._objective, self._text_of)
        return Examiner(*what, self._device, self._run_dir)

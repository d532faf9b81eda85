"""What a run shows of itself every so often: the loss per log-SNR bin, and pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

import torch

from data_catalog.base.paths import RunFolder
from model.config import TrainConfig
from model.data.codec import load_codec
from model.data.dataset import SplitData
from model.data.poses import pose_reader
from model.network.objective import Objective
from model.network.unet import VideoUNet
from model.training.ema import Ema
from model.training.metrics_log import picture_rows, write_gif, write_png
from model.training.validation import (
    BankWindow,
    TextOf,
    bank_windows,
    sample_window,
    validation_losses,
    window_sampling,
)


@dataclass
class Examiner:
    """Examines the averaged network of one run on its hold-out."""

    config: TrainConfig
    split: SplitData
    network: VideoUNet
    ema: Ema
    objective: Objective
    text_of: TextOf
    device: torch.device
    run_dir: Path
    _bank: list[BankWindow] = field(default_factory=list)

    def _windows(self, count: int) -> list[BankWindow]:
        """The first `count` windows of the hold-out's bank; of the training set's if nothing is held out."""
        if not self._bank:
            most = max(self.config.validation_windows, self.config.sample_windows)
            index = self.split.holdout if self.split.holdout.samples else self.split.train
            poses = pose_reader(self.config, self.split)
            self._bank = bank_windows(index, self.config.stage, most, self.config.plans, poses)
        return self._bank[:count]

    def bin_losses(self, stop: Callable[[], bool] = lambda: False) -> list[float] | None:
        """The mean loss of the hold-out's windows in each log-SNR bin, or None if it was asked to stop before.

        There must be a hold-out.
        """
        self.network.eval()
        with self.ema.applied():
            bank = self._windows(self.config.validation_windows)
            wanted = takewhile(lambda _: not stop(), bank)
            losses = validation_losses(self.network, self.objective, wanted, self.text_of, self.device)
        if len(losses) < len(bank):
            return None
        return [float(value) for value in losses.mean(0)]

    def write_samples(self, step: int) -> Path:
        """Truth above what the network makes of its hints, for a few windows, and the first of them as a GIF."""
        self.network.eval()
        codec = load_codec(RunFolder(self.run_dir).codec, str(self.device))
        prediction, rows = self.objective.prediction, []
        with self.ema.applied():
            for number, item in enumerate(self._windows(self.config.sample_windows)):
                how = window_sampling(self.config)
                made = sample_window(self.network, prediction, item, self.text_of, how, self.device, number)
                rows += [codec.decode(item.latents), codec.decode(made)]
        base = self._samples(step)
        write_png(base.with_suffix(".png"), picture_rows(rows))
        write_gif(base.with_suffix(".gif"), rows[1])
        return base.with_suffix(".png")

    def has_samples(self, step: int) -> bool:
        """Whether `write_samples` got to its end at this step."""
        return self._samples(step).with_suffix(".gif").is_file()

    def _samples(self, step: int) -> Path:
        return RunFolder(self.run_dir).samples / f"step-{step:08d}"

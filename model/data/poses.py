"""The dancers' poses of training windows: read, sometimes kept back or disturbed, and what the hints show of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from model.config import TrainConfig
from model.data.codec import Codec, load_codec
from model.data.dataset import LatentReader, SplitData
from model.data.warped_hints import pose_conditioning
from model.network.conditioning import PoseConditioning
from model.plans.stages import Window
from model.pose.body_parts import standing_height
from model.seeding import numpy_generator


@dataclass(frozen=True)
class PoseNoise:
    """How poses of training windows differ from those that were found."""

    dropout: float = 0.0
    """Share of windows whose pose is kept back."""
    jitter: float = 0.0
    """Standard deviation of what is added to x and y of the frames to be made, in standing heights."""
    missing: float = 0.0
    """Share of the joints of a window that are unknown in all of its frames to be made."""


@dataclass(frozen=True)
class PoseReader:
    """Poses of windows, a pure function of seed, position, sample and window."""

    codec: Codec
    seed: int
    noise: PoseNoise = PoseNoise()

    def read(
        self, reader: LatentReader, position: int, sample: int, window: Window, latents_FCHW: torch.Tensor
    ) -> PoseConditioning:
        """The conditioning (batch of 1) of a window whose latents have been read."""
        landmarks = reader.landmarks(sample, window.frames)
        generator = numpy_generator(self.seed, "pose-noise", position)
        kept_back = generator.random() < self.noise.dropout
        disturbed = _disturbed(landmarks, window, self.noise, generator)
        hints = list(window.hints)
        drawn = reader.outlines(sample, hints, self.codec.picture)
        outlines = {} if drawn is None else dict(zip(hints, drawn))
        pose = pose_conditioning(self.codec, latents_FCHW.float(), window.frames, window.hints, disturbed, outlines)
        return replace(pose, told_B=pose.told_B & (not kept_back))


def pose_reader(config: TrainConfig, split: SplitData, noisy: bool = False) -> PoseReader | None:
    """Of a run's poses, with the noise of training or without; None for a run that is told none."""
    if not config.pose:
        return None
    noise = PoseNoise(config.pose_dropout, config.pose_jitter, config.pose_missing) if noisy else PoseNoise()
    return PoseReader(load_codec(split.codec_folder), config.seed, noise)


def stacked_poses(poses: Sequence[PoseConditioning]) -> PoseConditioning:
    """One batch of several windows' poses."""
    parts = ("limbs_BFMHW", "warped_BFCHW", "unknown_BFHW", "told_B")
    return PoseConditioning(*(torch.cat([getattr(pose, part) for pose in poses]) for part in parts))


def _disturbed(landmarks: np.ndarray, window: Window, noise: PoseNoise, generator: np.random.Generator) -> np.ndarray:
    """The landmarks with the noise on frames to be made: a hint's pose is that of its picture."""
    if not (noise.jitter or noise.missing):
        return landmarks
    disturbed, made = landmarks.copy(), np.array([frame in window.targets for frame in window.frames])
    tall = np.nanmax([standing_height(frame) for frame in landmarks])
    disturbed[made, :, :2] += generator.normal(0, noise.jitter * np.nan_to_num(tall), disturbed[made, :, :2].shape)
    lost = generator.random(landmarks.shape[1]) < noise.missing
    disturbed[made[:, None] & lost] = np.nan
    return disturbed

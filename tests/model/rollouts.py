"""Rollouts for tests: networks that know the truth, or that are random and small; children that get killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.data.codec import PatchCodec, fit_patch_codec
from model.network.conditioning import FrameConditioning
from model.network.diffusion import alpha_sigma
from model.plans.plan import make_plan
from model.rollout.config import SamplingConfig
from model.rollout.rollout import Rollout, RolloutModels
from model.rollout.steps import Stretch
from model.sampling.guidance import TextPair
from tests.model.dataset import moving_square

CPU = torch.device("cpu")
TEXT = TextPair(torch.zeros(1, 1, 8), torch.zeros(1, 1, 8))
SIDE = 16


def lossless_codec(frames_FHWC: np.ndarray) -> PatchCodec:
    """All 48 components of 4x4 patches: decoding gives the very pixels back."""
    return fit_patch_codec(frames_FHWC, patch=4, channels=48)


def clip_of(frames: int) -> np.ndarray:
    """A clip without two equal frames: uint8 (F, SIDE, SIDE, 3)."""
    clip = moving_square(frames, SIDE, seed=3)
    clip[..., 0] = (np.arange(frames) % 251)[:, None, None]
    clip[..., 1] = (np.arange(frames) // 251)[:, None, None]
    return clip


class KnowsTheClip:
    """Predicts the noise that leads to the clip's latents; finds the frames by its targets in the plan's calls.

    `seen` keeps what it was given: (frames of the window, sample, conditioning), a line for each network call.
    """

    def __init__(self, truth_FCHW: Tensor) -> None:
        self.truth, self.window = truth_FCHW, ()
        self.seen: list[tuple[tuple[int, ...], Tensor, FrameConditioning]] = []

    def __call__(self, sample: Tensor, timestep: Tensor, text: Tensor, cond: FrameConditioning) -> Tensor:
        self.seen.append((self.window, sample.clone(), cond))
        alpha, sigma = alpha_sigma(timestep)
        truth = self.truth[list(self.window)][None]
        return (sample[:, :, : truth.shape[2]] - alpha * truth) / sigma


class TellingRollout(Rollout):
    """Tells its network which frames the window has, which a network otherwise need not know."""

    network: KnowsTheClip

    def _make(self, step: Any, newest: Any) -> Tensor:
        self.network.window = step.call.frames
        return super()._make(step, newest)


def truth_rollout(
    folder: Path, plan: str, frames: int, sampling: SamplingConfig, redos: tuple[Stretch, ...] = ()
) -> tuple[TellingRollout, KnowsTheClip, np.ndarray]:
    """A rollout whose network knows a clip, that network, and the clip (as long as the plan runs)."""
    calls = make_plan(plan, frames)
    clip = clip_of(1 + max(max(call.targets) for call in calls))
    codec = lossless_codec(clip[:32])
    network = KnowsTheClip(codec.encode(clip).half().float())
    cast = RolloutModels(lambda stage: (network, "epsilon"), codec, TEXT, lambda stage: "truth", CPU)
    rollout = TellingRollout(folder, calls, frames, cast, sampling, redos=redos)
    rollout.network = network
    return rollout, network, clip


class Mixer:
    """A stand-in for a network that is quick: a fixed random mixing of its input over frames and channels."""

    def __init__(self, channels: int, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.weight = torch.randn(channels, 2 * channels + 1, generator=generator) / channels

    def __call__(self, sample: Tensor, timestep: Tensor, text: Tensor, cond: FrameConditioning) -> Tensor:
        smooth = sample + 0.3 * sample.roll(1, dims=1)
        return torch.einsum("oc,bfchw->bfohw", self.weight, smooth).tanh()


def mixed_rollout(
    folder: Path, plan: str = "streaming", frames: int = 60, seed: int = 0, redos: tuple[Stretch, ...] = (),
    network: Callable[..., Tensor] | None = None, fps: Fraction = Fraction(30),
) -> tuple[Rollout, np.ndarray]:  # fmt: skip
    """A rollout by a Mixer and the picture it starts from."""
    clip = clip_of(32)
    codec = fit_patch_codec(clip, patch=4, channels=6)
    made = network or Mixer(6)
    cast = RolloutModels(lambda stage: (made, "epsilon"), codec, TEXT, lambda stage: "mixer", CPU)
    sampling = SamplingConfig(steps=3, seed=seed)
    return Rollout(folder, make_plan(plan, frames), frames, cast, sampling, fps, redos), clip[0]


def footprint(folder: Path) -> dict[str, bytes]:
    """Every file of a rollout, and the video, by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def roll_and_die(folder: Path, video: Path, at: int) -> None:
    """Roll, and die by SIGKILL just before the `at`-th time that something is forced to the disk or renamed."""
    count = 0

    def dying(call: Any) -> Any:
        def counted(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return counted

    torch.set_num_threads(1)
    os.fsync, os.replace, os.rename = dying(os.fsync), dying(os.replace), dying(os.rename)
    rollout, picture = mixed_rollout(folder)
    rollout.run(picture, video)


def roll_with_peak(folder: Path, frames: int, out: Path) -> None:
    """Roll that many frames and write the process's peak memory in KiB."""
    torch.set_num_threads(1)
    rollout, picture = mixed_rollout(folder, frames=frames)
    rollout.run(picture, folder / "video.mp4")
    out.write_text(str(peak_kib()))


def peak_kib() -> int:
    """This process's peak resident memory; `ru_maxrss` would begin at its parent's."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1])

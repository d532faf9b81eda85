"""What the network is told about a window: which frames are given, how noisy they are, when they are.

The input is `[noisy latents | mask | hint latents]`, C + 1 + C channels, the order of SD 1.5's inpaint
network; the mask is 1 on frames to be made, as it is 1 on pixels to be painted there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from model.errors import ShapeError, UnknownNameError
from model.plans.stages import Window

MAX_LOG_SNR = 12.0  # a clean hint: noise_to_signal of 0.0025, below what float16 latents resolve
HINT_DRIFT = 0.005  # variance by which latents drift from a hint's with each frame, about that of dancers' pictures
MAX_OFFSET = 180  # the farthest that two frames of a 181-frame clip lie apart, so the farthest that is ever learnt


@dataclass(frozen=True)
class HintNoise:
    """Noise on hints: sigma/alpha, drawn evenly from [low, high] for every frame by itself."""

    low: float
    high: float


# The origin's "signal noise ratio" of 0.33 and 0.66 came without a formula; read as sigma/alpha, 0.66 is more
# noise, which fits its story. "uniform-0.7" is GameNGen's range (Valevski et al. 2024, section 3.2.1).
HINT_NOISE: dict[str, HintNoise] = {
    "none": HintNoise(0.0, 0.0),
    "origin-0.33": HintNoise(0.33, 0.33),
    "origin-0.66": HintNoise(0.66, 0.66),
    "uniform-0.7": HintNoise(0.0, 0.7),
}


def get_hint_noise(name: str) -> HintNoise:
    """The hint noise of that name. Raises UnknownNameError."""
    if name not in HINT_NOISE:
        raise UnknownNameError("hint noise", name, HINT_NOISE)
    return HINT_NOISE[name]


def noise_to_signal_of(windows: Sequence[Window], spec: HintNoise, uniform_BF: Tensor) -> Tensor:
    """sigma/alpha of each frame, (B, F), from draws in [0, 1); 0 on targets and frame 0 of the sequence."""
    noised_BF = torch.tensor(
        [[f in w.hints and f != w.first for f in w.frames] for w in windows], device=uniform_BF.device
    )
    return noised_BF * (spec.low + (spec.high - spec.low) * uniform_BF)


def log_snr_of(noise_to_signal: Tensor) -> Tensor:
    """log(alpha^2 / sigma^2) = -2 log(sigma/alpha), at most MAX_LOG_SNR (no noise at all)."""
    return -2 * noise_to_signal.clamp(min=math.exp(-MAX_LOG_SNR / 2)).log()


def noise_hints(latents_BFCHW: Tensor, noise_BFCHW: Tensor, noise_to_signal_BF: Tensor) -> Tensor:
    """Variance-preserving noise, alpha x + sigma noise for a given sigma/alpha: exactly x where that is 0."""
    ratio = noise_to_signal_BF[:, :, None, None, None].to(latents_BFCHW.dtype)
    alpha = (1 + ratio.square()).rsqrt()
    return alpha * latents_BFCHW + alpha * ratio * noise_BFCHW


@dataclass(frozen=True)
class PoseConditioning:
    """The dancer's pose in each frame of a window, and what the hints show of it once they are moved there.

    limbs: maps of her limbs (B, F, M, H, W). warped: for each frame the hints moved to its pose, latents
        (B, F, C, H, W); of a given frame its own. unknown: how little the hints show of each place, 0 to 1,
        (B, F, H, W). told: False for windows whose pose is kept back (B,); they are as if there were none.
    """

    limbs_BFMHW: Tensor  # noqa: N815
    warped_BFCHW: Tensor  # noqa: N815
    unknown_BFHW: Tensor  # noqa: N815
    told_B: Tensor  # noqa: N815

    def to(self, device: torch.device) -> PoseConditioning:
        """The same on another device."""
        parts = (self.limbs_BFMHW, self.warped_BFCHW, self.unknown_BFHW, self.told_B)
        return PoseConditioning(*(part.to(device, non_blocking=True) for part in parts))

    def expand(self, batch: int) -> PoseConditioning:
        """One window's for a batch of the same."""
        parts = (self.limbs_BFMHW, self.warped_BFCHW, self.unknown_BFHW, self.told_B)
        return PoseConditioning(*(part.expand(batch, *part.shape[1:]) for part in parts))

    def without_hints(self, dropped_B: Tensor) -> PoseConditioning:
        """The same with nothing known of the picture where `dropped_B` is True: the limbs stay."""
        kept = (~dropped_B.to(self.warped_BFCHW.device)).to(self.warped_BFCHW.dtype)
        warped = self.warped_BFCHW * kept[:, None, None, None, None]
        unknown = 1 - (1 - self.unknown_BFHW) * kept[:, None, None, None]
        return replace(self, warped_BFCHW=warped, unknown_BFHW=unknown)


@dataclass(frozen=True)
class FrameConditioning:
    """What the network knows about each frame of a window, beside the latents; all (B, F).

    frame_index: real frame numbers, counted from the window's first target, so a hint before it is negative
        and a shifted window looks the same; float, clamped to +-MAX_OFFSET.
    hint_log_snr: log-SNR of a hint's noise; ignored where `given` is False.
    given: True on hints. A hint that is dropped (for guidance) is a frame with given False.
    pose: the dancer's poses, or None.
    """

    frame_index_BF: Tensor  # noqa: N815
    hint_log_snr_BF: Tensor  # noqa: N815
    given_BF: Tensor  # noqa: N815
    pose: PoseConditioning | None = None

    @classmethod
    def of(
        cls, windows: Sequence[Window], noise_to_signal_BF: Tensor, pose: PoseConditioning | None = None
    ) -> FrameConditioning:
        """Conditioning of windows of equally many frames, on the device of `noise_to_signal_BF`."""
        device = noise_to_signal_BF.device
        index_BF = torch.tensor([[f - w.targets[0] for f in w.frames] for w in windows], dtype=torch.float32)
        given_BF = torch.tensor([[f in w.hints for f in w.frames] for w in windows])
        return cls(
            index_BF.clamp(-MAX_OFFSET, MAX_OFFSET).to(device),
            log_snr_of(noise_to_signal_BF.float()),
            given_BF.to(device),
            pose.to(device) if pose else None,
        )

    def without_hints(self, dropped_B: Tensor) -> FrameConditioning:
        """The same with no frame given where `dropped_B` is True: hints are then frames to be made like others."""
        given_BF = self.given_BF & ~dropped_B.to(self.given_BF.device)[:, None]
        pose = self.pose.without_hints(dropped_B) if self.pose else None
        return FrameConditioning(self.frame_index_BF, self.hint_log_snr_BF, given_BF, pose)

    def to(self, device: torch.device) -> FrameConditioning:
        """The same on another device."""
        index, noise, given = (x.to(device) for x in (self.frame_index_BF, self.hint_log_snr_BF, self.given_BF))
        return FrameConditioning(index, noise, given, self.pose.to(device) if self.pose else None)


def nearest_hint(hints_BFCHW: Tensor, cond: FrameConditioning) -> Tensor:
    """For every frame the latents of the given frame nearest in time (of two, the earlier); 0 if none is."""
    filled = hints_BFCHW.gather(1, _nearest_given(cond)[:, :, None, None, None].expand_as(hints_BFCHW))
    return filled * cond.given_BF.any(1).view(-1, 1, 1, 1, 1)


def _nearest_given(cond: FrameConditioning) -> Tensor:
    apart_BFF = (cond.frame_index_BF[:, :, None] - cond.frame_index_BF[:, None, :]).abs()
    # Half a frame's worth of rank, never as much as a frame apart: argmin's choice among equals is undefined.
    rank_F = torch.linspace(0, 0.5, apart_BFF.shape[-1], device=apart_BFF.device)
    return (apart_BFF + rank_F).masked_fill(~cond.given_BF[:, None, :], math.inf).argmin(-1)


def noise_warped(cond: FrameConditioning, noise_BFCHW: Tensor, noise_to_signal_BF: Tensor) -> FrameConditioning:
    """The same with noise on what the hints show of each pose: as much as on the nearest of them."""
    if cond.pose is None:
        return cond
    level_BF = noise_to_signal_BF.gather(1, _nearest_given(cond))
    return replace(
        cond, pose=replace(cond.pose, warped_BFCHW=noise_hints(cond.pose.warped_BFCHW, noise_BFCHW, level_BF))
    )


def warped_errors(cond: FrameConditioning, errors_BFCHW: Tensor) -> FrameConditioning:
    """The same with errors on what the hints show of each pose: those on the nearest of them, which stay in place."""
    if cond.pose is None:
        return cond
    warped_BFCHW = cond.pose.warped_BFCHW + nearest_hint(errors_BFCHW, cond).to(cond.pose.warped_BFCHW.dtype)
    return replace(cond, pose=replace(cond.pose, warped_BFCHW=warped_BFCHW))


def blended_hints(hints_BFCHW: Tensor, cond: FrameConditioning) -> Tensor:
    """For every frame the mean of all given frames' latents, each weighted by its inverse variance; 0 if none is.

    A hint stands for another frame with the variance of its noise, (sigma/alpha)^2, and HINT_DRIFT for every frame
    between them. What stands still is so freed of most of the hints' noise; what moves is half there already.
    """
    apart_BFF = (cond.frame_index_BF[:, :, None] - cond.frame_index_BF[:, None, :]).abs()
    noise_BF = torch.exp(-cond.hint_log_snr_BF)
    precision_BFF = (noise_BF[:, None, :] + HINT_DRIFT * apart_BFF).reciprocal() * cond.given_BF[:, None, :]
    weight_BFF = precision_BFF / precision_BFF.sum(-1, keepdim=True).clamp(min=1e-9)
    unbiased_BFF = weight_BFF * (1 + noise_BF).sqrt()[:, None, :]  # a hint is alpha x + sigma noise
    # A product and a sum, where a matrix product would lose digits under autocast.
    return (unbiased_BFF.to(hints_BFCHW.dtype)[..., None, None, None] * hints_BFCHW[:, None]).sum(2)


def network_input(
    noisy_BFCHW: Tensor, hints_BFCHW: Tensor, cond: FrameConditioning, nearest_BFCHW: Tensor | None = None
) -> Tensor:
    """`[noisy | mask | hint]`, (B, F, 2C + 1, H, W).

    `hints` holds latents on given frames; what it holds on others is not read. A given frame carries its hint
    in the noisy channels too (so a sampler need not noise hints), and a frame to be made carries the nearest
    hint in the hint channels (so that what stands still can be copied at every resolution): `nearest_hint`, which a
    sampler works out once for all its steps. Where a pose is told, the hint channels hold what the hints show once they
    are moved to it, and the mask how little that is.
    Raises ShapeError if the two tensors or the conditioning disagree.
    """
    if noisy_BFCHW.shape != hints_BFCHW.shape or noisy_BFCHW.shape[:2] != cond.given_BF.shape:
        raise ShapeError(
            f"Noisy latents {tuple(noisy_BFCHW.shape)}, hints {tuple(hints_BFCHW.shape)} and conditioning "
            f"{tuple(cond.given_BF.shape)} differ: give all the same batch and frames."
        )
    given = cond.given_BF[:, :, None, None, None]
    mask = (~given).to(noisy_BFCHW.dtype).expand(-1, -1, 1, *noisy_BFCHW.shape[-2:])
    noisy = torch.where(given, hints_BFCHW, noisy_BFCHW)
    nearest = nearest_hint(hints_BFCHW, cond) if nearest_BFCHW is None else nearest_BFCHW
    if cond.pose is not None:
        told = cond.pose.told_B.view(-1, 1, 1, 1, 1)
        nearest = torch.where(told, cond.pose.warped_BFCHW.to(nearest.dtype), nearest)
        mask = torch.where(told & ~given, cond.pose.unknown_BFHW[:, :, None].to(mask.dtype), mask)
    return torch.cat([noisy, mask, nearest], dim=2)


class FrameEmbedding(nn.Module):
    """Frame index, hint noise and given bit to a vector that is added to the time embedding.

    Sinusoids of index and log-SNR, then two linear layers. Only the last is zero, so the sum starts as the
    time embedding alone and the first layer gets a gradient from the second step on.
    """

    BANDS = 8
    LONGEST_INDEX, LONGEST_LOG_SNR = 2.0 * MAX_OFFSET, 4.0 * MAX_LOG_SNR  # periods of the slowest sinusoids

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(4 * self.BANDS + 1, channels)
        self.out = nn.Linear(channels, channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Zero the output layer."""
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, cond: FrameConditioning) -> Tensor:
        """(B, F, channels)."""
        given = cond.given_BF.to(torch.float32)[..., None]
        index = _sinusoids(cond.frame_index_BF, self.LONGEST_INDEX, self.BANDS)
        noise = _sinusoids(cond.hint_log_snr_BF, self.LONGEST_LOG_SNR, self.BANDS) * given
        features = torch.cat([index, noise, given], dim=-1).to(self.hidden.weight.dtype)
        return self.out(nn.functional.silu(self.hidden(features)))


def _sinusoids(x: Tensor, longest_period: float, bands: int) -> Tensor:
    """sin and cos of x at `bands` octaves below `longest_period`; odd and even in x, so its sign shows."""
    octaves = 2.0 ** torch.arange(bands, device=x.device, dtype=torch.float32)
    phase = x.float()[..., None] * (2 * math.pi / longest_period) * octaves
    return torch.cat([phase.sin(), phase.cos()], dim=-1)

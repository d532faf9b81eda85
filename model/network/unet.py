"""The video network: diffusers' UNet2DConditionModel, inflated, with diffusers' own saving and loading."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from model.errors import ChannelCountError, ShapeError, UnknownNameError, WeightsError
from model.network.conditioning import FrameConditioning, blended_hints
from model.network.diffusion import PredictionType, alpha_sigma
from model.network.image_network import ConfigMixin, ModelMixin, UNet2DConditionModel, register_to_config
from model.network.inflate import NEW_LAYERS, inflate, is_new
from model.network.pose_path import PosePath
from model.network.presets import NETWORK_PRESETS
from model.network.temporal import FrameAxis, FrameState

MAX_LOG_SPREAD = 2.5  # a latent's residual spreads from 1/12 to 12 times the usual, softly bounded


class VideoUNet(ModelMixin, ConfigMixin):
    """A 2-D UNet that denoises a window of frames at once.

    Frames are folded into the batch for every 2-D layer (so group norm is per frame); temporal layers unfold
    them. As made from a 2-D network it computes, frame by frame, exactly what that network computes.

    residual_std: None, or the usual spread of `latents - blended hints`: the network then predicts that
        difference, scaled as in Karras et al. 2022 (table 1) but with a spread of its own for every latent, C
        more output channels; and what it says is turned into epsilon or v. What stands still is copied, at any
        noise level. The loss does not change, and neither does what a sampler sees.
    pose_channels: of the maps of limbs that it may be told; 0: it takes none.
    """

    _supports_gradient_checkpointing = True
    _keep_in_fp32_modules: ClassVar[list[str]] = list(NEW_LAYERS)

    @register_to_config
    def __init__(
        self,
        unet2d: Mapping[str, Any],
        prediction_type: PredictionType = "epsilon",
        residual_std: float | None = None,
        pose_channels: int = 0,
    ) -> None:
        super().__init__()
        self._inflate(UNet2DConditionModel.from_config(dict(unet2d)))

    def _inflate(self, unet2d: UNet2DConditionModel) -> None:
        self.axis = FrameAxis()
        self.channels_last = False
        self.unet = unet2d
        self.frame_embedding = inflate(unet2d, self.latent_channels, self.axis)
        if channels := self.config.pose_channels:
            self.pose_path = PosePath(channels, unet2d.config.block_out_channels[0])

    def add_pose_path(self, channels: int) -> None:
        """Let a network that knows of no poses be told them: it computes what it did, until it learns."""
        if not self.config.pose_channels:
            self.register_to_config(pose_channels=channels)
            self.pose_path = PosePath(channels, self.unet.config.block_out_channels[0])

    @classmethod
    def from_preset(cls, name: str, *, latent_channels: int, text_channels: int) -> Self:
        """A network with random weights. Raises UnknownNameError."""
        if name not in NETWORK_PRESETS:
            raise UnknownNameError("preset", name, NETWORK_PRESETS)
        preset = NETWORK_PRESETS[name]
        return cls(
            unet2d=preset.unet2d_config(latent_channels, text_channels),
            prediction_type=preset.prediction_type,
            residual_std=preset.residual_std,
        )

    @classmethod
    def from_unet2d(cls, unet2d: UNet2DConditionModel, prediction_type: PredictionType = "epsilon") -> Self:
        """A copy of the 2-D network, inflated; new layers are float32. Raises ChannelCountError."""
        return cls._adopt(copy.deepcopy(unet2d), prediction_type)

    @classmethod
    def _adopt(cls, unet2d: UNet2DConditionModel, prediction_type: PredictionType) -> Self:
        config = {key: value for key, value in unet2d.config.items() if not key.startswith("_")}
        with torch.device("meta"):
            network = cls(unet2d=config, prediction_type=prediction_type)
        network._inflate(unet2d)
        return network.to(unet2d.device)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str,
        subfolder: str | None = None,
        torch_dtype: torch.dtype | None = None,
        **kwargs: Any,
    ) -> Self:
        """Load a 2-D network (text to image or inpaint, it is inflated) or a saved VideoUNet, in eval mode.

        A local folder or a hub id in diffusers' format. `torch_dtype` is that of the 2-D layers; new layers
        are float32. Other arguments are diffusers'. Raises WeightsError if tensors are missing or left over,
        ChannelCountError for a 2-D network of other channels.
        """
        where = {"subfolder": subfolder, **kwargs}
        kind = cls.load_config(pretrained_model_name_or_path, **where).get("_class_name")
        if kind == UNet2DConditionModel.__name__:
            loader = UNet2DConditionModel.from_pretrained
        elif kind == cls.__name__:
            loader = super().from_pretrained
        else:
            raise WeightsError(
                f"{pretrained_model_name_or_path} holds a {kind}: expected a UNet2DConditionModel or a "
                f"{cls.__name__}; name the UNet's folder (subfolder 'unet' of a Stable Diffusion checkpoint)."
            )
        loaded, info = loader(
            pretrained_model_name_or_path,
            torch_dtype=torch_dtype,
            use_safetensors=True,
            output_loading_info=True,
            **where,
        )
        wrong = sorted({*info["missing_keys"], *info["unexpected_keys"], *info["mismatched_keys"]})
        if wrong:
            raise WeightsError(
                f"{pretrained_model_name_or_path} is missing {len(info['missing_keys'])} tensors of its network "
                f"and has {len(wrong)} wrong in all (the first is {wrong[0]}): download or save it again."
            )
        if isinstance(loaded, UNet2DConditionModel):
            return cls._adopt(loaded, prediction_type="epsilon").eval()
        return loaded

    def new_parameters(self) -> dict[str, torch.nn.Parameter]:
        """By name, the layers that the 2-D network did not have: temporal ones, conditioning, grown input."""
        return {name: parameter for name, parameter in self.named_parameters() if is_new(name)}

    def image_parameters(self) -> dict[str, torch.nn.Parameter]:
        """By name, the 2-D network's own parameters: all that are not new."""
        return {name: parameter for name, parameter in self.named_parameters() if not is_new(name)}

    @property
    def latent_channels(self) -> int:
        """C, the codec's channels: as many are predicted, 2C + 1 go in."""
        return self.unet.config.out_channels // (1 if self.config.residual_std is None else 2)

    def enable_gradient_checkpointing(self, gradient_checkpointing_func: None = None) -> None:
        """Recompute each block's activations in the backward pass, in the window they were computed in."""

        def recompute_in_window(block: torch.nn.Module, *args: object) -> object:
            state = self.axis.state

            def run(*inputs: object) -> object:
                with self.axis.use(state):
                    return block(*inputs)

            return checkpoint(run, *args, use_reentrant=False)

        super().enable_gradient_checkpointing(recompute_in_window)

    def forward(self, sample_BFCHW: Tensor, timestep_B: Tensor, text_BLD: Tensor, cond: FrameConditioning) -> Tensor:
        """The prediction (epsilon or v, as configured) per frame, (B, F, C, H, W), in the sample's dtype.

        sample: `[noisy | mask | hint]` of conditioning.network_input, (B, F, 2C + 1, H, W). timestep:
        integers (B,). text: (B, tokens, width). Where the 2-D layers are bf16 or fp16 all activations are,
        too, and autocast is switched off: new layers cast their float32 weights.
        Raises ChannelCountError or ShapeError for a sample that does not fit.
        """
        self._check(sample_BFCHW, cond)
        with self._compute_dtype(sample_BFCHW.device):
            if self.config.residual_std is None:
                return self._frames(sample_BFCHW, timestep_B, text_BLD, cond).to(sample_BFCHW.dtype)
            return self._residual(sample_BFCHW, timestep_B, text_BLD, cond)

    def _frames(self, sample: Tensor, timestep_B: Tensor, text_BLD: Tensor, cond: FrameConditioning) -> Tensor:
        batch, frames = sample.shape[:2]
        folded = sample.flatten(0, 1).to(self.dtype)
        if self.channels_last:
            folded = folded.contiguous(memory_format=torch.channels_last)
        state = FrameState(cond.frame_index_BF, self.frame_embedding(cond), self._pose(cond))
        with self.axis.use(state):
            (out,) = self.unet(
                folded,
                timestep_B.repeat_interleave(frames),
                text_BLD.to(self.dtype).repeat_interleave(frames, dim=0),
                return_dict=False,
            )
        return out.unflatten(0, (batch, frames))

    def _pose(self, cond: FrameConditioning) -> Tensor | None:
        """What the poses add, (B*F, C, H, W), where any are told."""
        if cond.pose is None:
            return None
        limbs = cond.pose.limbs_BFMHW.to(self.pose_path.hidden.weight.dtype)
        added = self.pose_path(limbs.flatten(0, 1)).unflatten(0, limbs.shape[:2])
        return (added * cond.pose.told_B.view(-1, 1, 1, 1, 1)).flatten(0, 1)

    def _residual(self, sample: Tensor, timestep_B: Tensor, text_BLD: Tensor, cond: FrameConditioning) -> Tensor:
        """Predict r = x_0 - hint from y = alpha r + sigma noise, preconditioned for the spread s of r.

        `hint` is the blend of all hints, which also takes the place of the nearest one in the 2-D network's input;
        where a pose is told, what the hints show once they are moved to it.

        With D = alpha^2 s^2 + sigma^2 and network output n: r = alpha s^2 / D * y + sigma s / sqrt(D) * n,
        which is Karras et al. 2022, table 1 (c_skip, c_out, c_in) with sigma / alpha for their sigma. So
        v = (alpha x_t - hint - r) / sigma, written without the division that fails as sigma goes to 0.
        A picture's r is either almost nothing or, where something moves, large, its fine texture less than
        its flat colour: so s is the network's to say.
        """
        channels, usual = self.latent_channels, self.config.residual_std
        alpha, sigma = (x.to(sample.dtype) for x in alpha_sigma(timestep_B))
        noisy, mask = sample[:, :, :channels], sample[:, :, channels : channels + 1]
        hint = blended_hints(noisy, cond)  # given frames hold their hint in the noisy channels, too
        if cond.pose is not None:
            hint = torch.where(cond.pose.told_B.view(-1, 1, 1, 1, 1), sample[:, :, channels + 1 :], hint)
        y = noisy - alpha * hint
        scaled = y * (alpha**2 * usual**2 + sigma**2).rsqrt()
        inputs = torch.cat([scaled, mask, hint], dim=2)
        out = self._frames(inputs, timestep_B, text_BLD, cond).to(sample.dtype)
        n, spread = out[:, :, :channels], out[:, :, channels:]
        s = usual * torch.exp(MAX_LOG_SPREAD * torch.tanh(spread / MAX_LOG_SPREAD))
        d = alpha**2 * s**2 + sigma**2
        v = alpha * sigma * (1 - s**2) / d * y - sigma * hint - s * d.rsqrt() * n
        return alpha * v + sigma * noisy if self.config.prediction_type == "epsilon" else v

    @contextmanager
    def _compute_dtype(self, device: torch.device) -> Iterator[None]:
        enabled = torch.is_autocast_enabled(device.type) and self.dtype == torch.float32
        with torch.autocast(device.type, enabled=enabled, dtype=torch.get_autocast_dtype(device.type)):
            yield

    def _check(self, sample_BFCHW: Tensor, cond: FrameConditioning) -> None:
        if sample_BFCHW.ndim != 5 or sample_BFCHW.shape[:2] != cond.given_BF.shape:
            raise ShapeError(
                f"The sample is {tuple(sample_BFCHW.shape)}, its conditioning {tuple(cond.given_BF.shape)}: "
                "expected (batch, frames, channels, height, width) and (batch, frames)."
            )
        given, expected = sample_BFCHW.shape[2], 2 * self.latent_channels + 1
        if given != expected:
            raise ChannelCountError(
                f"The sample has {given} channels: this network takes {expected} (noisy, mask, hint; "
                f"{self.latent_channels} latent channels); use the codec that its run was trained with."
            )
        if cond.pose is not None and cond.pose.limbs_BFMHW.shape[2] != self.config.pose_channels:
            raise ChannelCountError(
                f"The poses have {cond.pose.limbs_BFMHW.shape[2]} channels and this network takes "
                f"{self.config.pose_channels}: use one that was trained with setting pose=true."
            )

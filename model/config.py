"""What can be set, and to what it is set when nobody does: the one source of defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from data_catalog.base.settings import Settings, explain_settings
from model.errors import ConfigError
from model.init_codec import encode_of_init
from model.loop_config import LoopConfig
from model.presets import PRESETS, Preset
from model.sources import (
    CodecSource,
    EmbeddedCodec,
    Init,
    TextSource,
    absolute,
    parse_codec,
    parse_init,
    parse_text,
)
from pipeline.picture_size import PictureSize

StageName = Literal["starter", "extrapolation", "interpolation", "any", "star"]
NoiseWeighting = Literal["none", "x0", "min_snr"]
NetworkValue = Annotated[tuple[int, ...] | int | float | str | None, Field(union_mode="left_to_right")]
"""Text that is a number becomes one, so that a command line and a flow's parameter mean the same."""


SD15_MULTIPLE = 64
"""Pixels: 8 of a latent, which its network halves three times."""


def _picture(given: Any) -> int | str:
    size = PictureSize.parse(given)
    if min(size) < 8:
        raise ValueError(f"{size} is too small: both sides are 8 or more")
    return size.short


PictureSetting = Annotated[int | str, BeforeValidator(_picture)]
"""A number is the side of a square, as it was before there were other shapes: so the hashes of configs stay."""


class EncodeConfig(Settings):
    """How frames and prompts become what the network sees."""

    codec: str = "embedded"
    """`embedded` (patches with a PCA fitted on the data set), the folder or hub id of an `AutoencoderKL`, or a folder
    that `longdance export` wrote, for the very codec of another data set."""
    picture: PictureSetting = 96
    """Width x height of the pictures that are encoded, in pixels, as 96x160, or the side of a square; of the shape of
    the clips."""
    patch: int = Field(6, ge=1)
    """Embedded codec: side of a patch, in pixels."""
    channels: int = Field(32, ge=1)
    """Embedded codec: principal components kept per patch."""
    fit_frames: int = Field(512, ge=1)
    """Embedded codec: frames that the PCA is fitted on."""
    text: str | None = None
    """`zeros`, or the folder or hub id with `tokenizer` and `text_encoder`. None: zeros for the embedded codec,
    otherwise the codec's own folder."""
    prompt: str = "a person dancing"
    """The prompt of every sample that has no caption of its own."""
    captions: str | None = None
    """Set of captions by `longdance caption`; what stands in `captions.csv` comes before it. None: that alone."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if isinstance(self.codec_source, EmbeddedCodec) and any(side % self.patch for side in self.size):
            raise ValueError(f"picture {self.picture} is not a multiple of patch {self.patch}")
        if isinstance(self.codec_source, EmbeddedCodec) and self.channels > 3 * self.patch**2:
            raise ValueError(f"a {self.patch}x{self.patch} patch has no {self.channels} components")
        return self

    @property
    def size(self) -> PictureSize:
        """`picture`, as numbers."""
        return PictureSize.parse(self.picture)

    @property
    def codec_source(self) -> CodecSource:
        """What `codec` means."""
        return parse_codec(self.codec)

    @property
    def text_source(self) -> TextSource:
        """What `text` means, its default filled in."""
        return parse_text(self.text, self.codec_source)


class TrainConfig(LoopConfig):
    """One training of one stage. Immutable once the run has begun."""

    stage: StageName
    """Which windows are learnt: starter, extrapolation, interpolation, any of these, or star (a picture and poses)."""
    preset: Preset = "tiny"
    """Values for everything that is not given: `tiny` for two CPU cores, `sd15` for one GPU."""
    network: dict[str, NetworkValue] = Field(default_factory=dict)
    """Overrides of the preset's fields in `model.network.presets.UNetPreset`; for `init` from scratch."""
    encode: EncodeConfig = EncodeConfig()
    init: str = "scratch"
    """`scratch`; the folder or hub id of a Stable Diffusion checkpoint in diffusers' format; a folder that `longdance
    export` wrote, as `showcase`; `run:PATH` for the newest checkpoint of another run. The last two bring their
    codec."""
    train: Literal["new", "all", "lora"] = "new"
    """What learns: the temporal layers and conditioning alone, everything, or those and LoRA on the 2-D layers."""
    lora_rank: int = Field(16, ge=1, le=1024)
    """Rank of the LoRA matrices, where `train` is `lora`."""
    prioritise: bool = False
    """Draw samples in proportion to their weights in the version, instead of all equally often."""
    prediction: Literal["epsilon", "v_prediction"] | None = None
    """What the network says. None: as its preset or checkpoint does."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """In the ResNets and transformers of the 2-D network."""
    hint_noise: str | None = None
    """How noisy hints get in training: a name in `model.network.conditioning.HINT_NOISE`. None: the stage's own."""
    timestep_shift: float = Field(1.0, gt=0, le=100)
    """Above 1, timesteps are drawn towards much noise, where few sampler steps are: t to s t / (1 + (s - 1) t)."""
    one_step: bool = False
    """Teach the one step of a sampler that begins without noise: a regression of the frames, for windows whose hints
    and poses leave little open. It learns fast and blurs. Generation then takes 1 step at temperature 0."""
    weigh_moving: float = Field(0.0, ge=0, le=100)
    """By how much the loss weighs a place that moves more than one that stands still. Validations and scores weigh all
    alike."""
    weigh_uncovered: float = Field(0.0, ge=0, le=100)
    """By how much it weighs a place that no hint shows once it is moved to the frame's pose."""
    weigh_noise: NoiseWeighting = "none"
    """How it weighs levels of noise. `none`: by the error of what the network says; `x0`: by that of the latents;
    `min_snr`: by that times the signal-to-noise ratio, 5 at most."""
    error_share: float = Field(0.0, ge=0, le=1)
    """Share of windows whose hints carry the network's own one-step errors, as they do in long videos; frame 0, which
    no network made, never does."""
    hint_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of windows that are trained without their hints: guidance over hints in generation needs some."""
    plans: tuple[Literal["origin", "streaming", "tree", "star"], ...] | None = None
    """Plans whose windows are trained. None: the origin's; for stage `any`, all."""
    random_windows: float = Field(0.25, ge=0, lt=1)
    """Stage `any`: share of windows that are random frames instead of a plan's call."""
    pose: bool = False
    """Whether the network is told the dancer's pose in every frame, and is given its hints moved to it; stage `star`
    always is."""
    pose_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of windows whose poses are kept back, for a network that is to work without."""
    pose_jitter: float = Field(0.0, ge=0, lt=1)
    """Noise on joints of frames to be made, in standing heights: for dances that are found less well than these."""
    pose_missing: float = Field(0.0, ge=0, lt=1)
    """Share of joints that are unknown in a window's frames to be made."""
    sample_temperature: float = Field(1.0, ge=0)
    """Scale of the noise that the samples begin with."""

    @field_validator("plans", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """`origin,tree` on a command line."""
        return tuple(value.split(",")) if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _star_is_told(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("stage") == "star":
            return {**given, "pose": given.get("pose", True)}
        return given

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.stage == "star" and not self.pose:
            raise ValueError("stage star makes frames from one picture and their poses: leave out pose=false")
        if self.error_share and self.stage in ("star", "starter"):
            raise ValueError(f"stage {self.stage} has no hint that a network made: leave out error_share")
        if self.weigh_noise != "none" and self.one_step:
            raise ValueError(f"one_step has one level of noise: leave out weigh_noise={self.weigh_noise}")
        return self

    @property
    def init_source(self) -> Init:
        """What `init` means."""
        return parse_init(self.init)


def train_config(stage: str, preset: str = "tiny", **settings: Any) -> TrainConfig:
    """A stage's config: `settings` over the preset's values over the defaults. `encode` and `network` merge; the codec
    is the one that `init` brings, where `settings` name none.

    Raises ConfigError, in one sentence per wrong setting.
    """
    if preset not in PRESETS:
        raise ConfigError(f"Unknown preset {preset!r}: choose one of {', '.join(PRESETS)}.")
    base, encode = PRESETS[preset], settings.get("encode", {})
    if not isinstance(encode, dict):
        raise ConfigError(f"Setting 'encode' is {encode!r}: write its parts, for example encode.picture=96.")
    init = settings.get("init", base.get("init", "scratch"))
    brought = {} if "codec" in encode else encode_of_init(str(init))
    merged = {**base, **settings, "encode": {**base["encode"], **brought, **encode}}
    config = _validated(TrainConfig, {**merged, "stage": stage, "preset": preset})
    if preset == "sd15" and any(side % SD15_MULTIPLE for side in config.encode.size):
        raise ConfigError(
            f"Setting 'encode.picture' is {config.encode.picture}: for sd15 both sides are multiples of "
            f"{SD15_MULTIPLE}, as in 384x640."
        )
    return config


def absolute_folders(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of training whose local folders are absolute, so that a run means the same from wherever it is used.

    Hub ids, and folders that are not there, stay as they are. Runs that were begun with a relative folder keep it.
    """

    def whole(name: str, value: Any) -> Any:
        return absolute(value) if name in ("init", "codec", "text") and isinstance(value, str) else value

    found = {name: whole(name, value) for name, value in settings.items()}
    if isinstance(encode := settings.get("encode"), Mapping):
        found["encode"] = {name: whole(name, value) for name, value in encode.items()}
    return found


def parse_config(raw: dict[str, Any]) -> TrainConfig:
    """A config as `run.json` holds it. Raises ConfigError."""
    return _validated(TrainConfig, raw)


def _validated(kind: type[TrainConfig], raw: dict[str, Any]) -> TrainConfig:
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(explain_settings(error, kind)) from error

"""Every default of the build, once: the command line, the flows and the README read them from here."""

import re
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from data_catalog.base.settings import Settings
from pipeline.picture_size import PictureSize


def _rate(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        rate = Fraction(text)
    except ZeroDivisionError as error:
        raise ValueError(f"{text} is not a number") from error
    if not 1 <= rate <= 240:
        raise ValueError(f"{text} frames per second: expected 1 to 240")
    return str(rate)


def _shape(given: Any) -> str:
    size = PictureSize.parse(given)
    if any(side % 16 or not 64 <= side <= 1024 for side in size):
        raise ValueError(f"{size} does not fit: both sides are multiples of 16 from 64 to 1024 (of 64 for sd15)")
    return str(size)


X264Preset = Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"]
Rate = Annotated[str | None, AfterValidator(_rate)]
Shape = Annotated[str, BeforeValidator(_shape)]
Fill = Literal["edge", "blur", "mirror"]


class LimitsConfig(Settings):
    """What one ffmpeg child may take."""

    memory_mb: int = Field(3072, ge=256, description="address space of one ffmpeg process, MiB")
    wall_s: float = Field(
        3600,
        gt=0,
        description="longest run of one ffmpeg process, seconds; again as long for every 36,000 frames that it gives",
    )
    max_pixels: int = Field(33177600, gt=0, description="largest picture that is decoded (7680x4320)")
    threads: int = Field(1, ge=1, description="decoding and encoding threads of one worker")


class AnalysisConfig(Settings):
    """The one cheap pass over a source. A change here detects everything again."""

    proxy_px: int = Field(512, ge=128, le=2048, description="longest side of the analysed picture")
    pose_hz: float = Field(6.0, gt=0, description="pose detections per second")
    camera_hz: float = Field(30.0, gt=0, description="camera motion measurements per second")
    max_people: int = Field(4, ge=1, le=10, description="people detected in one frame at most")
    min_pose_confidence: float = Field(0.5, ge=0, le=1, description="mediapipe's detection confidence")
    look_s: float = Field(3.0, gt=0, description="seconds between two looks for text that is burnt in")
    cut_ratio: float = Field(3.0, gt=0, description="scenedetect AdaptiveDetector's ratio of a cut")
    cut_content: float = Field(6.0, gt=0, description="least content change of an adaptive cut")
    cut_hard: float = Field(40.0, gt=0, description="content change that is a cut whatever its neighbours")


class ClipConfig(Settings):
    """How a shot is tiled. A change here needs no detection."""

    frames: int = Field(181, ge=2, le=2000, description="frames of a clip")
    fps: Rate = Field(None, description="resample to this rate by timestamps (default: the source's, or its k-th)")
    min_fps: float = Field(20.0, gt=0, description="a slower source is rejected")
    max_fps: float = Field(33.0, gt=0, description="a faster source gives every k-th frame")
    duplicate_change: float = Field(2.5, gt=0, description="largest block change (8-bit levels) of a repeated frame")
    max_gap_s: float = Field(1.0, gt=0, description="longest gap of pose that is interpolated")


class CropConfig(Settings):
    """Where the dancer sits in the picture. A change here encodes again, and detects nothing."""

    renamed: ClassVar[dict[str, str]] = {"size": "shape"}

    mode: Literal["static", "follow"] = Field("static", description="one crop per clip, or a moving window")
    shape: Shape = Field("512x512", description="width x height of a clip, pixels; multiples of 64 for `sd15`")
    fit: Literal["body", "upper"] = Field(
        "body",
        description="`body`: hold the dancer, fill what lies outside the picture; `upper`: never fill, lose legs",
    )
    fill: Fill = Field("edge", description="what fills it: the softened edge, a blurred copy, or the mirrored picture")
    max_filled: float = Field(0.6, ge=0, lt=1, description="share filled beyond which the crop closes in on the dancer")
    body: float = Field(0.74, gt=0.1, lt=1, description="standing height, as a share of the clip's height")
    pelvis_y: float = Field(0.55, gt=0, lt=1, description="the pelvis's place from the top, as a share")
    margin: float = Field(0.03, ge=0, le=0.3, description="free border around the whole dance, as a share")
    max_grow: float = Field(1.25, ge=1, description="how far the crop may grow to hold the whole dance")
    min_shrink: float = Field(0.3, gt=0, le=1, description="`upper`: how far the crop may shrink to stay inside")
    max_upscale: float = Field(2.4, gt=0, description="a dancer that needs more enlargement is rejected")
    follow_speed: float = Field(0.01, gt=0, description="`follow`: fastest window, shares of the crop a frame")
    steady: bool = Field(True, description="hold a camera that moves still, where its picture and the dancer allow")
    steady_within: float = Field(
        0.25, gt=0, lt=1, description="`steady`: share of the picture's width or height that may be lost to it"
    )

    @property
    def size(self) -> PictureSize:
        """`shape`, as numbers."""
        return PictureSize.parse(self.shape)

    def identity(self) -> dict[str, Any]:
        """What decides about a crop, as JSON values: of `upper` squares what it was before there were others."""
        said = self.model_dump(mode="json")
        if not self.steady:
            said = {name: value for name, value in said.items() if not name.startswith("steady")}
        if self.fit == "upper":
            said = {name: value for name, value in said.items() if name not in ("fit", "fill", "max_filled")}
            if self.size.width == self.size.height:
                said["size"] = PictureSize.parse(said.pop("shape")).width
        return said

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.mode == "follow" and self.fill != "edge":
            raise ValueError(f"crop.fill is {self.fill!r} and crop.mode 'follow': a moving window is filled by 'edge'")
        return self


class VariantConfig(Settings):
    """Seeded augmentation; 0, 1 or 2 variants beside the clip as it is."""

    count: int = Field(2, ge=0, le=2, description="augmented variants of a clip")
    seed: int = Field(0, description="seed of the recipes")
    flip: float = Field(0.5, ge=0, le=1, description="probability of a horizontal flip")
    zoom: float = Field(0.04, ge=0, lt=0.5, description="largest zoom, as a share of the crop")
    shift: float = Field(0.03, ge=0, lt=0.5, description="largest shift, as a share of the crop")
    min_tempo: float = Field(0.85, gt=0, le=1, description="slowest tempo (only where no frame would repeat)")
    max_tempo: float = Field(1.15, ge=1, description="fastest tempo")
    colour: float = Field(0.1, ge=0, lt=0.5, description="largest change of brightness, contrast, saturation")


class VideoConfig(Settings):
    """The stored H.264."""

    crf: int = Field(20, ge=0, le=40, description="x264 quality")
    preset: X264Preset = Field("veryfast", description="x264 preset")
    gop: int = Field(12, ge=1, description="frames between keyframes: short, so that a window is cheap to read")
    max_kbit: int = Field(12000, ge=100, description="rate cap, so that a shard's size is bounded")


class SoundConfig(Settings):
    """The stored sound, and what is heard in it."""

    keep: bool = Field(True, description="store each clip's sound, and find its beats")
    rate: int = Field(48000, ge=8000, le=96000, description="samples a second: 48000 is a whole number a frame")
    channels: int = Field(1, ge=1, le=2, description="1: mono, 2: stereo at twice the size")
    loudness: float | None = Field(None, ge=-40, le=-5, description="LUFS that every sample is brought to, like -14")


class LandmarksConfig(Settings):
    """What is known of the dancer in a stored clip. A change here encodes again."""

    every_frame: bool = Field(
        True, description="find the dancer in every frame of the clips that are stored, instead of between detections"
    )
    masks: bool = Field(True, description="with `every_frame`: store which pixels are hers, at a quarter of the size")
    hands: bool = Field(True, description="with `every_frame`: store 21 points of each hand; it takes thrice as long")


class ShardConfig(Settings):
    """Webdataset tars."""

    samples: int = Field(126, ge=1, description="samples in a shard at most (a clip's variants stay together)")
    keep_bad: bool = Field(False, description="store the clips whose verdict is bad, too")


def read_rule(name: str, rule: str) -> tuple[str, float]:
    """(`<` or `>`, the number) of a rule about a column. Raises ValueError."""
    try:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or rule[:1] not in ("<", ">"):
            raise ValueError
        return rule[0], float(rule[1:])
    except ValueError:
        raise ValueError(f"{name}={rule} is no rule: write it as measured.aesthetic=<4.5") from None


class ThresholdsConfig(Settings):
    """The verdict: SQL over scores. A change here decodes nothing."""

    cam_translation: float = Field(2.0, description="camera translation, pixels a frame at 512")
    cam_zoom: float = Field(0.25, description="camera zoom, per cent a frame")
    cam_rotation: float = Field(0.3, description="camera rotation, degrees a frame")
    cam_shake: float = Field(1.5, description="camera shake, pixels a frame RMS at 512")
    out_of_frame: float = Field(0.08, description="share of frames with the dancer out of the picture")
    filled: float = Field(0.65, description="share of the clip that lies outside of the source's picture")
    out_of_crop: float = Field(0.04, description="share of frames with a main joint out of the crop")
    no_pose: float = Field(0.25, description="share of detections without the dancer")
    visibility: float = Field(0.4, description="least mean visibility of the main joints")
    people: float = Field(2.5, description="mean number of people")
    identity_switches: float = Field(2, description="times another person could have been taken for the dancer")
    blur: float = Field(0.62, description="Crete's blur metric (0 sharp, 1 blurred)")
    dark: float = Field(0.08, description="least mean brightness (0 to 1)")
    duplicated: float = Field(0.3, description="share of frames that repeat the one before")
    overlay: float = Field(0.1, description="share of the clip under burnt-in text and logos")
    overlay_dancer: float = Field(0.15, description="share of the dancer under burnt-in text and logos")
    motion_energy: float = Field(0.2, description="least mean joint speed, pixels a frame at 512")

    measured: dict[str, str] = Field(
        default_factory=dict,
        description="by columns of scorers of your own, `measured.NAME=<4.5`: what is below, or with > above, is bad",
    )

    @field_validator("measured")
    @classmethod
    def _rules(cls, value: dict[str, str]) -> dict[str, str]:
        for name, rule in value.items():
            read_rule(name, rule)
        return value

    def rows(self) -> list[dict[str, object]]:
        """The catalog's threshold rows, in the order in which a reason is named."""
        table = [
            ("out_of_frame", "out_of_frame", ">"),
            ("camera_translation", "cam_translation", ">"),
            ("camera_zoom", "cam_zoom", ">"),
            ("camera_rotation", "cam_rotation", ">"),
            ("camera_shake", "cam_shake", ">"),
            ("filled", "filled", ">"),
            ("out_of_crop", "out_of_crop_joints", ">"),
            ("overlay", "overlay", ">"),
            ("overlay_on_dancer", "overlay_dancer", ">"),
            ("no_pose", "no_pose", ">"),
            ("low_visibility", "visibility", "<"),
            ("crowd", "people", ">"),
            ("identity_switches", "identity_switches", ">"),
            ("blurred", "blur", ">"),
            ("dark", "brightness", "<"),
            ("duplicated_frames", "duplicated", ">"),
            ("frozen", "motion_energy", "<"),
        ]
        fields = {"out_of_crop_joints": "out_of_crop", "brightness": "dark"}
        own = [(name, *read_rule(name, rule)) for name, rule in sorted(self.measured.items())]
        return [
            {
                "reason": reason,
                "score": score,
                "op": op,
                "value": float(getattr(self, fields.get(score, score))),
                "rank": rank,
            }
            for rank, (reason, score, op) in enumerate(table)
        ] + [
            {"reason": name, "score": name, "op": op, "value": value, "rank": len(table) + place}
            for place, (name, op, value) in enumerate(own)
        ]


class BuildConfig(Settings):
    """Everything that `longdance build` can be told."""

    renamed: ClassVar[dict[str, str]] = {"encode": "video"}

    workers: int = Field(0, ge=0, description="worker processes (0: one per core)")
    clips: ClipConfig = ClipConfig()
    crop: CropConfig = CropConfig()
    variants: VariantConfig = VariantConfig()
    video: VideoConfig = VideoConfig()
    sound: SoundConfig = SoundConfig()
    landmarks: LandmarksConfig = LandmarksConfig()
    shards: ShardConfig = ShardConfig()
    thresholds: ThresholdsConfig = ThresholdsConfig()
    analysis: AnalysisConfig = AnalysisConfig()
    limits: LimitsConfig = LimitsConfig()

    @classmethod
    def recorded(cls, record: dict[str, Any]) -> Self:
        """A config as `build.json` holds it: what older ones lack is as it was when they were written."""
        if not record:
            return cls()
        older = {"sound": {"keep": False}, "landmarks": {"every_frame": False}}
        record, crop = {**older, **record}, dict(record.get("crop", {}))
        if "encode" in record:
            record["video"] = record.pop("encode")
        if "size" in crop:
            crop = {"fit": "upper", "shape": crop.pop("size"), **crop}
        record["crop"] = {"steady": False, **crop}
        record["landmarks"] = {"hands": False, **record["landmarks"]}
        return cls.model_validate(record)

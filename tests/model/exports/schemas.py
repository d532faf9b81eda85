"""What the targets' documentation says of their config files: for loaders that do not install on a CPU.

Unknown keys are an error, as they are to musubi-tuner's own check.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Directory(Strict):
    """`[[directory]]` of examples/dataset.toml, tdrussell/diffusion-pipe."""

    path: str
    num_repeats: int = Field(1, ge=1)
    mask_path: str | None = None


class DiffusionPipe(Strict):
    """`size_buckets`: (width, height, frames), instead of resolutions and aspect ratio buckets."""

    size_buckets: list[tuple[int, int, int]]
    skip_empty_caption: bool = True
    directory: list[Directory] = Field(min_length=1)


class MusubiGeneral(Strict):
    """`[general]` of docs/dataset_config.md, kohya-ss/musubi-tuner."""

    caption_extension: str
    batch_size: int
    enable_bucket: bool
    bucket_no_upscale: bool


class MusubiVideos(Strict):
    """`[[datasets]]` of a video dataset with caption text files."""

    video_directory: str
    cache_directory: str
    resolution: tuple[int, int]
    frame_extraction: Literal["head", "chunk", "slide", "uniform", "full"]
    max_frames: int
    source_fps: float


class Musubi(Strict):
    general: MusubiGeneral
    datasets: list[MusubiVideos] = Field(min_length=1)


class FinetrainersDataset(Strict):
    """An entry of a training.json: docs/dataset/README.md and the examples of huggingface/finetrainers."""

    data_root: str
    dataset_type: Literal["image", "video"]
    video_resolution_buckets: list[tuple[int, int, int]]
    reshape_mode: Literal["bicubic", "center_crop", "random_crop", "nearest"]


class Finetrainers(Strict):
    datasets: list[FinetrainersDataset] = Field(min_length=1)


class FinetrainersHeld(Strict):
    """An entry of the validation file: `caption` is asked for, the others may be left out."""

    caption: str
    video_path: str
    height: int
    width: int
    num_frames: int
    frame_rate: int


class FinetrainersValidation(Strict):
    data: list[FinetrainersHeld]

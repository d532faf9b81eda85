"""The picture that a video begins with: somebody's own, cropped as clips are, or the first frame of a clip."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_catalog.base.files import read_json
from data_catalog.base.paths import DataFolder
from model.drift.report import RealClip, real_clip
from model.errors import RolloutError
from model.rollout.generate import Prepared, Start
from model.runs.record import read_record
from pipeline.analysis.pose_model import pose_model_path
from pipeline.clips.fill import Rectangle, rectangle
from pipeline.clips.input_picture import aligned_picture, middle_part, read_picture
from pipeline.config import BuildConfig, CropConfig
from pipeline.picture_size import PictureSize


@dataclass(frozen=True)
class Beginning:
    """What a video begins with, and the clip it comes from, if it does."""

    start: Start
    truth: RealClip | None = None
    driving: np.ndarray | None = None
    """(frames, 33, 4) landmarks of the dance that was put on its person, in pixels of where it is from."""


def begin_with(
    image: Path | None, clip: str | None, data: DataFolder | None, prepared: Prepared, align: bool
) -> Beginning:
    """The picture, of the codec's size.

    Raises RolloutError, LongdanceError, DataError.
    """
    if (image is None) == (clip is None):
        raise RolloutError("Give either a picture (--image P.png) or a clip of a data set (--clip ID --data DATA).")
    if clip is not None:
        if data is None:
            raise RolloutError(f"Clip {clip!r} belongs to a data set: name it with --data.")
        truth = real_clip(data.root, clip, prepared.size)
        first = None if truth.regions is None else rectangle(truth.regions[0])
        return Beginning(Start(truth.frames_FHWC[0], first), truth)
    assert image is not None
    picture, region = cropped(image, data, prepared, align, prepared.size)
    return Beginning(Start(picture, None if region == (0, 0, *prepared.size) else region))


def cropped(
    image: Path, data: DataFolder | None, prepared: Prepared, align: bool, size: PictureSize
) -> tuple[np.ndarray, Rectangle]:
    """Somebody's picture as a video begins with it, of that size, and where it is true, and not filled."""
    picture = read_picture(image)
    if not align:
        return middle_part(picture, size), (0, 0, *size)
    return aligned_picture(picture, str(image), pose_model_path(), crop_of(data, prepared), size)


def crop_of(data: DataFolder | None, prepared: Prepared) -> CropConfig:
    """The crop of the data set's clips; without one, of what the runs were trained on, if that is still there."""
    noted = [read_record(run.path)["environment"].get("data") for run in prepared.serving.values()]
    folders = [data] if data is not None else [DataFolder(Path(path)) for path in noted if path]
    for folder in folders:
        if folder.build_record.is_file():
            return BuildConfig.recorded(read_json(folder.build_record)["config"]).crop
    return CropConfig()

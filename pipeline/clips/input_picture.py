"""The picture a video begins with: read with care, and cropped around its dancer as clips are."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from data_catalog.base.errors import LongdanceError, RejectedError
from pipeline.analysis.pose import box, pose_finder
from pipeline.clips.align import plan_crop
from pipeline.clips.crop import Placement, placed
from pipeline.clips.fill import Rectangle, fill_outside
from pipeline.config import AnalysisConfig, CropConfig
from pipeline.picture_size import PictureSize

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
MAX_PIXELS = 1 << 26
MAX_SIDE = 1 << 14
"""Pixels; beyond twice that OpenCV's and mediapipe's scaling ends the process."""


def read_picture(path: Path) -> np.ndarray:
    """uint8 RGB (H, W, 3), turned upright by its EXIF entry, transparent parts on white.

    Raises LongdanceError if it is missing, no picture of a known kind, or too large.
    """
    try:
        with Image.open(path, formats=FORMATS) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise LongdanceError(
                    f"{path} has {opened.width}x{opened.height} pixels: at most {MAX_PIXELS} are read; shrink it."
                )
            if max(opened.size) > MAX_SIDE:
                raise LongdanceError(
                    f"{path} has {opened.width}x{opened.height} pixels: at most {MAX_SIDE} a side are read; cut or "
                    "shrink it."
                )
            upright = _eight_bits(ImageOps.exif_transpose(opened), path).convert("RGBA")
    except Image.DecompressionBombError as error:
        raise LongdanceError(f"{path} has too many pixels: at most {MAX_PIXELS} are read; shrink it.") from error
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        missing = "it is a folder" if path.is_dir() else "there is no such file"
        reason = "it is damaged or of an unknown kind" if path.is_file() else missing
        raise LongdanceError(f"{path} cannot be read as a picture ({reason}): give a PNG, JPEG or WebP.") from error
    paper = Image.new("RGBA", upright.size, (255, 255, 255, 255))
    return np.asarray(Image.alpha_composite(paper, upright).convert("RGB"))


def _eight_bits(picture: Image.Image, path: Path) -> Image.Image:
    """16-bit grey as 8-bit grey: Pillow would clip it to white. Raises LongdanceError for 32 bits, whose white is not
    known."""
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise LongdanceError(f"{path} has pixels of 32 bits: save it with 8 or 16 bits a channel.")
    return picture


def aligned_picture(
    picture: np.ndarray, name: str, model: Path, config: CropConfig, size: PictureSize
) -> tuple[np.ndarray, Rectangle]:
    """The crop around the largest person, as a clip's (`align.plan_crop`), as uint8 (height, width, 3) of this size.

    Also where the picture lies in it: what is outside of that is filled. Raises LongdanceError if nobody is found, or
    no such crop can be had.
    """
    analysis = AnalysisConfig()
    with pose_finder(model, analysis.max_people, analysis.min_pose_confidence) as finder:
        people = finder.find(picture)
    if not len(people):
        raise LongdanceError(
            f"No person was found in {name}: give a picture of one dancer, or add --no-align to take its middle."
        )
    shape = (picture.shape[0], picture.shape[1])
    still = config.model_copy(update={"shape": str(size), "mode": "static"})
    try:
        crop = plan_crop(largest_person(people)[None], np.ones(1, bool), shape, still)
    except RejectedError as error:
        raise LongdanceError(
            f"{name} cannot be cropped as clips are ({error.detail}): give a larger picture of the whole dancer, or "
            "add --no-align to take its middle."
        ) from error
    return shown(picture, placed(crop, shape, size))


def largest_person(people: np.ndarray) -> np.ndarray:
    """Of (people, 33, 4) landmarks the (33, 4) whose box has the largest area."""
    boxes = box(people)
    return np.asarray(people[np.argmax((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))])


def middle_part(picture: np.ndarray, size: PictureSize) -> np.ndarray:
    """The largest part of this shape in the picture's middle, as uint8 (height, width, 3) of this size."""
    height, width = picture.shape[:2]
    tall = min(height, int(width / size.aspect))
    wide = min(width, int(tall * size.aspect))
    left, top = (width - wide) // 2, (height - tall) // 2
    return _scaled(picture[top : top + tall, left : left + wide], size)


def shown(picture: np.ndarray, placement: Placement) -> tuple[np.ndarray, Rectangle]:
    """What a clip would show of a still picture, (height, width, 3), and where the picture lies in it."""
    x0, y0, x1, y1 = (int(value) for value in placement.source[0])
    left, top, right, bottom = (int(value) for value in placement.picture[0])
    frame = np.zeros((placement.size.height, placement.size.width, 3), np.uint8)
    frame[top:bottom, left:right] = _scaled(picture[y0:y1, x0:x1], PictureSize(right - left, bottom - top))
    return fill_outside(frame, (left, top, right, bottom)), (left, top, right, bottom)


def _scaled(part: np.ndarray, size: PictureSize) -> np.ndarray:
    how = cv2.INTER_AREA if part.shape[0] >= size.height else cv2.INTER_CUBIC
    return np.ascontiguousarray(cv2.resize(part, tuple(size), interpolation=how))

"""A crop of the source and where its picture lies in the clip: what of a clip is true, and what is filled."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.picture_size import PictureSize

LEAST_SEEN = 16  # clip pixels: less of the picture is none
KERNEL = 4  # clip pixels that scaling carries across a border: two of the half-size chroma (bicubic)


@dataclass(frozen=True)
class Crop:
    """A window of the source, `width` x `height` of its pixels, which may reach out of the picture.

    corners: (n, 2) of each frame, or of one row if it stays still; even, as all sizes: chroma is subsampled.
    framing: "full": head to feet; "upper": the picture is too narrow for the legs.
    """

    corners: np.ndarray
    width: int
    height: int
    framing: str

    @property
    def size(self) -> np.ndarray:
        """(2,) width and height."""
        return np.array([self.width, self.height])

    def row(self) -> dict[str, Any]:
        """The crop as JSON."""
        said = {"corners": self.corners.tolist(), "width": self.width, "height": self.height, "framing": self.framing}
        return said | ({"side": self.height} if self.width == self.height else {})

    def at(self, frames: int) -> np.ndarray:
        """(frames, 2) corners."""
        return np.broadcast_to(self.corners, (frames, 2)) if len(self.corners) == 1 else self.corners


@dataclass(frozen=True)
class Placement:
    """Where a clip shows the source: the rectangle `source` of its picture lies at `picture` of the clip.

    Both (n, 4): x0, y0, x1, y1, per frame or one row, in source and in clip pixels. What lies outside of `picture` is
    filled. It is whole and even, so that no pixel of it, nor of its chroma, holds anything of what is filled.
    """

    source: np.ndarray
    picture: np.ndarray
    size: PictureSize

    @property
    def filled(self) -> float:
        """Share of the clip's area that is filled, the mean over frames."""
        sides = self.picture[:, 2:] - self.picture[:, :2]
        return 1 - float(sides.prod(1).mean()) / (self.size.width * self.size.height)

    @property
    def shows_enough(self) -> bool:
        """Whether every frame shows something of the picture."""
        return bool((self.picture[:, 2:] - self.picture[:, :2]).min() >= LEAST_SEEN)

    def landmarks(self, landmarks: np.ndarray) -> np.ndarray:
        """(frames, 33, 4) landmarks from source pixels to pixels of the clip."""
        source, picture = self.source[:, None], self.picture[:, None]
        scale = (picture[..., 2:] - picture[..., :2]) / (source[..., 2:] - source[..., :2])
        moved = landmarks.copy()
        moved[..., :2] = (landmarks[..., :2] - source[..., :2]) * scale + picture[..., :2]
        moved[..., 2] = landmarks[..., 2] * scale[..., 1]
        return moved

    def chosen(self, frames: np.ndarray) -> "Placement":
        """Of some frames alone, given by a mask or by numbers."""
        if len(self.picture) == 1:
            return self
        return Placement(self.source[frames], self.picture[frames], self.size)


def placed(crop: Crop, shape: tuple[int, int], size: PictureSize) -> Placement:
    """Where a clip of this size shows the source through this crop.

    Of a crop that stays still the part within the picture is scaled by itself, to whole pixels of the clip: so its
    border is sharp. A moving one is scaled with what fills it, and a border of `KERNEL` pixels counts as filled.

    Args:
        shape: (height, width) of the source picture.
    """
    low, high = np.zeros(2, np.int64), np.array([shape[1], shape[0]]) // 2 * 2
    corners, clip = crop.corners, np.array(size)
    ends = corners + crop.size
    if ((corners >= 0) & (ends <= [shape[1], shape[0]])).all():
        whole = np.array([[0, 0, *size]])
        return Placement(np.concatenate([corners, ends], 1).astype(float), whole.repeat(len(corners), 0), size)
    scale = clip / crop.size
    inner = np.clip(corners, low, high), np.clip(ends, low, high)
    first, last = (np.clip((part - corners) * scale, 0, clip) for part in inner)
    if len(corners) == 1:
        picture = np.concatenate([np.round(part / 2) * 2 for part in (first, last)], 1).astype(np.int64)
        return Placement(np.concatenate(inner, 1).astype(float), picture, size)
    first, last = np.where(first > 0, first + KERNEL, 0), np.where(last < clip - 1e-6, last - KERNEL, clip)
    low = np.minimum(np.ceil(first / 2) * 2, clip)
    picture = np.concatenate([low, np.maximum(np.floor(last / 2) * 2, low)], 1).astype(np.int64)
    return Placement(picture / np.tile(scale, 2) + np.tile(corners, 2), picture, size)

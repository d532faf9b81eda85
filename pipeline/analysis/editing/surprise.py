"""What motion does not explain: the change from picture to picture that is left after the flow is taken out.

A dancer's motion, however fast, carries the old picture into the new one. A change of shot does not: what it leaves is
a spike in time (a jump cut) or a line that moves over the picture (a wipe).
"""

import cv2
import numpy as np

SIDE = 144  # longer side of the compared part of the picture
BINS = 80  # places along each way over the whole picture
QUIET = 6  # 8-bit levels: grain and compression
GROW = 0.2  # of the dancer's box
LEAST = 16  # pixels: a smaller region holds no picture
WAYS = ("right", "down", "falling", "rising", "iris", "doors")  # along which a wipe's line goes, or back

Region = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels of a picture


def region_of(boxes: np.ndarray, shape: tuple[int, int]) -> Region:
    """The region around all boxes, grown; the whole picture where nobody is.

    Args:
        boxes: (n, 4) x0, y0, x1, y1 in pixels.
        shape: (height, width) of the picture.
    """
    height, width = shape
    if not len(boxes):
        return 0, 0, width, height
    low, high = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    pad = GROW * float((high - low).max())
    x0, y0 = (int(side) // 2 * 2 for side in np.maximum(low - pad, 0))
    x1, y1 = (int(side) for side in np.minimum(high + pad, (width, height)))
    return (x0, y0, x1, y1) if min(x1 - x0, y1 - y0) >= LEAST else (0, 0, width, height)


def part_yuv(frame_i420: np.ndarray, region: Region, side: int = SIDE) -> np.ndarray:
    """(rows, columns, 3) uint8 luma and chroma of a region of I420 planes, its longer side at most `side`."""
    width, height = frame_i420.shape[1], frame_i420.shape[0] * 2 // 3
    x0, y0, x1, y1 = region
    scale = min(1.0, side / max(x1 - x0, y1 - y0))
    size = (max(LEAST, round((x1 - x0) * scale)), max(LEAST, round((y1 - y0) * scale)))
    chroma = frame_i420[height:].reshape(2, height // 2, width // 2)
    half = (slice(y0 // 2, max(y0 // 2 + 1, y1 // 2)), slice(x0 // 2, max(x0 // 2 + 1, x1 // 2)))
    planes = (frame_i420[y0:y1, x0:x1], chroma[0][half], chroma[1][half])
    return cv2.merge([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in planes])


def new_flow(preset: int) -> cv2.DISOpticalFlow:
    """Dense inverse search: Kroeger et al. 2016, "Fast optical flow using dense inverse search"."""
    return cv2.DISOpticalFlow.create(preset)


def unexplained(before: np.ndarray, after: np.ndarray, flow: cv2.DISOpticalFlow) -> np.ndarray:
    """(rows, columns) float32 levels by which `after` differs from `before` carried by its flow (`part_yuv` each)."""
    rows, columns = after.shape[:2]
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1).astype(np.float32)
    back = flow.calc(after[..., 0].copy(), before[..., 0].copy(), None)
    carried = cv2.remap(before, back + grid, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    left = cv2.subtract(cv2.absdiff(carried, after), (QUIET, QUIET, QUIET, 0))
    return np.asarray(left.sum(-1, dtype=np.float32))


class SurpriseMeter:
    """What a quick flow leaves, added up along the ways on which wipes go."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._shape = shape
        self._flow = new_flow(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._flow.setFinestScale(1)
        self._last: tuple[np.ndarray, Region, np.ndarray] = (np.empty(0), (0, 0, 0, 0), np.empty(0))
        self._bins: dict[Region, np.ndarray] = {}

    def rows(self, before: np.ndarray, after: np.ndarray, region: Region) -> np.ndarray:
        """(WAYS, BINS) float32: unexplained change along each way, mean 8-bit levels over the region in sum.

        Args:
            before, after: uint8 I420 planes.
        """
        frame, place, old = self._last
        if frame is not before or place != region:
            old = part_yuv(before, region)
        new = part_yuv(after, region)
        self._last = (after, region, new)
        left = unexplained(old, new, self._flow).ravel()
        bins = self._bins_of(region, new.shape[:2])
        return np.stack([np.bincount(way, left, BINS) for way in bins]).astype(np.float32) / left.size

    def _bins_of(self, region: Region, size: tuple[int, ...]) -> np.ndarray:
        """(WAYS, pixels) bins of a region; the last region's are kept."""
        if region not in self._bins:
            (rows, columns), (x0, y0, x1, y1), (height, width) = size, region, self._shape
            x, y = np.meshgrid((np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows)
            x, y = (x0 + x * (x1 - x0)) / width, (y0 + y * (y1 - y0)) / height
            iris, doors = np.hypot(x - 0.5, y - 0.5) * 2**0.5, 2 * np.abs(x - 0.5)
            ways = np.stack([x, y, (x + y) / 2, (1 - x + y) / 2, iris, doors]).reshape(len(WAYS), -1)
            self._bins = {region: np.minimum((ways * BINS).astype(np.int64), BINS - 1)}
        return self._bins[region]

"""`crop.steady`: the picture moved against its camera, so that the background stands still.

What comes out is a picture of its own, smaller by what the camera moved: the part that every frame of a clip shows.
Clips are cut out of it as out of a source's picture; what lies outside is filled.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from pipeline.analysis.arrays import Analysis
from pipeline.clips.steadying.camera_path import CameraPath, affines_of

HOLDS = (np.inf, 1.0)
"""How still the camera is held, first what is tried first: it stands, or glides as a Gaussian of so many seconds."""
INSET = 1.0  # source pixels at the picture's edge that are not shown: interpolation looks beyond them


@dataclass(frozen=True)
class Steady:
    """Where each of `frames` (n,), all of a shot, lies in the steadied picture.

    affines: (n, 2, 3) similarities from source pixels to its pixels; a frame's are the same in every sample of a clip,
        but for the corner.
    corner: (2,) where its corner lies, counted from where the source's would, were the camera held from the start.
    size: (2,) its width and height, even.
    source: (2,) width and height of the source's picture.
    """

    frames: np.ndarray
    affines: np.ndarray
    corner: np.ndarray
    size: np.ndarray
    source: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the steadied picture."""
        return int(self.size[1]), int(self.size[0])

    def in_source(self, points: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """(n, m, >= 2) points of n frames of the steadied picture, in source pixels."""
        return moved(points, inverse(self.at(frames)))

    def shifted(self, landmarks: np.ndarray, to: "Steady") -> np.ndarray:
        """(..., >= 2) points of this steadied picture in that of the same camera over other frames."""
        there = landmarks.copy()
        there[..., :2] += self.corner - to.corner
        return there

    @property
    def kept(self) -> float:
        """Share of the source's picture that is left, along the side that loses more."""
        return float((self.size / self.source).min())

    def at(self, frames: np.ndarray) -> np.ndarray:
        """(m, 2, 3) of frames, the nearest ones' of frames beyond the shot."""
        return np.asarray(self.affines[np.clip(np.searchsorted(self.frames, frames), 0, len(self.frames) - 1)])

    def over(self, frames: np.ndarray) -> "Steady":
        """The same camera over other frames, and what all of them show."""
        low, high = shown_by_all(self.at(frames), self.source)
        low = np.ceil(low)
        size = np.maximum(np.floor((high - low) / 2) * 2, 0).astype(np.int64)
        affines = self.affines.copy()
        affines[:, :, 2] -= low
        return replace(self, affines=affines, corner=self.corner + low, size=size)

    def analysis(self, analysis: Analysis) -> Analysis:
        """What was measured in the shot's frames, as it is in the steadied picture."""
        to, of = self.at(analysis.camera_frames[:, 1]), inverse(self.at(analysis.camera_frames[:, 0]))
        boxes = analysis.overlays.reshape(-1, 2, 2)[:, [[0, 0], [1, 0], [0, 1], [1, 1]], [[0, 1]]]
        looks = np.repeat(analysis.look_frames, np.diff(analysis.overlays_end, prepend=0))
        boxes = moved(boxes, self.at(looks)) if len(boxes) else boxes
        return replace(
            analysis,
            camera=np.round(chained(chained(to, analysis.camera), of), 9),
            overlays=np.concatenate([boxes.min(1), boxes.max(1)], 1) if len(boxes) else analysis.overlays,
        )

    def row(self, frames: np.ndarray) -> dict[str, object]:
        """As JSON: the picture's size, and per frame [a, b, x, c, d, y] with x' = a x + b y + x, y' = c x + d y + y."""
        return {"size": self.size.tolist(), "from_source": np.round(self.at(frames).reshape(-1, 6), 6).tolist()}


def held(path: CameraPath, analysis: Analysis, shot: tuple[int, int], window: np.ndarray, hold_s: float) -> Steady:
    """The shot with its camera held still, or gliding, over the frames of a clip.

    Args:
        window: (m,) frames of the clip; a camera that stands does so where it is in the mean over them.
        hold_s: one of `HOLDS`.
    """
    frames = np.arange(*shot)
    cameras = path.at(analysis.pts[frames])
    if np.isinf(hold_s):
        wanted = np.broadcast_to(path.at(analysis.pts[window]).mean(0), cameras.shape)
    else:
        spread = hold_s / float(np.median(np.diff(analysis.pts[frames])))
        wanted = gaussian_filter1d(cameras, spread, axis=0, mode="nearest")
    affines = chained(affines_of(wanted, path.middle), inverse(affines_of(cameras, path.middle)))
    whole = Steady(frames, affines, np.zeros(2), np.zeros(2, np.int64), path.middle * 2)
    return whole.over(window)


def shown_by_all(affines: np.ndarray, source: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the largest upright rectangle about the middle that lies within all of the moved pictures."""
    left, top, right, bottom = INSET, INSET, source[0] - INSET, source[1] - INSET
    points = np.array([[left, top], [right, top], [left, bottom], [right, bottom]])
    corners = moved(np.broadcast_to(points, (len(affines), 4, 2)), affines)
    low = np.array([corners[:, [0, 2], 0].max(), corners[:, [0, 1], 1].max()])
    high = np.array([corners[:, [1, 3], 0].min(), corners[:, [2, 3], 1].min()])
    return low, high


def moved(points: np.ndarray, affines: np.ndarray) -> np.ndarray:
    """(n, m, >= 2) points, each of the n by its own of (n, 2, 3) similarities; a third number is depth, and scaled."""
    there = np.array(points, dtype=np.float64)
    there[..., :2] = np.einsum("nij,nmj->nmi", affines[:, :, :2], points[..., :2]) + affines[:, None, :, 2]
    if there.shape[-1] > 2:
        there[..., 2] = points[..., 2] * np.hypot(affines[:, 0, 0], affines[:, 1, 0])[:, None]
    return there


def chained(after: np.ndarray, before: np.ndarray) -> np.ndarray:
    """(n, 2, 3): `before`, then `after`."""
    linear = after[:, :, :2] @ before[:, :, :2]
    return np.concatenate([linear, after[:, :, :2] @ before[:, :, 2:] + after[:, :, 2:]], 2)


def inverse(affines: np.ndarray) -> np.ndarray:
    """(n, 2, 3) the ways back."""
    linear = np.linalg.inv(affines[:, :, :2])
    return np.concatenate([linear, -linear @ affines[:, :, 2:]], 2)


def corner_motion(steps: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """Pixels by which (n, 2, 3) steps move the corners of a rectangle, the mean over corners and known steps."""
    steps = steps[np.isfinite(steps).all((1, 2))]
    if not len(steps):
        return 0.0
    corners = np.array([[x, y] for x in (low[0], high[0]) for y in (low[1], high[1])])
    there = moved(np.broadcast_to(corners, (len(steps), 4, 2)), steps)
    return float(np.linalg.norm(there - corners, axis=-1).mean())

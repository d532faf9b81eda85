"""People in a picture: mediapipe's 33 landmarks each."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.analysis.pose_model import bundle_with_masks

JOINTS = 33
NOSE, LEFT_EYE, RIGHT_EYE = 0, 2, 5
LEFT_SHOULDER, RIGHT_SHOULDER = 11, 12
LEFT_ELBOW, RIGHT_ELBOW, LEFT_WRIST, RIGHT_WRIST = 13, 14, 15, 16
LEFT_HIP, RIGHT_HIP = 23, 24
LEFT_KNEE, RIGHT_KNEE, LEFT_ANKLE, RIGHT_ANKLE = 25, 26, 27, 28

CORE = [NOSE, LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_HIP, RIGHT_HIP]
LIMBS = [
    LEFT_ELBOW, RIGHT_ELBOW, LEFT_WRIST, RIGHT_WRIST, LEFT_KNEE, RIGHT_KNEE, LEFT_ANKLE, RIGHT_ANKLE,
]  # fmt: skip
MAIN = CORE + LIMBS
# A horizontal flip swaps the person's left and right: row i of the flipped landmarks is row MIRROR[i].
MIRROR = [0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9, *[i + 1 if i % 2 else i - 1 for i in range(11, 33)]]


class PoseFinder:
    """mediapipe's PoseLandmarker on single pictures (stateless, so that a result depends on its picture alone)."""

    def __init__(self, model: Path, people: int, confidence: float, masks: bool = False) -> None:
        self._model, self._people, self._confidence, self._masks = model, people, confidence, masks
        self._landmarker: Any = None

    def _open(self) -> Any:
        """Load the networks at the first picture: much work needs none."""
        from mediapipe.tasks.python import BaseOptions, vision

        if self._masks:
            base = BaseOptions(model_asset_buffer=bundle_with_masks(self._model))
        else:
            base = BaseOptions(model_asset_path=str(self._model))
        options = vision.PoseLandmarkerOptions(
            base_options=base,
            running_mode=vision.RunningMode.IMAGE,
            num_poses=self._people,
            min_pose_detection_confidence=self._confidence,
            min_pose_presence_confidence=self._confidence,
            output_segmentation_masks=self._masks,
        )
        return vision.PoseLandmarker.create_from_options(options)

    def find(self, rgb: np.ndarray) -> np.ndarray:
        """Landmarks of everyone in an RGB uint8 picture (H, W, 3).

        The picture is padded to a square first: mediapipe projects landmarks out of a rotated region
        correctly only where width and height have the same unit.

        Returns:
            float32 (people, 33, 4): x, y, z in pixels of the picture, visibility 0 to 1.
        """
        return self._landmarks(self._detect(rgb), max(rgb.shape[:2]))

    def find_with_masks(self, rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(landmarks as `find` gives them, bool (people, H, W) what belongs to each person), of a finder of masks."""
        found = self._detect(rgb)
        height, width = rgb.shape[:2]
        masks = [mask.numpy_view().squeeze()[:height, :width] > 0.5 for mask in found.segmentation_masks or []]
        return self._landmarks(found, max(height, width)), np.array(masks, bool).reshape(-1, height, width)

    def _detect(self, rgb: np.ndarray) -> Any:
        """What mediapipe finds in the picture, padded to a square."""
        import mediapipe as mp

        side = max(rgb.shape[:2])
        square = np.zeros((side, side, 3), np.uint8)
        square[: rgb.shape[0], : rgb.shape[1]] = rgb
        image = mp.Image(image_format=mp.ImageFormat.SRGB, data=square)
        if self._landmarker is None:
            with silenced_stderr():
                self._landmarker = self._open()
                self._landmarker.detect(image)
        return self._landmarker.detect(image)

    @staticmethod
    def _landmarks(found: Any, side: int) -> np.ndarray:
        rows = [[(p.x * side, p.y * side, p.z * side, p.visibility) for p in one] for one in found.pose_landmarks]
        return np.asarray(rows, np.float32).reshape(-1, JOINTS, 4)

    def close(self) -> None:
        """Free the networks."""
        if self._landmarker is not None:
            self._landmarker.close()


@contextmanager
def silenced_stderr() -> Iterator[None]:
    """Keep TFLite's C++ start-up notes off the terminal: they have no switch."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def pose_finder(model: Path, people: int, confidence: float, masks: bool = False) -> Iterator[PoseFinder]:
    """A PoseFinder that is closed at the end."""
    finder = PoseFinder(model, people, confidence, masks)
    try:
        yield finder
    finally:
        finder.close()


def box(landmarks: np.ndarray) -> np.ndarray:
    """(x0, y0, x1, y1) around the main joints of (..., 33, >=2) landmarks, in their unit."""
    points = landmarks[..., MAIN, :2]
    return np.concatenate([points.min(-2), points.max(-2)], -1)


def body_length(landmarks: np.ndarray) -> np.ndarray:
    """Torso + thigh + shin lengths of (..., 33, >=2) landmarks in pixels (NaN where unknown): the measure of body size.

    A sum of segments survives bending, jumping and crouching, which the height of a bounding box does not.
    """
    p = landmarks[..., :2]

    def between(a: tuple[int, int], b: tuple[int, int]) -> np.ndarray:
        """Mean over the two sides of the distance from joint a to joint b."""
        sides = [np.linalg.norm(p[..., i, :] - p[..., j, :], axis=-1) for i, j in zip(a, b, strict=True)]
        return (sides[0] + sides[1]) / 2

    shoulders, hips = (LEFT_SHOULDER, RIGHT_SHOULDER), (LEFT_HIP, RIGHT_HIP)
    knees, ankles = (LEFT_KNEE, RIGHT_KNEE), (LEFT_ANKLE, RIGHT_ANKLE)
    return between(shoulders, hips) + between(hips, knees) + between(knees, ankles)


def pelvis(landmarks: np.ndarray) -> np.ndarray:
    """(..., 2) middle of the hips."""
    return (landmarks[..., LEFT_HIP, :2] + landmarks[..., RIGHT_HIP, :2]) / 2


BODY_PER_HEIGHT = 0.76  # torso + thigh + shin of a standing adult, as a share of the height (Winter 2009, fig. 4.1)

"""A dancer's hands in one picture: mediapipe's 21 points of each, looked for about the wrists that her pose has."""

import functools
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from pipeline.analysis.hands.hand_model import hand_model_path
from pipeline.analysis.pose import BODY_PER_HEIGHT, body_length, silenced_stderr

HANDS, POINTS = 2, 21
"""Her left one first, as in landmarks left is hers; a hand's points begin with its wrist."""
SIDES = ((15, 19, 17), (16, 20, 18))  # of the pose: wrist, index finger, little finger
HAND_PER_HEIGHT = 0.108  # a hand's length over a standing height (Winter 2009, fig. 4.1)
AROUND = (
    1.7,
    1.1,
    2.5,
)  # hand lengths to each side of a hand's middle, tried in turn
TO_MIDDLE = 0.9  # of the way from the wrist to the fingers' roots
SIDE = 256  # pixels of the picture that is looked at
CONFIDENCE = (0.2, 0.3)  # of a palm, of a hand in it: what is found must lie at her wrist besides
NEAR = 0.7  # hand lengths between the wrists of pose and hand
SAME = 0.15  # hand lengths: two hands nearer than this are one


class HandFinder:
    """mediapipe's HandLandmarker on parts of single pictures."""

    def __init__(self, model: Path) -> None:
        self._model = model
        self._landmarker: Any = None

    def _open(self) -> Any:
        """Load the networks at the first picture."""
        from mediapipe.tasks.python import BaseOptions, vision

        options = vision.HandLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(self._model)),
            running_mode=vision.RunningMode.IMAGE,
            num_hands=HANDS,
            min_hand_detection_confidence=CONFIDENCE[0],
            min_hand_presence_confidence=CONFIDENCE[1],
        )
        return vision.HandLandmarker.create_from_options(options)

    def find(self, rgb: np.ndarray, pose: np.ndarray) -> np.ndarray:
        """Both hands of a person in an RGB uint8 picture (H, W, 3).

        Args:
            pose: (33, 4) her landmarks in the picture's pixels.

        Returns:
            (2, 21, 4): x, y, z in pixels, z from the wrist, and 1; all 0 of a hand that is not found.
        """
        length = HAND_PER_HEIGHT * float(body_length(pose)) / BODY_PER_HEIGHT
        hands, seen = np.zeros((HANDS, POINTS, 4)), np.empty((0, POINTS, 3))
        wanted = (
            [hand for hand, (wrist, *_) in enumerate(SIDES) if _inside(pose[wrist, :2], rgb)] if length >= 1 else []
        )
        for around in AROUND:
            for hand in wanted:
                if not hands[hand, 0, 3]:
                    seen = distinct(np.concatenate([seen, self._near(rgb, pose, hand, around * length)]), SAME * length)
            hands = _assigned(seen, pose, wanted, NEAR * length)
        return hands

    def _near(self, rgb: np.ndarray, pose: np.ndarray, hand: int, reach: float) -> np.ndarray:
        """(n, 21, 3) hands in the square of `reach` pixels to each side of where one of hers must be."""
        wrist, *fingers = SIDES[hand]
        middle = pose[wrist, :2] + TO_MIDDLE * (pose[fingers, :2].mean(0) - pose[wrist, :2])
        corner, scale = middle - reach, SIDE / (2 * reach)
        found = self._detect(_part(rgb, corner, scale)) / scale
        found[..., :2] += corner
        return found

    def _detect(self, part: np.ndarray) -> np.ndarray:
        """(hands, 21, 3) in pixels of a square picture."""
        import mediapipe as mp

        image = mp.Image(image_format=mp.ImageFormat.SRGB, data=part)
        if self._landmarker is None:
            with silenced_stderr():
                self._landmarker = self._open()
                self._landmarker.detect(image)
        found = self._landmarker.detect(image).hand_landmarks
        rows = [[(point.x, point.y, point.z) for point in hand] for hand in found]
        return np.asarray(rows, float).reshape(-1, POINTS, 3) * len(part)

    def close(self) -> None:
        """Free the networks."""
        if self._landmarker is not None:
            self._landmarker.close()


def distinct(hands: np.ndarray, apart: float) -> np.ndarray:
    """Of (n, 21, 3) hands those that lie no nearer than `apart` to one before them."""
    kept: list[np.ndarray] = []
    for hand in hands:
        if all(np.linalg.norm(hand[:, :2] - other[:, :2], axis=1).mean() >= apart for other in kept):
            kept.append(hand)
    return np.array(kept).reshape(-1, POINTS, 3)


def _assigned(seen: np.ndarray, pose: np.ndarray, wanted: list[int], near: float) -> np.ndarray:
    """(2, 21, 4): each hand that was seen to the wrist that it is at, none to both, the least distance in all."""
    hands = np.zeros((HANDS, POINTS, 4))
    wrists = pose[[SIDES[hand][0] for hand in wanted], :2].reshape(-1, 2)
    apart = np.linalg.norm(wrists[:, None] - seen[None, :, 0, :2], axis=-1)
    for row, column in zip(*linear_sum_assignment(np.minimum(apart, 10 * near)), strict=True):
        if apart[row, column] < near:
            hands[wanted[row], :, :3], hands[wanted[row], :, 3] = seen[column], 1
    return hands


def _inside(place: np.ndarray, rgb: np.ndarray) -> bool:
    return bool(((place >= 0) & (place < rgb.shape[1::-1])).all())


def _part(rgb: np.ndarray, corner: np.ndarray, scale: float) -> np.ndarray:
    """SIDE x SIDE pixels from a corner on, black where the picture ends."""
    move = np.array([[scale, 0, -corner[0] * scale], [0, scale, -corner[1] * scale]])
    return np.ascontiguousarray(cv2.warpAffine(rgb, move, (SIDE, SIDE), flags=cv2.INTER_CUBIC))


@functools.cache
def hand_finder() -> HandFinder:
    """This process's finder."""
    return HandFinder(hand_model_path())

"""A dancer's hands in one picture: mediapipe's 21 points of each, looked for about the wrists that her pose has."""

import functools
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.analysis.hands.hand_model import hand_model_path
from pipeline.analysis.pose import BODY_PER_HEIGHT, body_length, silenced_stderr

HANDS, POINTS = 2, 21
"""Her left one first, as in landmarks left is hers; a hand's points begin with its wrist."""
SIDES = ((15, 19, 17), (16, 20, 18))  # of the pose: wrist, index finger, little finger
HAND_PER_HEIGHT = 0.108  # a hand's length over a standing height (Winter 2009, fig. 4.1)
AROUND = (1.7, 1.1)  # hand lengths to each side of a hand's middle, tried in turn: palms are found at some sizes better
SIDE = 256  # pixels of the picture that is looked at
CONFIDENCE = (0.2, 0.3)  # of a palm, of a hand in it: what is found must lie at her wrist besides
NEAR = 0.7  # hand lengths between the wrists of pose and hand
SAME = 0.25  # hand lengths: two hands nearer than this are one


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
        hands = np.zeros((HANDS, POINTS, 4))
        if length < 1:
            return hands
        for hand, joints in enumerate(SIDES):
            found = self._hand_of(rgb, pose, joints, length)
            if found is not None:
                hands[hand, :, :3], hands[hand, :, 3] = found, 1
        if hands[:, 0, 3].all() and np.linalg.norm(hands[0, :, :2] - hands[1, :, :2], axis=1).mean() < SAME * length:
            apart = [np.linalg.norm(hands[hand, 0, :2] - pose[SIDES[hand][0], :2]) for hand in range(HANDS)]
            hands[int(np.argmax(apart))] = 0
        return hands

    def _hand_of(
        self, rgb: np.ndarray, pose: np.ndarray, joints: tuple[int, int, int], length: float
    ) -> np.ndarray | None:
        """(21, 3) of the hand nearest to one of her wrists, or None."""
        wrist = pose[joints[0], :2]
        if not ((wrist >= 0) & (wrist < rgb.shape[1::-1])).all():
            return None
        middle = wrist + 0.9 * (pose[list(joints[1:]), :2].mean(0) - wrist)
        for around in AROUND:
            corner, scale = middle - around * length, SIDE / (2 * around * length)
            found = self._detect(_part(rgb, corner, scale)) / scale
            found[..., :2] += corner
            apart = np.linalg.norm(found[:, 0, :2] - wrist, axis=1)
            if len(found) and apart.min() < NEAR * length:
                return np.asarray(found[int(np.argmin(apart))])
        return None

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


def _part(rgb: np.ndarray, corner: np.ndarray, scale: float) -> np.ndarray:
    """SIDE x SIDE pixels from a corner on, black where the picture ends."""
    move = np.array([[scale, 0, -corner[0] * scale], [0, scale, -corner[1] * scale]])
    return np.ascontiguousarray(cv2.warpAffine(rgb, move, (SIDE, SIDE), flags=cv2.INTER_CUBIC))


@functools.cache
def hand_finder() -> HandFinder:
    """This process's finder."""
    return HandFinder(hand_model_path())

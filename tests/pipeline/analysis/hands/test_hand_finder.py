"""Hands are looked for at the wrists; which of them real people's are is measured by `bench/hands.py`."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from pipeline.analysis.hands.hand_finder import HANDS, POINTS, HandFinder
from pipeline.analysis.hands.hand_model import hand_model_path
from tests.pipeline.people import person

FINGERS = np.array([[0.1, -0.8], [-0.1, -0.8], [0.25, -0.5]])  # of the pose: index, little finger, thumb; hand lengths
SKIN, WALL = (205, 160, 130), (90, 110, 120)


@pytest.fixture(scope="module")
def hands() -> Iterator[HandFinder]:
    finder = HandFinder(hand_model_path())
    yield finder
    finder.close()


def open_hand(picture: np.ndarray, wrist: np.ndarray, length: float, thumb: float) -> None:
    """Draw an open hand, seen from its palm, that points upwards; `thumb` is 1 where the thumb is at the right."""
    palm = wrist - np.array([0, 0.28 * length])
    cv2.ellipse(picture, palm.astype(int).tolist(), (int(0.2 * length), int(0.27 * length)), 0, 0, 360, SKIN, -1)
    cv2.line(
        picture,
        wrist.astype(int).tolist(),
        (wrist + np.array([0, length])).astype(int).tolist(),
        SKIN,
        int(0.26 * length),
    )
    for finger, (side, reach) in enumerate(((0.16, 0.86), (0.06, 0.98), (-0.05, 0.95), (-0.15, 0.8))):
        root = wrist + np.array([side * thumb, -0.48]) * length
        tip = wrist + np.array([1.4 * side * thumb, -reach]) * length
        shade = tuple(int(c - 6 * finger) for c in SKIN)
        cv2.line(picture, root.astype(int).tolist(), tip.astype(int).tolist(), shade, int(0.085 * length))
    root, tip = wrist + np.array([0.14 * thumb, -0.2]) * length, wrist + np.array([0.42 * thumb, -0.45]) * length
    cv2.line(picture, root.astype(int).tolist(), tip.astype(int).tolist(), SKIN, int(0.1 * length))


def scene(height: float) -> tuple[np.ndarray, np.ndarray]:
    """A picture with two open hands, and the pose of somebody whose they are."""
    pose = person(320, 620, height)
    length = 0.108 * height
    for wrist, x in ((15, 480.0), (16, 160.0)):
        pose[wrist, :2] = x, 300
        pose[wrist + 2 : wrist + 7 : 2, :2] = np.array([x, 300]) + FINGERS * length
    picture = np.full((640, 640, 3), WALL, np.uint8)
    open_hand(picture, pose[15, :2], length, -1)
    open_hand(picture, pose[16, :2], length, 1)
    return cv2.GaussianBlur(picture, (0, 0), 1.0), pose


def test_each_hand_is_found_at_its_own_wrist(hands: HandFinder) -> None:
    picture, pose = scene(1000)
    found = hands.find(picture, pose)
    assert found.shape == (HANDS, POINTS, 4)
    for hand, wrist in enumerate((15, 16)):
        assert (found[hand, :, 3] == 1).all()
        assert np.linalg.norm(found[hand, 0, :2] - pose[wrist, :2]) < 40
        tips = found[hand, [8, 12, 16, 20], 1]
        assert (tips < pose[wrist, 1] - 60).all(), "fingers point upwards"


def test_a_wall_has_no_hands_and_neither_has_what_lies_outside(hands: HandFinder) -> None:
    picture, pose = scene(1000)
    assert not hands.find(np.full_like(picture, WALL), pose).any()
    away = pose.copy()
    away[:, 0] += 5000
    assert not hands.find(picture, away).any()


def test_one_hand_is_not_found_twice(hands: HandFinder) -> None:
    picture, pose = scene(1000)
    pose[[16, 18, 20], :2] = pose[[15, 17, 19], :2] + 25
    found = hands.find(picture, pose)
    assert found[0].any()
    assert not found[1].any()

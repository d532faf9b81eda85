"""What stays where it is is burnt in; the scene, the dancer and a still camera's room are not."""

import cv2
import numpy as np

from pipeline.analysis.editing.overlays import standing, standing_marks
from tests.pipeline.analysis.editing.test_bars import luma, room
from tests.pipeline.composites import emblem, words

SAMPLES = 6


def covered(boxes: np.ndarray, box: tuple[int, int, int, int]) -> float:
    """Share of a box that the boxes cover."""
    raster = np.zeros((400, 400), bool)
    for x0, y0, x1, y1 in boxes.round().astype(int):
        raster[y0:y1, x0:x1] = True
    return float(raster[box[1] : box[3], box[0] : box[2]].mean())


def test_a_logo_without_letters_is_found_while_the_camera_moves():
    frames = room(240, 320, moves=True)
    logo = emblem(36, np.random.default_rng(4)).on(frames, 270, 12, 0, SAMPLES, "emblem")
    marks = standing_marks(luma(frames))
    assert covered(marks, logo.box) > 0.6
    assert len(marks) == 1


def test_nothing_is_found_in_a_moving_scene_without_overlays():
    assert not len(standing_marks(luma(room(240, 320, moves=True))))


def test_before_a_camera_that_stands_the_scene_is_no_overlay():
    assert not len(standing_marks(luma(room(240, 320))))


def test_lines_along_which_the_camera_moves_are_no_overlay():
    frames = room(240, 320, moves=True)
    for y in (60, 61, 140, 141, 200, 201):
        frames[:, y] = 20
    assert not len(standing_marks(luma(frames)))


def test_text_stands_still_and_a_print_on_a_shirt_does_not():
    before = room(240, 320)[0]
    after = before.copy()
    words("follow for more", 18, np.random.default_rng(2), style=1).on(before[None], 20, 20, 0, 1, "caption")
    words("follow for more", 18, np.random.default_rng(2), style=1).on(after[None], 20, 20, 0, 1, "caption")
    words("CREW", 16, np.random.default_rng(3), style=1).on(before[None], 150, 120, 0, 1, "shirt")
    words("CREW", 16, np.random.default_rng(3), style=1).on(after[None], 154, 117, 0, 1, "shirt")
    boxes = np.array([[20, 20, 150, 42], [150, 118, 205, 140]], np.float32)
    grey = [cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) for picture in (before, after)]
    assert standing(boxes, *grey).tolist() == [True, False]
    assert standing(boxes[:0], *grey).shape == (0,)

"""The camera behind bars and captions, and pictures that begin at their own corner."""

import cv2
import numpy as np
import pytest

from pipeline.analysis.camera import CameraTracker, decompose
from pipeline.analysis.editing.bars import Rect
from pipeline.analysis.passages import Passage, PassageReader, read_passage, scene_mask
from pipeline.analysis.picture_places import (
    bars_from,
    bars_of_shots,
    common_bars,
    corners_at,
    from_corner,
    looks_within,
    thumbs_within,
)
from tests.pipeline.composites import words

HEIGHT, WIDTH = 288, 512
SPEED = 3.0


def views(count: int) -> list[np.ndarray]:
    """uint8 luma of a soft wall that a camera pans over by SPEED a frame, under captions that stand still."""
    rng = np.random.default_rng(8)
    coarse = rng.integers(90, 130, (60, 160)).astype(np.uint8)
    wall = cv2.resize(coarse, (1280, 480), interpolation=cv2.INTER_CUBIC)
    start = [np.float32([[1, 0, -60 - SPEED * n], [0, 1, -90]]) for n in range(count)]
    frames = np.stack([cv2.cvtColor(cv2.warpAffine(wall, a, (WIDTH, HEIGHT)), cv2.COLOR_GRAY2BGR) for a in start])
    for y in (10, 40, 220, 250):
        words("like and subscribe, watch until the end", 22, np.random.default_rng(y), style=2).on(
            frames, 20, y, 0, count, "caption"
        )
    return [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in frames]


def i420(luma: np.ndarray) -> np.ndarray:
    """Planes of a grey picture."""
    return np.concatenate([luma, np.full((HEIGHT // 2, WIDTH), 128, np.uint8)])


def test_a_pan_under_captions_is_measured_behind_them():
    lumas = views(40)
    reader, tracker = PassageReader((HEIGHT, WIDTH), 3.0), CameraTracker(np.full((HEIGHT, WIDTH), 255, np.uint8))
    for number, luma in enumerate(lumas):
        if number:
            reader.follow((number - 1, number, *tracker.follow(lumas[number - 1], luma)))
        if number % 5 == 0:
            reader.add(number, number / 30, i420(luma), [])
    [passage] = reader.finish()
    assert [len(boxes) > 0 for _, boxes in passage.looks] == [True]
    steps = np.array([affine for *_, affine in passage.steps])
    translation = decompose(steps, np.array([WIDTH / 2, HEIGHT / 2]))[0]
    assert len(steps) == 39
    assert np.linalg.norm(translation, axis=1).mean() == pytest.approx(SPEED, rel=0.1)


def test_corners_on_overlays_alone_tell_nothing_about_the_camera():
    corners = np.float32([[x, y] for x in range(20, 500, 24) for y in (30, 250)])
    looks = [(0, np.float32([[0, 15, WIDTH, 45], [0, 235, WIDTH, 265]]))]
    passage = read_passage(0, np.full((1, HEIGHT, WIDTH), 90, np.uint8), looks, [(0, 1, corners, corners)])
    assert np.isnan(passage.steps[0][2]).all()


def test_a_passage_ends_at_a_cut():
    reader, flat = PassageReader((HEIGHT, WIDTH), 3.0), i420(np.full((HEIGHT, WIDTH), 90, np.uint8))
    for number in range(0, 300, 5):
        reader.add(number, number / 30, flat, [151] if number >= 155 else [])
    assert [passage.start for passage in reader.finish()] == [0, 155]


def test_the_scene_is_neither_bar_nor_overlay_nor_right_beside_them():
    mask = scene_mask((100, 200), Rect(0, 20, 200, 100), np.float32([[50, 40, 80, 60]]))
    assert not mask[:23].any()
    assert mask[23, 0]
    assert mask[99, 199]
    assert not mask[38:62, 48:82].any()
    assert mask[50, 90]


def test_bars_are_even_source_pixels_of_each_shot():
    passages = [Passage(0, Rect(10, 0, 246, 144), [], []), Passage(60, Rect(0, 0, 256, 144), [], [])]
    rows = bars_of_shots(passages, np.array([50]), (144, 256), (720, 1280))
    assert rows.tolist() == [[0, 50, 0, 50, 0], [50, 0, 0, 0, 0]]
    assert corners_at(rows, np.array([0, 49, 50])).tolist() == [[50, 0], [50, 0], [0, 0]]
    assert bars_of_shots(passages[1:], np.array([50]), (144, 256), (720, 1280)).shape == (0, 5)


def test_a_step_means_the_same_seen_from_the_pictures_corner():
    step = np.array([[[1.02, -0.03, 4.0], [0.03, 1.02, -2.0]]])
    corner, point = np.array([[120, 40]]), np.array([300.0, 200.0])
    inside = from_corner(step, corner)
    moved = step[0, :, :2] @ point + step[0, :, 2]
    assert np.allclose(inside[0, :, :2] @ (point - corner[0]) + inside[0, :, 2], moved - corner[0])


def test_thumbs_and_overlays_are_the_pictures_own():
    bars = np.array([[0, 320, 0, 320, 0]])
    thumb = np.full((1, 32, 32), 16, np.uint8)
    thumb[:, :, 8:24] = 120
    within, cut = thumbs_within(thumb, np.array([3]), bars, (720, 1280))
    assert cut.all()
    assert (within == 120).all()
    passage = Passage(0, Rect(64, 0, 192, 144), [(3, np.float32([[70, 10, 90, 20]]))], [])
    frames, ends, boxes = looks_within([passage], bars, (5.0, 5.0))
    assert (frames.tolist(), ends.tolist(), boxes.tolist()) == ([3], [1], [[30, 50, 130, 100]])


@pytest.mark.parametrize(
    ("rows", "common"),
    [
        ([], (0, 0, 0, 0)),
        ([[0, 300, 0, 300, 0]], (300, 0, 300, 0)),
        ([[0, 300, 0, 300, 0], [90, 200, 40, 300, 0]], (200, 0, 300, 0)),
        ([[0, 300, 0, 300, 0], [90, 0, 0, 0, 0]], (0, 0, 0, 0)),
        ([[0, 60, 0, 60, 0]], (0, 0, 0, 0)),
    ],
)
def test_bars_are_common_where_every_shot_has_them_and_they_are_wide(rows, common):
    bars = np.array(rows, np.int64).reshape(-1, 5)
    assert common_bars([bars], (720, 1280)) == common
    assert common_bars([bars, bars[:0]], (720, 1280)) == (0, 0, 0, 0)


def test_joined_parts_have_a_row_of_bars_each_where_one_has_some():
    none, some = np.empty((0, 5), np.int64), np.array([[0, 8, 0, 8, 0], [5, 0, 0, 0, 0]])
    assert [part.tolist() for part in bars_from([0, 40], [none, none])] == [[], []]
    joined = [part.tolist() for part in bars_from([0, 40], [none, some])]
    assert joined == [[[0, 0, 0, 0, 0]], [[40, 8, 0, 8, 0], [45, 0, 0, 0, 0]]]

"""A stored clip's background is measured in the clip itself."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from data_catalog.base.errors import RejectedError
from pipeline.shards.background import background_motion, check_steady
from tests.pipeline.people import dance
from tests.pipeline.videos import ffmpeg

FRAMES, SIDE = 20, 256
WHOLE = np.array([[0, 0, SIDE, SIDE]])


def clip(folder: Path, step: float, texture: float = 60.0) -> tuple[Path, np.ndarray]:
    """A wall that moves by `step` pixels a frame behind a dark figure that dances; and her landmarks."""
    random, path = np.random.default_rng(3), folder / "clip.mp4"
    wall = cv2.GaussianBlur(random.normal(0, 1, (SIDE, SIDE + 100)).astype(np.float32), (0, 0), 2.0)
    wall = np.clip(128 + texture * wall / wall.std(), 0, 255)
    landmarks = dance(FRAMES, 128, 235, 200, swing=0.1)
    frames = []
    for number in range(FRAMES):
        shift = np.array([[1, 0, -step * number - 10], [0, 1, 0]], float)
        frame = cv2.warpAffine(wall, shift, (SIDE, SIDE), flags=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)
        x, y = landmarks[number, 23, :2].astype(int)
        cv2.rectangle(frame, (int(x) - 20, int(y) - 90), (int(x) + 10, int(y) + 90), 20, -1)
        frames.append(frame)
    ffmpeg("-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{SIDE}x{SIDE}", "-r", "25", "-i", "pipe:0", "-crf", "18",
           "-pix_fmt", "yuv420p", str(path), stdin=np.stack(frames).tobytes())  # fmt: skip
    return path, landmarks


@pytest.mark.parametrize("step", [0.0, 0.5, 2.0])
def test_the_background_moves_by_what_was_drawn_whatever_the_dancer_does(step: float, tmp_path: Path) -> None:
    path, landmarks = clip(tmp_path, step)
    assert background_motion(path, landmarks, WHOLE) == pytest.approx(step * 2, abs=0.12), "at 512"


def test_what_moves_more_than_was_planned_is_refused(tmp_path: Path) -> None:
    path, landmarks = clip(tmp_path, 1.0)
    assert check_steady(path, landmarks, WHOLE, planned=2.0) == pytest.approx(2.0, abs=0.2)
    with pytest.raises(RejectedError, match="background moves by") as caught:
        check_steady(path, landmarks, WHOLE, planned=0.0)
    assert caught.value.code == "not_steady"


def test_nothing_is_said_of_a_plain_wall_nor_of_what_is_filled(tmp_path: Path) -> None:
    path, landmarks = clip(tmp_path, 3.0, texture=0.0)
    assert background_motion(path, landmarks, WHOLE) is None
    path, landmarks = clip(tmp_path, 3.0)
    assert background_motion(path, landmarks, np.array([[100, 100, 130, 130]])) is None

"""Cuts are found at the exact frame, and nothing else is a cut."""

import cv2
import numpy as np
import pytest

from pipeline.analysis.cuts import CutFinder, shots
from pipeline.config import AnalysisConfig

HEIGHT, WIDTH = 120, 160


def backdrop(seed: int) -> np.ndarray:
    """A coloured, textured picture."""
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(0, 255, (6, 8, 3)).astype(np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def moving(seed: int, count: int, speed: int = 3, light: float = 1.0, pan: float = 0.4) -> list[np.ndarray]:
    """A figure that dances before a backdrop while the camera pans a little."""
    pictures = []
    for t in range(count):
        shift = np.array([[1, 0, -pan * t], [0, 1, 0]])
        picture = cv2.warpAffine(backdrop(seed), shift, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
        x = WIDTH // 2 + int(30 * np.sin(t * speed / 15))
        cv2.ellipse(picture, (x, 70), (12, 40), 0, 0, 360, (40, 40, 220), -1)
        pictures.append(np.clip(picture * light, 0, 255).astype(np.uint8))
    return pictures


def found(pictures: list[np.ndarray]) -> list[int]:
    finder = CutFinder(AnalysisConfig())
    for picture in pictures:
        finder.add(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420))
    return finder.cuts()


@pytest.mark.parametrize("lengths", [[30, 30], [7, 40, 12, 25], [40, 3, 40], [20, 60]])
def test_hard_cuts_are_found_at_the_frame_that_begins_the_shot(lengths: list[int]) -> None:
    pictures = [picture for i, count in enumerate(lengths) for picture in moving(i, count)]
    assert found(pictures) == np.cumsum(lengths)[:-1].tolist()


def test_a_dance_without_a_cut_has_none() -> None:
    assert found(moving(1, 120, speed=9)) == []


def test_a_camera_that_jerks_is_no_cut() -> None:
    def taken(seed: int, frames: range, way: tuple[int, int] = (0, 0)) -> list[np.ndarray]:
        """A wall with bricks, and who dances before it."""
        rng = np.random.default_rng(seed)
        bricks = cv2.resize(rng.integers(-40, 40, (12, 16)).astype(np.float32), (WIDTH, HEIGHT))[..., None]
        shift = np.array([[1.0, 0, way[0]], [0, 1, way[1]]])
        pictures = [np.clip(picture + bricks, 0, 255).astype(np.uint8) for picture in moving(seed, 60, pan=0.0)]
        return [
            cv2.warpAffine(p, shift, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
            for p in pictures[frames.start : frames.stop]
        ]

    first, rest = range(30), range(30, 60)
    assert found([*taken(3, first), *taken(3, rest, (7, 3))]) == []
    assert found([*taken(3, first), *taken(4, rest, (7, 3))]) == [30], "another wall is one"


def test_a_cut_after_which_nothing_fits_is_one_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    rng = np.random.default_rng(7)
    shots = [np.repeat(rng.integers(0, 255, (1, HEIGHT, WIDTH, 3)).astype(np.uint8), 20, 0) for _ in range(2)]
    assert found([picture for shot in shots for picture in shot]) == [20]
    assert not recwarn.list


def test_a_slow_change_of_light_is_no_cut() -> None:
    pictures = [moving(2, 90)[t] * (0.6 + 0.4 * t / 90) for t in range(90)]
    assert found([picture.astype(np.uint8) for picture in pictures]) == []


def lit(pictures: list[np.ndarray], frames: range, gain: float, add: tuple[int, int, int]) -> list[np.ndarray]:
    """The pictures, some of them under other light."""
    other = [np.clip(pictures[t] * gain + np.array(add), 0, 255).astype(np.uint8) for t in frames]
    return [*pictures[: frames.start], *other, *pictures[frames.stop :]]


LIGHTS = {
    "white": (0.0, (255, 255, 255)),
    "black": (0.0, (0, 0, 0)),
    "colour": (0.3, (20, 40, 180)),
    "bright": (1.8, (30, 30, 30)),
}


@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize("frames", [range(50, 51), range(50, 53), range(50, 56)])
def test_a_flash_is_no_cut(light: str, frames: range) -> None:
    assert found(lit(moving(3, 100, speed=1, pan=0.1), frames, *LIGHTS[light])) == []


def test_a_strobe_is_no_cut() -> None:
    pictures = moving(4, 120, speed=1, pan=0.1)
    for start in range(40, 80, 8):
        pictures = lit(pictures, range(start, start + 3), *LIGHTS["bright"])
    assert found(pictures) == []


def test_a_lamp_that_stays_is_no_cut() -> None:
    assert found(lit(moving(5, 100, speed=1, pan=0.1), range(50, 100), 0.6, (60, 0, 0))) == []


@pytest.mark.parametrize("length", [3, 8, 15])
def test_another_shot_between_two_parts_of_one_is_two_cuts(length: int) -> None:
    scene = moving(6, 100)
    assert found([*scene[:50], *moving(7, length), *scene[50:]]) == [50, 50 + length]


def test_a_flash_over_a_cut_hides_none() -> None:
    cuts = found(lit([*moving(8, 50), *moving(9, 50)], range(48, 52), *LIGHTS["white"]))
    assert cuts
    assert set(cuts) <= set(range(48, 53))


def test_the_first_frame_and_still_pictures_are_no_cuts() -> None:
    assert found([backdrop(1)] * 20) == []
    assert found([backdrop(1)]) == []
    assert found([]) == []


def test_shots_are_the_ranges_between_cuts() -> None:
    assert shots([], 10) == [(0, 10)]
    assert shots([4, 7], 10) == [(0, 4), (4, 7), (7, 10)]
    assert shots([10], 10) == [(0, 10)]
    assert shots([], 0) == []

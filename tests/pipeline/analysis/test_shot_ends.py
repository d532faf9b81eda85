"""Leaps, lines and mixtures in numbers that are made up: what is told from what. Drawn dancers: test_transitions.py."""

import cv2
import numpy as np
import pytest

from pipeline.analysis.camera import background_step
from pipeline.analysis.editing.clothes import ClothesWatch
from pipeline.analysis.editing.jumps import NEAR, WORTH, leaps
from pipeline.analysis.editing.scenes import SceneWatch
from pipeline.analysis.editing.surprise import BINS, WAYS, SurpriseMeter, part_yuv, region_of
from pipeline.analysis.editing.wipes import sweeps
from pipeline.analysis.pose import PoseFinder
from pipeline.analysis.shot_ends import ShotEnds, merged
from pipeline.config import AnalysisConfig

RATE = 30
SHAPE = (288, 512)  # of the analysed picture
EVERY = 5  # frames from look to look
NOBODY = np.ones((72, 128), bool)


def test_one_surprise_is_a_leap_and_a_quick_dance_is_none() -> None:
    energy = np.full(40, 2.0)
    energy[20] = 9.0
    assert np.flatnonzero(leaps(energy) >= WORTH).tolist() == [20]
    energy[18:23] = 9.0
    assert not (leaps(energy) >= WORTH).any()


def test_what_has_no_neighbours_yet_is_not_judged() -> None:
    energy = np.zeros(20)
    energy[20 - NEAR] = energy[NEAR - 1] = 50.0
    assert not (leaps(energy) >= WORTH).any()
    assert not leaps(np.full(2 * NEAR, 9.0)).any()


def test_where_no_frame_came_no_shot_ends(finder: PoseFinder) -> None:
    cuts, transitions = ShotEnds(finder, AnalysisConfig(), SHAPE).result()
    assert (cuts.shape, transitions.shape) == ((0,), (0, 2))


def noise(steps: int, seed: int = 0) -> np.ndarray:
    """Rows of a dance: surprise all over the place."""
    return np.random.default_rng(seed).uniform(0, 0.02, (steps, len(WAYS), BINS)).astype(np.float32)


@pytest.mark.parametrize("way", range(len(WAYS)))
@pytest.mark.parametrize("back", [False, True])
def test_a_line_over_the_picture_is_a_wipe_at_its_time(way: int, back: bool) -> None:
    rows = noise(120)
    for k in range(BINS):
        rows[50 + round(20 * k / BINS), way, BINS - 1 - k if back else k] += 0.4
    found = max(sweeps(rows, RATE), key=lambda sweep: sweep.ratio)
    assert abs(found.start - 50) <= 2
    assert abs(found.end - 70) <= 2


def test_what_changes_at_once_is_no_wipe_and_neither_is_a_dance() -> None:
    assert sweeps(noise(150), RATE) == []
    rows = noise(150, 1)
    rows[70] += 0.4  # a caption, a flash, a jump
    assert sweeps(rows, RATE) == []


def wall(seed: int) -> np.ndarray:
    """A small luma picture with something to see in each part."""
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(30, 220, (24, 42)).astype(np.uint8), (128, 72), interpolation=cv2.INTER_CUBIC)


def step(corners: np.ndarray, there: np.ndarray) -> np.ndarray:
    return background_step(corners, there, SHAPE)


def watched(pictures: list[np.ndarray]) -> list[tuple[int, int]]:
    """The transitions in small pictures, nobody in them."""
    watch, found = SceneWatch(SHAPE, step), []
    for number, picture in enumerate(pictures):
        watch.add(number, number / RATE, picture)
        if number % EVERY == 0:
            found.append(watch.look(NOBODY))
    return [span for span in found if span is not None]


def mixed(one: np.ndarray, two: np.ndarray, share: float) -> np.ndarray:
    return np.asarray((one + share * (two.astype(np.float32) - one)).round().astype(np.uint8))


@pytest.mark.parametrize("length", [6, 15, 30, 50])
def test_a_dissolve_lies_where_the_picture_is_a_mixture(length: int) -> None:
    one, two = wall(1), wall(2)
    shares = np.concatenate([np.zeros(90), np.arange(1, length + 1) / (length + 1), np.ones(90)])
    ((start, end),) = watched([mixed(one, two, share) for share in shares])
    assert 90 - 0.2 * length - 3 <= start <= 90
    assert 90 + length <= end <= 90 + 1.2 * length + 3


def test_a_hard_cut_to_another_wall_is_one_frame() -> None:
    assert watched([wall(1)] * 70 + [wall(2)] * 80) == [(70, 70)]


def test_a_flash_a_lamp_and_a_still_wall_are_no_transition() -> None:
    white = np.full((72, 128), 235, np.uint8)
    assert watched([wall(1)] * 150) == []
    assert watched([wall(1)] * 60 + [white] * 6 + [wall(1)] * 120) == []
    assert watched([mixed(wall(1), white, share) for share in np.linspace(0, 0.6, 150)]) == []


def test_a_pan_along_one_wall_is_no_transition_where_the_camera_is_known() -> None:
    rng = np.random.default_rng(5)
    long_wall = cv2.resize(rng.integers(30, 220, (24, 100)).astype(np.uint8), (400, 72), interpolation=cv2.INTER_CUBIC)
    watch, corners = SceneWatch(SHAPE, step), rng.uniform((0, 0), SHAPE[::-1], (40, 2)).astype(np.float32)
    for number in range(120):
        watch.add(number, number / RATE, long_wall[:, number : number + 128])
        if number:
            watch.follow(number - 1, number, corners, corners - np.float32([4, 0]))
        if number % EVERY == 0:
            assert watch.look(NOBODY) is None


def test_a_dancer_alone_makes_no_other_wall() -> None:
    watch = SceneWatch(SHAPE, step)
    for number in range(120):
        picture = wall(1)
        x = 40 + number // 6
        picture[20:70, x : x + 20] = wall(number)[20:70, x : x + 20]
        watch.add(number, number / RATE, picture)
        if number % EVERY == 0:
            free = NOBODY.copy()
            free[16:, x - 6 : x + 26] = False
            assert watch.look(free) is None


def worn(shares: np.ndarray, change: np.ndarray, light: np.ndarray | None = None) -> list[tuple[int, int]]:
    """What is told of a dancer whose colours go by shares from her own to others, look by look."""
    watch, own = ClothesWatch(), np.random.default_rng(3).uniform(40, 200, (4, 3))
    grain = np.random.default_rng(4).normal(0, 2, (len(shares), 4, 3))
    lights = np.zeros((len(shares), 9, 16), np.float32) if light is None else light
    found = [
        watch.look(n * EVERY, n * EVERY / RATE, own + share * change + grain[n], lights[n])
        for n, share in enumerate(shares)
    ]
    return [span for span in found if span is not None]


def test_other_clothes_are_another_take_unless_the_light_has_changed() -> None:
    shares, change = np.repeat([0.0, 0.3, 0.7, 1.0], [20, 1, 1, 20]), np.full((4, 3), 60.0)
    ((start, end),) = worn(shares, change)
    assert 80 <= start <= 96
    assert 110 <= end <= 122
    assert worn(shares, change * np.array([[1.0], [1.0], [0.0], [0.0]])) == []  # a jacket is taken off
    lights = np.repeat(shares[:, None, None] * 20, 144, 1).reshape(-1, 9, 16).astype(np.float32)
    assert worn(shares, change, lights) == []


def test_motion_is_no_surprise_and_another_picture_is() -> None:
    frame = cv2.cvtColor(cv2.resize(wall(3), SHAPE[::-1]), cv2.COLOR_GRAY2BGR)
    moved = cv2.warpAffine(frame, np.array([[1.0, 0, 5], [0, 1, 2]]), SHAPE[::-1], borderMode=cv2.BORDER_REPLICATE)
    other = cv2.cvtColor(cv2.resize(wall(4), SHAPE[::-1]), cv2.COLOR_GRAY2BGR)
    planes = [cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420) for picture in (frame, moved, other)]
    meter, region = SurpriseMeter(SHAPE), region_of(np.array([[100.0, 60, 400, 250]]), SHAPE)
    still, cut = (float(meter.rows(planes[0], after, region)[0].sum()) for after in planes[1:])
    assert cut > 10 * still
    assert meter.rows(planes[0], planes[2], region).shape == (len(WAYS), BINS)
    assert part_yuv(planes[0], region).shape[2] == 3


def test_spans_that_overlap_are_one() -> None:
    assert merged([(50, 60), (10, 20), (18, 30), (30, 31)]) == [(10, 31), (50, 60)]
    assert merged([]) == []

"""Another's dance on this body: her bones, her floor, her place, and the picture's own pose at the start."""

import numpy as np
import pytest

from model.errors import PoseError
from model.pose.retarget import ANKLES, EASE_FRAMES, check_inside, checked_dance, paced, retarget
from pipeline.analysis.pose import JOINTS, LEFT_ANKLE, LEFT_HIP, LEFT_KNEE, MAIN, MIRROR
from tests.model.pose.dancers import drawn

PLANTED = 6151


def pair() -> tuple[np.ndarray, np.ndarray]:
    return drawn(PLANTED)[1], drawn(PLANTED + 1, frames=2)[1][0]


def test_one_s_own_dance_on_one_s_own_body_is_that_dance() -> None:
    dance, _ = pair()
    moved = retarget(dance, dance[0])
    apart = np.linalg.norm(moved[EASE_FRAMES:, MAIN, :2] - dance[EASE_FRAMES:, MAIN, :2], axis=-1)
    assert apart.mean() < 0.02 * 192
    assert np.array_equal(moved[0], dance[0])


def test_the_body_keeps_its_bones_whatever_the_other_s_size_and_place() -> None:
    dance, start = pair()
    larger = dance.copy()
    larger[..., :3] = 1.7 * larger[..., :3] + np.array([80.0, -40.0, 0.0])
    moved, same = retarget(larger, start), retarget(dance, start)
    np.testing.assert_allclose(moved[..., :2], same[..., :2], atol=1e-6)
    shins = np.linalg.norm(moved[:, LEFT_KNEE, :2] - moved[:, LEFT_ANKLE, :2], axis=-1)
    own = np.linalg.norm(start[LEFT_KNEE, :2] - start[LEFT_ANKLE, :2])
    assert np.percentile(shins[EASE_FRAMES:], 95) < 1.35 * own


def test_the_lower_ankle_stays_on_the_picture_s_floor() -> None:
    dance, start = pair()
    moved = retarget(dance, start)
    floor = start[list(ANKLES), 1].max()
    lowest = moved[EASE_FRAMES:, ANKLES, 1].max(1)
    assert np.percentile(lowest, 90) == pytest.approx(floor, abs=1.0)


def test_speed_mirror_and_loop_are_exact() -> None:
    dance, _ = pair()
    assert np.allclose(paced(dance, 30, 2.0), dance[:60:2])
    there_and_back = paced(dance, 2 * len(dance) - 1)
    assert np.allclose(there_and_back[: len(dance)], dance)
    assert np.allclose(there_and_back[len(dance) - 1 :], dance[::-1])
    mirrored = paced(dance, 5, mirrored=True)
    assert np.allclose(mirrored[:, LEFT_HIP, 0], -dance[:5, MIRROR[LEFT_HIP], 0])
    assert np.allclose(paced(dance[:1], 4), dance[:1])


def test_a_dance_with_gaps_is_filled_and_one_without_depth_taken() -> None:
    dance, _ = pair()
    flat = dance[..., :2].copy()
    flat[10:20, 15] = np.nan
    whole = checked_dance(flat, "flat.npy")
    assert whole.shape == (len(dance), JOINTS, 4)
    assert np.isfinite(whole).all()
    assert np.allclose(whole[15, 15, :2], (flat[9, 15] * 4 + flat[20, 15] * 6 + flat[9, 15]) / 11, atol=5)
    assert (whole[..., 3] == 1).all()


@pytest.mark.parametrize("shape", [(181, 17, 3), (33, 4), (10, 33, 5), (10, 33, 1)])
def test_an_array_of_another_shape_is_one_sentence(shape: tuple[int, ...]) -> None:
    with pytest.raises(PoseError, match=r"expected \(frames, 33, 4\)"):
        checked_dance(np.zeros(shape), "x.npy")


def test_a_dance_without_a_dancer_and_a_picture_without_one_are_one_sentence_each() -> None:
    dance, start = pair()
    with pytest.raises(PoseError, match="no frame in which a whole dancer is known"):
        checked_dance(np.full((4, JOINTS, 4), np.nan), "x.npy")
    start = start.copy()
    start[LEFT_HIP] = np.nan
    with pytest.raises(PoseError, match="lacks a main joint"):
        retarget(dance, start)


def test_a_dance_that_leaves_the_picture_is_refused_with_its_frame() -> None:
    dance, _ = pair()
    check_inside(dance, (192, 192))
    away = dance.copy()
    away[40:, :, 0] += 150
    with pytest.raises(PoseError, match=r"leaves the picture at frame 40 \(50 of 90 frames\)"):
        check_inside(away, (192, 192))

"""A pose as a picture: left is not right, a back is not a front, and what is not known is not there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.pose.body_parts import PARTS
from model.pose.limb_map import BACK, DEPTH, LIMB_CHANNELS, limb_map, limb_maps, to_cells
from pipeline.analysis.pose import MIRROR
from tests.model.dataset import dancing_joints

SIZE = 64
POSE = dancing_joints(1, SIZE, 0)[0].astype(float)
NUMBERS = {part.name: number for number, part in enumerate(PARTS)}


def mirrored(pose: np.ndarray) -> np.ndarray:
    """The pose in a mirror: the picture's last column is its first."""
    flipped = pose[MIRROR].copy()
    flipped[:, 0] = SIZE - 1 - flipped[:, 0]
    return flipped


def test_every_part_lies_at_its_joints_and_nowhere_else() -> None:
    channels = limb_map(POSE, (SIZE, SIZE))
    assert channels.shape == (LIMB_CHANNELS, SIZE, SIZE)
    x, y = POSE[25, :2].round().astype(int)  # her left knee
    assert channels[NUMBERS["left thigh"], y, x] > 0.9
    assert channels[NUMBERS["right thigh"], y, x] == 0
    assert channels[NUMBERS["head"], y, x] == 0


def test_a_mirrored_pose_gives_the_mirrored_map_with_left_and_right_exchanged() -> None:
    here, there = limb_map(POSE, (SIZE, SIZE)), limb_map(mirrored(POSE), (SIZE, SIZE))
    for side, other in (("left", "right"), ("right", "left")):
        for part in ("upper arm", "forearm", "thigh", "shin", "foot"):
            flipped = here[NUMBERS[f"{side} {part}"]][:, ::-1]
            assert np.allclose(flipped, there[NUMBERS[f"{other} {part}"]], atol=1e-5)


def test_a_back_is_told_from_a_front() -> None:
    turned = POSE[MIRROR].copy()  # her left where her right was: she has turned round
    front, back = limb_map(POSE, (SIZE, SIZE)), limb_map(turned, (SIZE, SIZE))
    assert np.allclose(front[0], back[0], atol=1e-5)
    assert {bool(front[BACK].any()), bool(back[BACK].any())} == {True, False}


def test_an_arm_before_the_trunk_has_another_depth_than_one_behind() -> None:
    before, behind = POSE.copy(), POSE.copy()
    before[[13, 15, 17, 19, 21], 2], behind[[13, 15, 17, 19, 21], 2] = -20, 20
    depths = [limb_map(pose, (SIZE, SIZE))[DEPTH] for pose in (before, behind)]
    assert depths[0].max() > 0.1
    assert depths[1].min() < -0.1


def test_joints_that_are_seen_badly_are_drawn_faintly() -> None:
    faint = POSE.copy()
    faint[15, 3] = 0.25
    here, there = limb_map(POSE, (SIZE, SIZE)), limb_map(faint, (SIZE, SIZE))
    forearm = NUMBERS["left forearm"]
    assert there[forearm] == pytest.approx(0.25 * here[forearm], abs=1e-6)


@given(st.sets(st.integers(0, 32)))
def test_missing_joints_leave_their_parts_out_and_make_no_nan(missing: set[int]) -> None:
    pose = POSE.copy()
    pose[list(missing)] = np.nan
    channels = limb_map(pose, (SIZE, SIZE))
    assert np.isfinite(channels).all()
    for number, part in enumerate(PARTS):
        if missing & {*part.start, *part.end}:
            assert not channels[number].any()


def test_a_map_of_latents_is_the_map_of_pixels_averaged_as_far_as_its_parts_are_wide() -> None:
    large = dancing_joints(1, 256, 0)[0].astype(float)
    fine, coarse = limb_map(large, (256, 256)), limb_map(to_cells(large, 8), (32, 32))
    trunk = fine[0].reshape(32, 8, 32, 8).mean((1, 3))
    assert np.abs(trunk - coarse[0]).max() < 0.35
    assert abs(trunk.sum() - coarse[0].sum()) < 0.08 * trunk.sum()


def test_maps_of_several_frames_are_stacked() -> None:
    dance = dancing_joints(3, SIZE, 1)
    maps = limb_maps(dance, (SIZE, SIZE))
    assert maps.shape == (3, LIMB_CHANNELS, SIZE, SIZE)
    assert np.array_equal(maps[2], limb_map(dance[2], (SIZE, SIZE)))

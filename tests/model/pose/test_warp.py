"""The warp: what is asked to stay stays, what moves lands where it belongs, what is missing breaks nothing."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from model.pose.body_parts import PARTS, capsules, standing_height
from model.pose.paint import Behind, behind, warp_picture
from model.pose.warp import BACKGROUND, reference_of, warp_field
from pipeline.analysis.pose import JOINTS, MIRROR
from pipeline.synthetic.footage import Shot
from tests.model.dataset import dancing_joints
from tests.model.pose.dancers import SIZE, drawn, psnr

SHAPE = (SIZE, SIZE)
SEEDS = (3001, 3002, 3003, 3004)


def moved(picture: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    reference = reference_of(source, (picture.shape[0], picture.shape[1]))
    return warp_picture(picture, behind(picture, reference), warp_field(reference, target))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_pose_that_stays_gives_the_picture_to_the_bit(seed: int) -> None:
    shot, landmarks = drawn(seed)
    for t in (0, 30, 60):
        picture = shot.draw(t)
        assert np.array_equal(moved(picture, landmarks[t], landmarks[t]), picture)
        field = warp_field(reference_of(landmarks[t], SHAPE), landmarks[t])
        assert (field.part_HW != BACKGROUND).mean() > 0.03


@pytest.mark.parametrize("seed", SEEDS)
def test_a_drawn_dancer_moved_by_known_joints_is_matched_where_the_picture_shows_it(seed: int) -> None:
    """25 dB is what the whole has to reach on places that are known; repeating the picture is the baseline there."""
    shot, landmarks = drawn(seed)
    picture, reference = shot.draw(0), reference_of(landmarks[0], SHAPE)
    background = behind(picture, reference)
    warped, still, dancer, stands = [], [], [], []
    for t in range(10, 90, 10):
        truth, field = shot.draw(t), warp_field(reference, landmarks[t])
        there, known = warp_picture(picture, background, field), ~field.unknown_HW
        warped.append(psnr(there, truth, known))
        still.append(psnr(picture, truth, known))
        dancer.append(psnr(there, truth, known & (field.part_HW != BACKGROUND)))
        stands.append(psnr(picture, truth, known & (field.part_HW != BACKGROUND)))
    assert np.mean(warped) >= 25
    assert np.mean(warped) > np.mean(still) + 1
    assert np.mean(dancer) > np.mean(stands) + 2


def test_places_that_the_dancer_hid_or_that_lie_under_another_limb_are_unknown() -> None:
    _, landmarks = drawn(SEEDS[0])
    reference = reference_of(landmarks[0], SHAPE)
    aside = landmarks[0].copy()
    aside[:, 0] += 60
    field = warp_field(reference, aside)
    uncovered = reference.hole_HW & (field.part_HW == BACKGROUND)
    assert uncovered.any()
    assert field.unknown_HW[uncovered].all()
    assert not field.unknown_HW[~reference.hole_HW & (field.part_HW == BACKGROUND)].any()


def test_a_dancer_who_is_shifted_by_whole_pixels_is_the_same_dancer() -> None:
    shot, landmarks = drawn(SEEDS[1])
    picture, reference = shot.draw(0), reference_of(landmarks[0], SHAPE)
    aside = landmarks[0].copy()
    aside[:, 0] += 40
    field = warp_field(reference, aside)
    warped = warp_picture(picture, behind(picture, reference), field)
    hers = (field.part_HW != BACKGROUND) & ~field.unknown_HW
    assert np.array_equal(warped[:, 40:][hers[:, 40:]], picture[:, :-40][hers[:, 40:]])


def test_a_mirrored_dancer_is_warped_to_the_mirrored_picture() -> None:
    shot, landmarks = drawn(SEEDS[2])
    picture = shot.draw(0)

    def mirror(points: np.ndarray) -> np.ndarray:
        other = points[MIRROR].copy()
        other[:, 0] = SIZE - 1 - other[:, 0]
        return other

    here = moved(picture, landmarks[0], landmarks[40])
    there = moved(np.ascontiguousarray(picture[:, ::-1]), mirror(landmarks[0]), mirror(landmarks[40]))
    assert psnr(here[:, ::-1], there, np.ones(SHAPE, bool)) > 35  # inpainting has no mirror symmetry


def outline(shot: Shot, t: int = 0) -> np.ndarray:
    """Where the dancer is drawn: what no backdrop shines through."""
    black, white = (
        replace(shot, backdrop=np.full_like(shot.backdrop, level)).draw(t).astype(int) for level in (0, 255)
    )
    return np.asarray((white - black).max(-1) < 128)


@pytest.mark.parametrize("seed", SEEDS)
def test_within_an_outline_a_pose_that_stays_gives_the_picture_to_the_bit(seed: int) -> None:
    shot, landmarks = drawn(seed)
    picture, reference = shot.draw(0), reference_of(landmarks[0], SHAPE, outline(shot))
    assert np.array_equal(
        warp_picture(picture, behind(picture, reference), warp_field(reference, landmarks[0])), picture
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_what_she_wears_beside_her_parts_goes_with_her_and_leaves_nothing_behind(seed: int) -> None:
    shot, landmarks = drawn(seed)
    picture, hers = shot.draw(0), outline(shot)
    bare, dressed = (reference_of(landmarks[0], SHAPE, drawn_) for drawn_ in (None, hers))
    aside = landmarks[0].copy()
    aside[:, 0] += 60
    shifted = np.zeros_like(hers)
    shifted[:, 60:] = hers[:, :-60]
    arrived = []
    for reference in (bare, dressed):
        field = warp_field(reference, aside)
        warped = warp_picture(picture, behind(picture, reference), field)
        same = np.abs(warped[:, 60:].astype(int) - picture[:, :-60]).max(-1) <= 2
        arrived.append(float(same[hers[:, :-60]].mean()))
        assert field.unknown_HW[hers & ~shifted].mean() > 0.97
    assert arrived[1] > 0.95
    assert arrived[1] > arrived[0]


@given(
    noise=arrays(float, (JOINTS, 4), elements=st.floats(-300, 300, width=32)),
    missing=arrays(bool, JOINTS),
    lost=arrays(bool, JOINTS),
)
def test_missing_joints_crossed_limbs_and_joints_outside_give_a_whole_picture(
    noise: np.ndarray, missing: np.ndarray, lost: np.ndarray
) -> None:
    shot, landmarks = drawn(SEEDS[3], frames=2, size=64)
    source, target = landmarks[0].copy(), landmarks[1] + noise
    source[missing], target[lost] = np.nan, np.nan
    picture = shot.draw(0)
    for drawn_ in (None, outline(shot), np.zeros((64, 64), bool)):
        field = warp_field(reference_of(source, (64, 64), drawn_), target)
        assert np.isfinite(field.source_HW2).all()
        assert set(np.unique(field.part_HW)) <= set(range(BACKGROUND, len(PARTS)))
        warped = warp_picture(picture.astype(np.float32), Behind(picture.astype(np.float32), {}), field)
        assert np.isfinite(warped).all()


def test_nobody_in_the_source_leaves_the_picture_and_marks_where_she_should_be() -> None:
    shot, landmarks = drawn(SEEDS[0])
    reference = reference_of(np.full((JOINTS, 4), np.nan), SHAPE)
    field = warp_field(reference, landmarks[20])
    assert np.array_equal(warp_picture(shot.draw(0), Behind(shot.draw(0), {}), field), shot.draw(0))
    assert 0.02 < field.unknown_HW.mean() < 0.3
    nothing = warp_field(reference_of(landmarks[0], SHAPE), np.full((JOINTS, 4), np.nan))
    assert (nothing.part_HW == BACKGROUND).all()


def test_joints_that_are_hardly_visible_count_as_unknown_if_asked() -> None:
    _, landmarks = drawn(SEEDS[0])
    faint = landmarks[0].copy()
    faint[15, 3] = 0.1
    assert np.isnan(capsules(faint, 0.5).start_P2[[part.name for part in PARTS].index("left hand")]).all()
    assert np.isfinite(capsules(faint).start_P2).all()


def test_the_standing_height_does_not_shrink_when_she_crouches() -> None:
    _, landmarks = drawn(SEEDS[1])
    heights = [standing_height(frame) for frame in landmarks]
    assert np.median(heights) == pytest.approx(0.7 * SIZE, rel=0.08)


def test_an_arm_that_lay_before_the_trunk_does_not_stay_there_when_it_has_moved() -> None:
    names = [part.name for part in PARTS]
    standing = dancing_joints(1, SIZE, 0)[0].astype(float)
    folded, raised = standing.copy(), standing.copy()
    trunk = standing[[11, 12, 23, 24], :3].mean(0)
    for joint in (15, 17, 19, 21):
        folded[joint, :3] = trunk - (0, 0, 30)  # her left hand lies before her belly
        raised[joint, :3] = standing[11, :3] + (40, -40, 0)
    body = np.full((*SHAPE, 3), (200, 40, 40), np.uint8)
    reference = reference_of(folded, SHAPE)
    arm = np.isin(reference.shown_HW, [names.index(f"left {part}") for part in ("forearm", "hand")])
    kernel = np.ones((3, 3), np.uint8)
    body[cv2.dilate(arm.astype(np.uint8), kernel) > 0] = (30, 200, 30)  # a sleeve, a little wider than the part
    field = warp_field(reference, raised)
    moved_away = warp_picture(body, behind(body, reference), field)
    belly = (field.part_HW == names.index("trunk")) & (reference.shown_HW != BACKGROUND)
    green = (moved_away.astype(int)[..., 1] > 120) & belly
    assert field.unknown_HW[belly & arm].all()
    assert green.mean() < 0.02 * belly.mean()
    assert np.array_equal(warp_picture(body, behind(body, reference), warp_field(reference, folded)), body)


def test_a_forearm_that_depth_puts_behind_the_trunk_beside_it_is_not_made_of_its_rim() -> None:
    number = [part.name for part in PARTS].index("left forearm")
    hanging = dancing_joints(1, SIZE, 0)[0].astype(float)
    hanging[[13, 15, 17, 19, 21], 2] = 30  # a detector's depth: behind
    for joint, drop in ((13, 0.1), (15, 0.25)):
        hanging[joint, :2] = hanging[11, :2] + (3, drop * SIZE)  # beside her trunk, and a little within it
    raised = hanging.copy()
    for joint in (15, 17, 19, 21):
        raised[joint, :2] = hanging[13, :2] + (50, 0)
    picture = np.full((*SHAPE, 3), 255, np.uint8)
    reference = reference_of(hanging, SHAPE)
    window, inside = reference.covers[number]
    under = inside & (reference.shown_HW[window] != number)
    picture[window][under] = (30, 200, 30)  # the arm itself; the rim of its part is wall
    field = warp_field(reference, raised)
    arm = (field.part_HW == number) & field.unknown_HW
    assert under.any()
    warped = warp_picture(picture, behind(picture, reference), field)
    assert (warped[arm][:, 0] < 140).mean() > 0.8

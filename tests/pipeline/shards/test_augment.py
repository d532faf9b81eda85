"""Variants: recipes are pure functions of (seed, clip, variant), and retimed frames are true ones."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analysis.pose import JOINTS, LEFT_HIP, LEFT_WRIST, MIRROR, RIGHT_HIP, RIGHT_WRIST
from pipeline.clips.align import plan_crop
from pipeline.clips.crop import Crop
from pipeline.config import CropConfig, VariantConfig
from pipeline.shards.augment import Recipe, draw, flipped, flipped_picture, moved_crop, retimed
from tests.pipeline.crops import in_clip
from tests.pipeline.people import dance

CONFIG = VariantConfig()
CROP = CropConfig()
clip_ids = st.text("0123456789abcdef-", min_size=1, max_size=30)


@given(clip_ids, st.integers(1, 2), st.integers(0, 2**40))
def test_a_recipe_is_a_pure_function_of_seed_clip_and_variant(clip_id: str, variant: int, seed: int) -> None:
    config = CONFIG.model_copy(update={"seed": seed})
    recipe = draw(clip_id, variant, config)
    assert recipe == draw(clip_id, variant, config)
    assert recipe != draw(clip_id, 3 - variant, config)
    assert recipe != draw(clip_id + "0", variant, config)
    assert recipe != draw(clip_id, variant, CONFIG.model_copy(update={"seed": seed + 1}))


@given(clip_ids, st.integers(1, 2), st.integers(0, 2**40))
def test_a_recipe_stays_within_its_bounds_and_survives_json(clip_id: str, variant: int, seed: int) -> None:
    recipe = draw(clip_id, variant, CONFIG.model_copy(update={"seed": seed}))
    assert CONFIG.min_tempo <= recipe.tempo <= CONFIG.max_tempo
    assert abs(recipe.zoom - 1) <= CONFIG.zoom + 1e-9
    assert max(abs(s) for s in recipe.shift) <= CONFIG.shift
    assert abs(recipe.brightness) <= CONFIG.colour / 2
    assert max(abs(recipe.contrast - 1), abs(recipe.saturation - 1)) <= CONFIG.colour + 1e-9
    assert json.loads(json.dumps(recipe.row())) == recipe.row()


def test_variant_zero_is_the_clip_as_it_is() -> None:
    assert draw("a", 0, CONFIG) == Recipe()
    assert draw("b", 0, CONFIG.model_copy(update={"seed": 9})) == Recipe()


def test_recipes_of_many_clips_differ_and_half_are_flipped() -> None:
    recipes = [draw(f"clip{i}", 1, CONFIG) for i in range(400)]
    assert len(set(recipes)) == 400
    assert 0.4 < np.mean([recipe.flip for recipe in recipes]) < 0.6
    tempos = np.array([recipe.tempo for recipe in recipes])
    assert tempos.min() < 0.87
    assert tempos.max() > 1.13


@settings(deadline=None)
@given(st.floats(0.85, 1.15), st.integers(0, 60), st.integers(0, 60), st.sampled_from([1, 2, 3]))
def test_retimed_frames_are_true_ones_none_twice_within_the_shot(tempo: float, before: int, after: int, k: int) -> None:
    n = 30
    frames = 10 + before + np.arange(n) * k
    shot = (10, int(frames[-1]) + 1 + after)
    pts = np.arange(shot[1] + 40) / (25.0 * k)
    found = retimed(pts, frames, shot, tempo)
    if found is None:
        return
    assert len(found) == n
    assert found.dtype.kind == "i"
    assert (np.diff(found) > 0).all()
    assert shot[0] <= found[0]
    assert found[-1] < shot[1]
    wanted = (pts[frames[-1]] - pts[frames[0]]) * tempo
    assert pts[found[-1]] - pts[found[0]] == pytest.approx(wanted, abs=1.01 / (25 * k))


def test_a_slower_tempo_needs_a_faster_source() -> None:
    """At one frame in one there are no frames between; at one in two there are."""
    single, double = np.arange(20, 50), np.arange(20, 80, 2)
    pts = np.arange(200) / 50
    assert retimed(pts, single, (0, 200), 0.85) is None
    found = retimed(pts, double, (0, 200), 0.85)
    assert found is not None
    assert found[-1] - found[0] == pytest.approx(58 * 0.85, abs=1)


def test_a_faster_tempo_needs_a_longer_shot_and_stays_around_the_same_middle() -> None:
    frames, pts = np.arange(20, 50), np.arange(200) / 25
    assert retimed(pts, frames, (20, 50), 1.1) is None
    found = retimed(pts, frames, (0, 200), 1.1)
    assert found is not None
    assert found.mean() == pytest.approx(frames.mean(), abs=0.6)
    at_the_edge = retimed(pts, frames, (20, 60), 1.1)
    assert at_the_edge is not None
    assert at_the_edge[0] == 20


def test_the_same_tempo_gives_the_same_frames() -> None:
    frames, pts = np.arange(20, 50), np.arange(200) / 25
    assert np.array_equal(retimed(pts, frames, (20, 50), 1.0), frames)


def test_a_flip_swaps_left_and_right_and_twice_is_nothing() -> None:
    landmarks = dance(9, 300, 480, 300)
    mirrored = flipped(landmarks, 512)
    assert np.allclose(mirrored[:, LEFT_WRIST, 0], 512 - landmarks[:, RIGHT_WRIST, 0])
    assert np.allclose(mirrored[:, LEFT_WRIST, 1:], landmarks[:, RIGHT_WRIST, 1:])
    assert np.allclose(flipped(mirrored, 512), landmarks)
    left_is_right_of_right = landmarks[:, LEFT_HIP, 0] > landmarks[:, RIGHT_HIP, 0]
    assert np.array_equal(mirrored[:, LEFT_HIP, 0] > mirrored[:, RIGHT_HIP, 0], left_is_right_of_right)


def test_the_mirror_pairs_every_joint_with_its_other_side() -> None:
    assert sorted(MIRROR) == list(range(JOINTS))
    assert [MIRROR[MIRROR[i]] for i in range(JOINTS)] == list(range(JOINTS))
    assert [i for i in range(JOINTS) if MIRROR[i] == i] == [0]


recipes = st.builds(Recipe, zoom=st.floats(0.96, 1.04), shift=st.tuples(st.floats(-0.03, 0.03), st.floats(-0.03, 0.03)))
SHAPES = [(1281, 721), (1000, 1000), (720, 1280), (1920, 1080)]


@settings(deadline=None, max_examples=80)
@given(recipes, st.floats(0.2, 0.8), st.floats(250, 700), st.sampled_from(SHAPES))
def test_a_moved_crop_that_may_not_reach_out_is_inside_even_and_holds_the_dance(
    recipe: Recipe, x: float, height: float, shape: tuple[int, int]
) -> None:
    config = CropConfig(fit="upper")
    landmarks = dance(30, x * shape[1], 0.85 * shape[0], height, swing=0.05)
    known = np.ones(30, bool)
    crop = moved_crop(landmarks, known, shape, recipe, config)
    if crop is None:
        return
    assert crop.height % 2 == 0
    assert (crop.corners % 2 == 0).all()
    assert (crop.corners >= 0).all()
    assert (crop.corners + crop.size <= [shape[1], shape[0]]).all()
    assert config.size.height / crop.height <= config.max_upscale
    if crop.framing == "full":
        plain = plan_crop(landmarks, known, shape, config)
        assert lost(landmarks, crop) <= lost(landmarks, plain) + 0.01


@settings(deadline=None, max_examples=80)
@given(
    recipes, st.floats(0.2, 0.8), st.floats(0.3, 1.0), st.sampled_from(SHAPES), st.sampled_from(["512x512", "384x640"])
)
def test_a_moved_crop_holds_the_dance_and_reaches_out_only_along_the_axes_along_which_the_clips_does(
    recipe: Recipe, x: float, share: float, shape: tuple[int, int], clip: str
) -> None:
    config, picture = CropConfig(shape=clip, max_grow=2), np.array([shape[1], shape[0]])
    landmarks = dance(30, x * shape[1], 0.95 * shape[0], share * shape[0], swing=0.05)
    known = np.ones(30, bool)
    moved = moved_crop(landmarks, known, shape, recipe, config)
    if moved is None:
        return
    plain = plan_crop(landmarks, known, shape, config)
    outside = [((crop.corners < 0) | (crop.corners + crop.size > picture)).any(0) for crop in (plain, moved)]
    assert (outside[0] | ~outside[1]).all()
    assert moved.height % 2 == moved.width % 2 == 0
    assert (moved.corners % 2 == 0).all()
    assert config.size.height / moved.height <= config.max_upscale
    points = np.clip(landmarks[..., :2], 0, picture)
    held = ((points >= moved.corners - 4) & (points <= moved.corners + moved.size + 4)).all(-1)
    before = ((points >= plain.corners - 4) & (points <= plain.corners + plain.size + 4)).all(-1)
    assert held.mean() >= before.mean() - 0.01


def lost(landmarks: np.ndarray, crop: Crop) -> float:
    """Share of joints outside a crop."""
    points = in_clip(landmarks, crop)[..., :2]
    return float(((points < -2) | (points > 514)).any(-1).mean())


@given(st.lists(st.tuples(*[st.integers(0, 256)] * 4), min_size=1, max_size=5))
def test_the_pictures_rectangle_is_mirrored_with_the_clip(rows: list[tuple[int, int, int, int]]) -> None:
    rectangles = np.sort(np.array(rows).reshape(-1, 2, 2), 1).reshape(-1, 4)
    mirrored = flipped_picture(rectangles, 256)
    for rectangle, other in zip(rectangles, mirrored):
        mask = np.zeros((256, 256), bool)
        mask[rectangle[1] : rectangle[3], rectangle[0] : rectangle[2]] = True
        turned = np.zeros_like(mask)
        turned[other[1] : other[3], other[0] : other[2]] = True
        assert np.array_equal(mask[:, ::-1], turned)
    assert np.array_equal(flipped_picture(mirrored, 256), rectangles)


def test_no_zoom_and_no_shift_is_the_clips_own_crop() -> None:
    landmarks, known, shape = dance(30, 500, 900, 400), np.ones(30, bool), (1000, 1000)
    plain = plan_crop(landmarks, known, shape, CROP)
    same = moved_crop(landmarks, known, shape, Recipe(flip=True, tempo=0.9), CROP)
    assert same is not None
    assert np.array_equal(same.corners, plain.corners)
    assert same.height == plain.height


def test_frames_that_cannot_be_aligned_give_no_crop() -> None:
    assert moved_crop(dance(30, 500, 900, 40), np.ones(30, bool), (1000, 1000), Recipe(zoom=1.02), CROP) is None

"""The smooth warp: nothing moves unless asked, outlines lie nearer to the real ones, and what is a guess is said."""

import numpy as np
import pytest

from model.pose.smooth_warp import smoothly_warped
from model.pose.warp_video import warped_frames
from tests.model.pose.dancers import drawn, psnr

SEEDS = (3001, 3002, 3003)
EVERYWHERE = np.ones((96, 96), bool)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_pose_that_stays_gives_the_picture_to_the_bit_and_nothing_is_a_guess(seed: int) -> None:
    shot, landmarks = drawn(seed, size=96)
    picture = shot.draw(20)
    pictures, unknown = smoothly_warped(picture, landmarks[20], landmarks[20:21])
    assert np.array_equal(pictures[0], picture)
    assert not unknown.any()
    outline = np.abs(picture.astype(int) - shot.draw(70)).max(-1) > 20  # whatever the outline is
    assert np.array_equal(smoothly_warped(picture, landmarks[20], landmarks[20:21], outline)[0][0], picture)


@pytest.mark.parametrize("seed", SEEDS)
def test_it_comes_nearer_to_what_follows_than_the_warp_of_whole_pixels(seed: int) -> None:
    shot, landmarks = drawn(seed, size=96)
    picture, frames = shot.draw(0), list(range(10, 90, 10))
    smooth, _ = smoothly_warped(picture, landmarks[0], landmarks[frames])
    whole = np.stack(list(warped_frames(picture, landmarks[0], landmarks[frames])))
    truth = [shot.draw(t) for t in frames]
    gains = [psnr(s, t, EVERYWHERE) - psnr(w, t, EVERYWHERE) for s, w, t in zip(smooth, whole, truth)]
    assert np.mean(gains) > 0.15


def test_a_share_of_a_pixel_may_be_a_guess_and_outside_of_her_none_is() -> None:
    _, landmarks = drawn(SEEDS[0], size=96)
    moved = landmarks[:1].copy()
    moved[..., 0] += 20.25
    _, unknown = smoothly_warped(np.zeros((96, 96, 3), np.uint8), landmarks[0], moved)
    assert set(np.unique(unknown)) == {0, 0.25, 0.5, 0.75, 1}
    assert not unknown[:, :3].any()

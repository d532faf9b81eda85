"""Landmarks of every frame: what is smoothed and what is not, and that quick hands are no longer guessed."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.analysis.pose import LEFT_WRIST, PoseFinder
from pipeline.shards.frame_poses import SMOOTH_HZ, smoothed, with_neighbours, without_outliers
from pipeline.synthetic.synth import SynthVideo
from tests.pipeline.frame_truth import Wrists, build_frames, overlap_of, true_masks, wrists_of
from tests.pipeline.people import person

FPS = 30.0
STILL = np.repeat(person(200.0, 400.0, 300.0)[None], 60, 0)
TIMES = np.arange(60) / FPS


def moved(by: np.ndarray) -> np.ndarray:
    """The standing person, all of her moved sideways by (frames,) pixels."""
    landmarks = STILL.copy()
    landmarks[..., 0] += by[:, None]
    return landmarks


def test_what_stands_still_or_glides_is_not_changed() -> None:
    assert np.allclose(smoothed(STILL, TIMES), STILL)
    gliding = moved(8.0 * np.arange(60))
    assert np.allclose(without_outliers(gliding)[2:-2], gliding[2:-2])
    inner = slice(10, -10)
    assert np.allclose(smoothed(moved(90 * TIMES), TIMES)[inner], moved(90 * TIMES)[inner], atol=1e-6)


def test_uneven_steps_in_time_do_not_matter() -> None:
    times = np.cumsum(np.tile([1 / 60, 2 / 60, 3 / 60], 20))
    inner = slice(10, -10)
    assert np.allclose(smoothed(STILL, times), STILL)
    assert np.abs(smoothed(moved(90 * times), times) - moved(90 * times))[inner].max() < 1.5


def test_a_movement_at_the_stated_frequency_is_halved() -> None:
    wave = 10 * np.sin(2 * np.pi * SMOOTH_HZ * TIMES)
    left = smoothed(moved(wave), TIMES)[:, 0, 0] - STILL[:, 0, 0]
    assert np.abs(left[10:-10]).max() == pytest.approx(np.abs(wave).max() / 2, rel=0.02)


def test_a_joint_that_leaps_away_for_a_frame_is_put_back_and_no_other() -> None:
    landmarks = moved(3.0 * np.arange(60))
    wrong = landmarks.copy()
    wrong[30, LEFT_WRIST, :2] += 60
    assert np.abs(without_outliers(wrong) - landmarks).max() < 3.1  # a frame's step


@pytest.mark.parametrize("frame", [0, 1, 58, 59])
def test_a_joint_that_leaps_away_at_either_end_is_put_back(frame: int) -> None:
    wrong = STILL.copy()
    wrong[frame, LEFT_WRIST, :2] += 60
    assert np.allclose(without_outliers(wrong), STILL)


def test_frames_around_the_clip_are_looked_at_as_far_as_the_shot_goes() -> None:
    assert with_neighbours(np.arange(10, 20, 2), (0, 100)).tolist() == [4, 6, 8, *range(10, 20, 2), 20, 22, 24]
    assert with_neighbours(np.arange(10, 20, 2), (7, 21)).tolist() == [8, *range(10, 20, 2), 20]


def quick(number: int, seed: int) -> SynthVideo:
    """An upright dancer of one clip."""
    return SynthVideo(name=f"quick{number}", seed=seed + number, width=432, height=768, fps="30", frames=184)


def check(wrists: list[Wrists], quickest: int) -> None:
    """Of the quickest dances: 80 % of the error that came from sampling is gone, and jitter is no larger."""
    wrists = sorted(wrists, key=lambda one: -one.speed)[:quickest]
    sampled, ours, every = (np.mean([getattr(one, name) for one in wrists]) for name in ("sampled", "ours", "every"))
    print(f"wrists: between detections {sampled:.2f}, ours {ours:.2f}, every frame's detection {every:.2f} px")
    jitter = [np.mean([getattr(one, f"{name}_jitter") for one in wrists]) for name in ("sampled", "ours")]
    print(f"jitter: between detections {jitter[0]:.2f}, ours {jitter[1]:.2f} px a frame")
    assert sampled - ours >= 0.8 * (sampled - every)
    assert jitter[1] <= jitter[0]


def check_masks(overlaps: list[float]) -> None:
    """Of all drawn dances: masks are the drawn figure's."""
    print(f"masks: intersection over union {np.mean(overlaps):.3f}, the least {min(overlaps):.3f}")
    assert min(overlaps) >= 0.8


def test_quick_hands_and_her_outline_are_where_every_frame_shows_them(finder: PoseFinder, tmp_path: Path) -> None:
    clip = build_frames(quick(0, 8112), tmp_path, finder)
    check([wrists_of(clip, finder)], 1)
    check_masks([overlap_of(clip.masks, true_masks(clip))])


@pytest.mark.soak
def test_quick_hands_and_outlines_of_forty_dances(finder: PoseFinder, tmp_path: Path) -> None:
    wrists, overlaps = [], []
    for number in range(40):
        clip = build_frames(quick(number, 660100), tmp_path, finder)
        wrists.append(wrists_of(clip, finder))
        overlaps.append(overlap_of(clip.masks, true_masks(clip)))
    check(wrists, 4)
    check_masks(overlaps)

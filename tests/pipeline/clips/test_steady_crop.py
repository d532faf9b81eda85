"""A camera is held still where that helps, and not at the cost of picture or dancer."""

import numpy as np
import pytest

from pipeline.clips.make_clips import Clip, make_clips
from pipeline.config import BuildConfig
from tests.pipeline.clips.steadying.cameras import FRAMES, SHAPE, measured, wandering

PLAIN = BuildConfig.model_validate({"clips": {"frames": 100}, "crop": {"steady": False}})
STEADY = BuildConfig.model_validate({"clips": {"frames": 100}})
GLIDE = np.outer(np.arange(FRAMES), [0, 0, 1.0, 0.0])


def clip_of(cameras: np.ndarray, config: BuildConfig = STEADY) -> tuple[Clip, np.ndarray]:
    """The clip, and the dancer's landmarks before a camera that stands."""
    analysis, true = measured(cameras)
    (clip,) = make_clips("f" * 64, analysis, SHAPE, config, "abcdef0123", None)
    return clip, true[clip.window.frames]


def test_a_shaken_clip_is_held_still_and_its_scores_say_what_is_left() -> None:
    plain, _ = clip_of(wandering(), PLAIN)
    clip, true = clip_of(wandering())
    assert clip.steady is not None
    assert plain.steady is None
    assert plain.row["cam_shake"] > 3
    assert clip.row["cam_shake"] < 1e-3
    assert clip.row["cam_translation"] < 1e-3
    assert clip.row["steadied"] > 3
    assert plain.row["steadied"] is None
    apart = np.diff(clip.landmarks - true, axis=0)[:, 0, :2]
    assert np.abs(apart).max() < 1, "between detections she moves as she does before a camera that stands"
    assert clip.row["crop_x"] == pytest.approx(plain.row["crop_x"], abs=12)


@pytest.mark.parametrize(
    ("cameras", "why"),
    [
        (wandering(shake=0.0, pan=0.05), "it stands: pixels as they are are better than moved ones"),
        (GLIDE * 4, "it goes too far, and a glide has no shake"),
        (wandering(shake=80.0), "the picture would be too small"),
    ],
)
def test_a_camera_is_left_as_it_is(cameras: np.ndarray, why: str) -> None:
    clip, _ = clip_of(cameras)
    plain, _ = clip_of(cameras, PLAIN)
    assert clip.steady is None, why
    assert clip.row == plain.row


def test_a_pan_that_goes_too_far_keeps_its_glide_and_loses_its_shake() -> None:
    clip, _ = clip_of(wandering(shake=2.0, pan=1.6))
    plain, _ = clip_of(wandering(shake=2.0, pan=1.6), PLAIN)
    assert clip.steady is not None
    assert clip.row["cam_translation"] == pytest.approx(1.6, rel=0.25)
    assert clip.row["cam_shake"] < 0.3 * plain.row["cam_shake"]


def test_an_unknown_stretch_is_not_held() -> None:
    analysis, _ = measured(wandering())
    analysis.camera[50:60] = np.nan
    (clip,) = make_clips("f" * 64, analysis, SHAPE, STEADY, "abcdef0123", None)
    assert clip.steady is None


def test_who_would_be_pushed_out_of_the_picture_is_not() -> None:
    """The same shake about a dancer whose ankles are at the picture's edge: a still picture would lose them."""
    analysis, _ = measured(wandering(shake=3.0, pan=0.0))
    for shape, steadied in (((960, 540), True), ((732, 540), False)):
        (clip,) = make_clips("f" * 64, analysis, shape, STEADY, "abcdef0123", None)
        assert (clip.steady is not None) == steadied

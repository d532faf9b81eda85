"""The drift metrics tell planted faults apart, and say nothing about a clip that has none."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from bench.faults import FAULTS
from model.data.codec import resize_frames
from model.drift.frechet import frechet_distance, fvd, joint_motion_distance, lpips, windows_of
from model.drift.metrics import (
    METRICS,
    TRUTH_METRICS,
    Measured,
    Measurer,
    band,
    by_depth,
    histogram_distance,
    measure,
    slope,
    ssim,
    summary,
    tenths,
)
from model.errors import MetricsError
from pipeline.analysis.pose import JOINTS, MAIN
from pipeline.analysis.pose_metrics import DancerFinder, motion_features, proportion_change
from pipeline.clips.fill import Rectangle
from pipeline.picture_size import PictureSize
from tests.footage import footage
from tests.model.dataset import dancing_joints
from tests.model.drift.remembering import Remembering

FRAMES, DOSES = 30, (0.0, 0.25, 0.5, 1.0)


@pytest.fixture(scope="module")
def finder(pose_model: Path) -> Iterator[Remembering]:
    """An open DancerFinder with a memory."""
    found = DancerFinder(pose_model)
    yield Remembering(found)
    found.close()


@pytest.fixture(scope="module", params=["drawn", "filmed"])
def clip(dancer: Path, request: pytest.FixtureRequest) -> np.ndarray:
    """30 frames of 256x256 around a dancer: the drawn one, and one of $LONGDANCE_FOOTAGE where that is there."""
    if request.param == "drawn":
        return first_frames(dancer)[:, 150:406, :256]
    frames = first_frames(footage() / "dance_studio.mp4")
    side = (frames.shape[1] - frames.shape[2]) // 2
    return resize_frames(np.pad(frames, ((0, 0), (0, 0), (side, side), (0, 0)), mode="edge"), PictureSize(256, 256))


def first_frames(video: Path) -> np.ndarray:
    with av.open(str(video)) as container:
        frames = (frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))
        return np.stack(list(islice(frames, FRAMES)))


@pytest.fixture(scope="module")
def clean(clip: np.ndarray, finder: Remembering) -> Measured:
    """The clip's own numbers."""
    return measure(clip, finder)


class Given:
    """Landmarks that are known already, in order: for faults that are none of the dancer's."""

    def __init__(self, landmarks: np.ndarray) -> None:
        self._landmarks = iter(landmarks)

    def find(self, picture_HWC: np.ndarray) -> np.ndarray:
        return next(self._landmarks)


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_planted_fault_moves_its_own_metric_with_the_dose(
    name: str, clip: np.ndarray, clean: Measured, finder: Remembering
) -> None:
    plant, metric, sign = FAULTS[name]
    doses = []
    for dose in DOSES:
        ask = finder if name in ("frozen tail", "vanishing dancer") else Given(clean.landmarks)
        doses.append(summary(measure(plant(clip, dose), ask)))
    values = [sign * found[metric]["mean"] for found in doses]
    assert all(after > before for before, after in pairwise(values))
    low, high = band(clean.curves[metric]) or (math.nan, math.nan)
    worst = doses[-1][metric]["tenths"][-1]
    assert worst > high if sign > 0 else worst < low
    assert doses[0] == summary(clean)
    if name != "vanishing dancer":  # with nobody there nothing moves, and all is soft
        # Blur and flicker change the colours, too; nothing else sets off another's alarm.
        assert triggered(doses[-1], clean) - {"colour"} == {metric} - {"colour"}


def triggered(found: dict[str, dict[str, Any]], clean: Measured) -> set[str]:
    """The metrics whose last tenth lies beyond the clean band by more than its width, the way their fault would move
    them."""
    beyond = set()
    for _, metric, sign in FAULTS.values():
        low, high = band(clean.curves[metric]) or (0.0, 0.0)
        margin = min(high - low, 0.5 * abs(low)) if sign < 0 else high - low
        last = found[metric]["tenths"][-1]
        if last > high + margin if sign > 0 else last < low - margin:
            beyond.add(metric)
    return beyond


def test_a_clean_clip_is_found_moves_and_stays_within_its_band(
    clean: Measured, capsys: pytest.CaptureFixture, request: pytest.FixtureRequest
) -> None:
    found = summary(clean)
    assert set(found) == set(METRICS)
    assert found["found"]["mean"] == 1
    assert found["visibility"]["mean"] > 0.7
    filmed = request.node.callspec.params["clip"] == "filmed"  # she comes nearer, and with her the clothes' colours
    assert found["colour"]["mean"] < (8 if filmed else 5)
    assert found["flicker"]["mean"] < 1
    assert found["picture_motion"]["mean"] > 5
    assert found["joint_motion"]["mean"] > 0.1
    assert found["proportions"]["mean"] < 0.3
    for name, numbers in found.items():
        low, high = numbers["band"]
        inside = [low <= value <= high for value in clean.curves[name] if not math.isnan(value)]
        assert np.mean(inside) >= 0.89, name
        with capsys.disabled():
            print(f"  clean 95 % band of {name}: {low:.3g} to {high:.3g}")


def test_against_itself_a_clip_has_no_error_and_noise_makes_one(clip: np.ndarray, finder: Remembering) -> None:
    same = measure(clip[:4], finder, clip[:4])
    assert set(same.curves) == {*METRICS, *TRUTH_METRICS}
    assert same.curves["psnr"] == [100.0] * 4
    assert same.curves["ssim"] == pytest.approx([1.0] * 4)
    assert same.curves["pose_error"] == [0.0] * 4
    noise = np.random.default_rng(0).normal(0, 10, clip[:4].shape)
    noisy = np.clip(clip[:4] + noise, 0, 255).astype(np.uint8)
    other = measure(noisy, finder, clip[:4])
    assert other.curves["psnr"] == pytest.approx([28.1] * 4, abs=0.6)
    assert max(other.curves["ssim"]) < 0.9


def test_a_truth_that_is_shorter_measures_the_frames_it_has(clip: np.ndarray, finder: Remembering) -> None:
    measured = measure(clip[:5], finder, clip[:3])
    assert len(measured.curves["psnr"]) == 3
    assert len(measured.curves["colour"]) == 5


def test_errors_are_told_by_depth_without_frame_0() -> None:
    curves = {"psnr": [100.0, 30, 20, 10], "ssim": [1.0, 0.9, 0.8, 0.7], "pose_error": [0.0, 1, 2, math.nan]}
    measured = Measured(curves, np.zeros((4, JOINTS, 4)))
    table = by_depth(measured, {0: 0, 1: 1, 2: 2, 3: 2})
    assert table["psnr"] == {"1": 30.0, "2": 15.0}
    assert table["pose_error"] == {"1": 1.0, "2": 2.0}


def test_ssim_and_the_histograms_distance_agree_with_their_definitions() -> None:
    grey = np.full((32, 32), 100, np.uint8)
    assert ssim(grey, grey) == pytest.approx(1)
    # Two flat pictures differ in their means alone (Wang et al., eq. 6).
    c1 = (0.01 * 255) ** 2
    assert ssim(grey, grey + 50) == pytest.approx((2 * 100 * 150 + c1) / (100**2 + 150**2 + c1))
    red = np.zeros((8, 8, 3), np.uint8)
    bright = red.copy()
    bright[..., 0] = 30
    assert histogram_distance(red, bright) == pytest.approx(30 / 3)


def test_tenths_and_slope_leave_out_what_is_unknown() -> None:
    line = [0.5 * n for n in range(20)]
    assert slope([math.nan, *line]) == pytest.approx(50)
    assert tenths(line)[0] == pytest.approx(0.25)
    assert tenths([math.nan] * 20) == [None] * 10
    assert slope([1.0, math.nan]) is None


def test_a_build_is_the_same_at_any_size_and_not_with_longer_arms(clean: Measured) -> None:
    first = clean.landmarks[0]
    larger = first.copy()
    larger[:, :3] *= 1.7
    assert proportion_change(larger, first) == pytest.approx(0, abs=1e-5)
    longer = first.copy()
    for elbow, wrist in ((13, 15), (14, 16)):
        longer[wrist, :3] = longer[elbow, :3] + 2 * (longer[wrist, :3] - longer[elbow, :3])
    assert proportion_change(longer, first) > 0.1


def dance(frames: int, speed: float, seed: int) -> np.ndarray:
    """Landmarks whose limbs swing at some speed: (frames, 33, 4)."""
    generator = np.random.default_rng(seed)
    base = generator.uniform(100, 400, (JOINTS, 4))
    phase = generator.uniform(0, 6, (JOINTS, 1))
    swing = 30 * np.sin(speed * np.arange(frames)[:, None, None] + phase) + generator.normal(0, 1, (frames, JOINTS, 4))
    return base + swing


def test_the_distance_of_joint_motion_grows_as_the_dance_slows_down_and_is_small_for_the_same_dance() -> None:
    real = [dance(120, 0.3, 0), dance(120, 0.3, 1)]
    values = []
    for speed in (0.3, 0.2, 0.1, 0.0):
        distance = joint_motion_distance([dance(120, speed, 0), dance(120, speed, 1)], real)
        assert distance is not None
        values.append(distance.value)
    assert values == sorted(values)
    assert values[0] < 1e-6 < 0.1 * values[-1]


def test_frames_without_a_dancer_leave_no_window_of_motion() -> None:
    landmarks = dance(60, 0.3, 0)
    assert len(motion_features(landmarks)) == 12
    landmarks[30] = np.nan
    assert len(motion_features(landmarks)) == 9
    assert joint_motion_distance([landmarks[:16]], [landmarks]) is None
    assert len(motion_features(np.full((60, JOINTS, 4), np.nan))) == 0
    assert MAIN


def test_the_frechet_distance_of_gaussians_is_the_formulas() -> None:
    generator = np.random.default_rng(0)
    one, other = generator.normal(0, 1, (20000, 3)), generator.normal([3, 0, 0], 2, (20000, 3))
    assert frechet_distance(one, other) == pytest.approx(9 + 3 * (1 + 4 - 2 * 2), rel=0.03)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-8)


class MeanColour(torch.nn.Module):
    def forward(
        self, x: torch.Tensor, rescale: bool = True, resize: bool = True, return_features: bool = True
    ) -> torch.Tensor:
        return x.mean(dim=[2, 3, 4])


class Difference(torch.nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (x - y).abs().mean().reshape(1, 1, 1, 1)


def test_fvd_and_lpips_take_networks_from_files_and_say_when_there_are_none(tmp_path: Path) -> None:
    torch.jit.script(MeanColour()).save(str(tmp_path / "fvd.pt"))
    torch.jit.script(Difference()).save(str(tmp_path / "lpips.pt"))
    generator = np.random.default_rng(0)
    real = generator.integers(0, 200, (64, 8, 8, 3)).astype(np.uint8)
    shifted = real + 40
    near, far = (fvd([x], [real], tmp_path / "fvd.pt") for x in (real, shifted))
    assert near.value == pytest.approx(0, abs=1e-6)
    assert far.value == pytest.approx(3 * 40**2, rel=0.05)
    assert (far.generated, far.real) == (4, 4)
    assert lpips(shifted, real, tmp_path / "lpips.pt") == pytest.approx([40 / 127.5] * 64, rel=1e-4)
    (tmp_path / "text.pt").write_text("no network")
    with pytest.raises(MetricsError, match="no FVD weights"):
        fvd([real], [real], tmp_path / "absent.pt")
    with pytest.raises(MetricsError, match=r"text\.pt is no TorchScript network for LPIPS"):
        lpips(real, real, tmp_path / "text.pt")
    with pytest.raises(MetricsError, match="two windows"):
        fvd([real[:20]], [real], tmp_path / "fvd.pt")


def test_windows_are_full_and_do_not_overlap() -> None:
    frames = np.arange(10)[:, None, None, None]
    assert [w[:, 0, 0, 0].tolist() for w in windows_of(frames, 4)] == [[0, 1, 2, 3], [4, 5, 6, 7]]


def spoiled(frames: np.ndarray, region: tuple[int, int, int, int]) -> np.ndarray:
    """The frames with noise outside of a region."""
    x0, y0, x1, y1 = region
    noise = np.random.default_rng(5).integers(0, 256, frames.shape).astype(np.uint8)
    noise[:, y0:y1, x0:x1] = frames[:, y0:y1, x0:x1]
    return noise


def test_errors_planted_in_the_filled_area_change_no_number_by_a_bit(clip: np.ndarray, finder: Remembering) -> None:
    region = (40, 10, 216, 256)
    truth = np.roll(clip, 1, axis=0)
    honest = measure(clip, finder, truth, region)
    for frames, real in ((spoiled(clip, region), truth), (clip, spoiled(truth, region))):
        planted = measure(frames, finder, real, region)
        assert planted.curves.keys() == honest.curves.keys()
        for name, curve in honest.curves.items():
            assert np.array_equal(planted.curves[name], curve, equal_nan=True), name
        assert np.array_equal(planted.landmarks, honest.landmarks, equal_nan=True)
    assert measure(spoiled(clip, region), finder).curves["contrast"] != measure(clip, finder).curves["contrast"]


def test_lengths_are_those_of_the_whole_frame_whatever_part_is_measured(clip: np.ndarray, finder: Remembering) -> None:
    whole, part = (measure(clip[:8], finder, clip[1:9], region) for region in (None, (0, 0, 256, 255)))
    assert np.nanmean(part.curves["pose_error"]) == pytest.approx(np.nanmean(whole.curves["pose_error"]), rel=0.35)


def test_windows_for_fvd_hold_frames_of_one_size() -> None:
    frames = [np.zeros((side, side, 3), np.uint8) for side in (8, 8, 8, 9, 9, 9, 9, 8)]
    assert [window.shape for window in windows_of(frames, 2)] == [(2, 8, 8, 3), (2, 9, 9, 3), (2, 9, 9, 3)]


def test_who_follows_the_dance_has_no_joint_error_and_who_stands_still_or_is_not_found_has() -> None:
    dance = dancing_joints(20, 256, 4).astype(float)
    frames, lost = np.zeros((20, 256, 256, 3), np.uint8), np.full((5, JOINTS, 4), np.nan)

    def followed(found: np.ndarray, region: Rectangle | None = None) -> Measured:
        measurer = Measurer(Given(found), region)
        for frame, pose in zip(frames, dance):
            measurer.add(frame, pose=pose)
        return measurer.result()

    exact, still = followed(dance), followed(np.repeat(dance[:1], 20, 0))
    assert exact.curves["joint_error"] == [0] * 20
    assert exact.curves["pck"] == [1] * 20
    assert exact.curves["dance_motion"][1:] == exact.curves["joint_motion"][1:]
    assert still.curves["dance_motion"][1:] == exact.curves["joint_motion"][1:]
    assert np.mean(still.curves["joint_motion"][1:]) < 0.1 * np.mean(still.curves["dance_motion"][1:])
    assert np.mean(still.curves["joint_error"]) > 5
    assert still.curves["joint_error"][0] == 0
    away = dance + np.array([200, 0, 0, 0])
    assert followed(away).curves["pck"] == [0] * 20
    assert followed(away).curves["joint_error"] == pytest.approx([400] * 20)
    gone = followed(np.concatenate([dance[:15], lost]))
    assert gone.curves["pck"] == [1] * 15 + [0] * 5
    assert np.isnan(gone.curves["joint_error"][15:]).all()
    assert followed(dance, (10, 30, 256, 256)).curves["joint_error"] == pytest.approx([0] * 20, abs=1e-9)

"""Synthetic videos: what the truth says is what the file shows, and the same spec gives the same bytes."""

import json
import os
import pathlib
from collections import Counter
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.synthetic.body.brush import Picture
from pipeline.synthetic.footage import Shot
from pipeline.synthetic.recording import content_frames, shots_of, truth_of
from pipeline.synthetic.synth import FAULTS, SynthVideo, is_complete, plan_videos, synth, write_video

SMALL = SynthVideo(width=144, height=256, frames=24, seed=11)
CLIP = 181


def decode(path: pathlib.Path) -> tuple[list[Picture], list[float]]:
    with av.open(str(path)) as container:
        frames = [(f.to_ndarray(format="bgr24"), float(f.time)) for f in container.decode(video=0)]
    return [picture for picture, _ in frames], [time for _, time in frames]


def truth(folder: pathlib.Path, spec: SynthVideo) -> dict[str, Any]:
    return dict(json.loads((folder / f"{spec.name}.json").read_text()))


def shots(spec: SynthVideo) -> list[Shot]:
    return shots_of(spec, content_frames(spec)[1])


def planned(fault: str, count: int = 1) -> list[SynthVideo]:
    """Specs of a fault, of several seeds."""
    index = 3 * (FAULTS.index(fault) + 1)
    return [plan_videos(index + 1, seed)[index] for seed in range(count)]


def inside(spec: SynthVideo) -> NDArray[np.bool_]:
    """Which joints are in the picture, (T, people, 33)."""
    joints = np.concatenate([shot.joints() for shot in shots(spec)])
    return np.asarray(np.all((joints >= 0) & (joints < [spec.width, spec.height]), axis=-1))


def test_a_longer_plan_begins_with_the_shorter_and_first_ones_are_clean() -> None:
    assert plan_videos(60, 4)[:7] == plan_videos(7, 4)
    assert [spec.fault for spec in plan_videos(3, 4)] == [None] * 3
    assert plan_videos(7, 4) != plan_videos(7, 5)


def test_a_third_of_a_plan_carries_faults_and_every_kind_comes() -> None:
    faults = Counter(spec.fault for spec in plan_videos(3 * len(FAULTS) + 1, 0))
    assert set(faults) == {None, *FAULTS}
    assert 0.25 < 1 - faults[None] / faults.total() < 0.4


def test_a_clean_dancers_crop_fits_the_picture_without_upscaling_over_two() -> None:
    for spec in plan_videos(200, 9):
        if spec.fault is None:
            side = 1.6 * spec.standing * spec.height
            assert 256 <= side <= min(spec.width, spec.height), spec


@pytest.mark.parametrize("rate", ["24", "30000/1001", "60"])
def test_the_file_holds_the_frames_and_times_of_its_truth(tmp_path: pathlib.Path, rate: str) -> None:
    spec = SMALL.model_copy(update={"fps": rate})
    pictures, times = decode(write_video(spec, tmp_path))
    said = truth(tmp_path, spec)
    assert len(pictures) == said["frames"] == spec.frames
    assert pictures[0].shape == (spec.height, spec.width, 3)
    np.testing.assert_allclose(times, said["pts_s"], atol=2e-5)
    assert np.array(said["joints"]).shape == (spec.frames, 1, 33, 2)
    assert np.array(said["camera"]).shape == (spec.frames, 2, 3)


def test_the_same_spec_gives_the_same_bytes_and_no_draft_is_left(tmp_path: pathlib.Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
        write_video(SMALL, folder)
    assert sorted(p.name for p in first.iterdir()) == ["dancer.json", "dancer.mp4"]
    for name in ("dancer.json", "dancer.mp4"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_another_seed_gives_another_dance(tmp_path: pathlib.Path) -> None:
    other = SMALL.model_copy(update={"seed": 12})
    assert not np.allclose(shots(SMALL)[0].joints(), shots(other)[0].joints(), atol=2.0)


def test_variable_rate_keeps_true_timestamps(tmp_path: pathlib.Path) -> None:
    spec = SMALL.model_copy(update={"fault": "variable_rate", "frames": 60})
    pictures, times = decode(write_video(spec, tmp_path))
    said = truth(tmp_path, spec)
    assert 40 <= len(pictures) < 60
    np.testing.assert_allclose(times, said["pts_s"], atol=2e-5)
    assert len(set(np.round(np.diff(times), 4))) > 1


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_player_that_obeys_the_rotation_shows_the_upright_picture(tmp_path: pathlib.Path, rotation: int) -> None:
    spec = SMALL.model_copy(update={"frames": 8, "rotation": rotation})
    with av.open(str(write_video(spec, tmp_path))) as container:
        frames = list(container.decode(video=0))
    turned = np.rot90(frames[0].to_ndarray(format="bgr24"), frames[0].rotation // 90)
    upright = shots(spec)[0].draw(0)
    assert turned.shape == upright.shape
    assert np.mean(np.abs(turned.astype(int) - upright)) < 6
    assert frames[0].rotation % 360 == -rotation % 360


def test_a_frozen_stretch_lasts_two_seconds_and_repeats_one_picture() -> None:
    content, _ = content_frames(planned("frozen")[0])
    longest = max(Counter(content).values())
    assert longest >= 2 * planned("frozen")[0].rate


def test_duplicated_frames_are_every_fifth() -> None:
    spec = planned("duplicated")[0]
    content, times = content_frames(spec)
    repeats = np.flatnonzero(np.diff(content) == 0)
    assert np.all(np.diff(repeats) == 5)
    assert times[-1] == pytest.approx(spec.frames / 30, abs=0.1)


def test_cuts_change_the_picture_abruptly() -> None:
    for spec in planned("cuts", 6):
        before, after = shots(spec)[:2]
        last = before.draw(len(before.camera) - 1).astype(int)
        jump = np.mean(np.abs(after.draw(0) - last))
        assert jump > 4 * np.mean(np.abs(before.draw(len(before.camera) - 2) - last)) + 3
        assert len(before.camera) == spec.cuts[0]


def test_who_leaves_is_out_for_a_good_part_of_the_clip() -> None:
    for spec in planned("leaves", 6):
        here = np.asarray(inside(spec)[:: spec.stride, 0].any(axis=1))
        start = (len(here) - CLIP) // 2
        assert np.mean(~here) > 0.30, spec
        assert np.mean(~here[start : start + CLIP]) > 0.30, spec
        assert here[0]


def test_clean_dancers_stay_in_the_picture() -> None:
    for spec in [s for s in plan_videos(24, 7) if s.fault is None][:10]:
        assert inside(spec).mean() > 0.999, spec


def test_two_dancers_cross() -> None:
    for spec in planned("two_dancers", 4):
        joints = shots(spec)[0].joints()
        apart = joints[:, 0, :, 0].mean(axis=1) - joints[:, 1, :, 0].mean(axis=1)
        assert apart[0] * apart[-1] < 0
        assert inside(spec).mean() > 0.9


def test_the_dancer_is_drawn_where_the_truth_says(tmp_path: pathlib.Path) -> None:
    spec = SynthVideo(width=270, height=480, frames=30, seed=3)
    shot, empty = shots(spec)[0], shots(spec.model_copy(update={"fault": "no_dancer"}))[0]
    changed = np.abs(shot.draw(20).astype(int) - empty.draw(20)).max(axis=2) > 12
    said = truth_of(spec, [shot], list(range(30)), list(range(30)))
    standing = said["standing"][20][0]  # type: ignore[index]
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    joints = shot.joints()[20, 0]
    assert abs(rows.max() - joints[:, 1].max()) < 0.06 * standing
    assert columns.min() - 0.06 * standing < joints[:, 0].min()
    assert joints[:, 0].max() < columns.max() + 0.06 * standing
    x, y = joints[[11, 12, 23, 24, 25, 26], :].round().astype(int).T
    assert changed[y, x].all()


def test_complete_videos_are_left_alone_and_broken_ones_made_again(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.synthetic.synth.plan_videos", lambda videos, seed: [SMALL] * videos)
    path = write_video(SMALL, tmp_path)
    os.utime(path, (1, 1))
    assert synth(tmp_path, 1, 0) == [path]
    assert path.stat().st_mtime == 1
    assert not is_complete(SMALL.model_copy(update={"frames": 25}), tmp_path)
    (tmp_path / "dancer.json").unlink()
    synth(tmp_path, 1, 0, workers=1)
    assert path.stat().st_mtime > 1
    assert is_complete(SMALL, tmp_path)


def test_a_pose_detector_finds_the_dancer_where_the_truth_says() -> None:
    model = os.environ.get("LONGDANCE_POSE_MODEL")
    if not model:
        pytest.skip("LONGDANCE_POSE_MODEL names no pose model")
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.PoseLandmarkerOptions(base_options=BaseOptions(model_asset_path=model))
    errors = []
    with vision.PoseLandmarker.create_from_options(options) as landmarker:
        for seed in range(4):
            spec = SynthVideo(seed=seed, width=396, height=512, frames=60, standing=0.45)
            shot = shots(spec)[0]
            for t in (5, 45):
                picture = np.ascontiguousarray(shot.draw(t)[:, :, ::-1])
                found = landmarker.detect(mediapipe.Image(mediapipe.ImageFormat.SRGB, picture)).pose_landmarks
                assert len(found) == 1
                places = np.array([[p.x * spec.width, p.y * spec.height] for p in found[0]])
                gap = (places - shot.joints()[t, 0])[[0, 11, 12, 23, 24, 25, 26]]
                errors.append(np.linalg.norm(gap, axis=1) / (spec.standing * spec.height))
    assert np.median(errors) < 0.02

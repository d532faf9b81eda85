"""A dance begins as she stands, keeps her bones, feet and place for any length, and is the same from the same seed."""

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from data_catalog.base.paths import RunFolder
from model.choreography.choreographer import Choreographer
from model.choreography.compose import DanceOrder, compose
from model.choreography.config import dance_config
from model.choreography.measures import steadiness
from model.choreography.network import network_of, network_record
from model.choreography.rig import body_of_pose
from model.errors import ConfigError, PoseError, RunError
from model.runs.run import Run
from pipeline.picture_size import PictureSize
from tests.model.dataset import dancing_joints

QUICK = dance_config(steps=3, candidates=2)
START = dancing_joints(9, 200, 77)[5].astype(float)
ORDER = DanceOrder(START, PictureSize(200, 200), 120, Fraction(30), np.arange(0.2, 5, 0.47))


def test_frame_0_is_the_start_and_the_same_seed_gives_the_same_bytes(choreographer: Choreographer):
    one, same = (compose(choreographer.network, ORDER, QUICK).landmarks for _ in range(2))
    other = compose(choreographer.network, ORDER, QUICK.model_copy(update={"seed": 1})).landmarks
    assert one.shape == (120, 33, 4)
    assert np.array_equal(one[0], START)
    assert one.tobytes() == same.tobytes()
    assert np.abs(other - one).max() > 1


def test_bones_feet_and_place_hold_for_a_long_dance(choreographer: Choreographer):
    order = replace(ORDER, frames=10_000, beats=np.arange(0, 334, 0.5))
    dance = compose(choreographer.network, order, dance_config(steps=3, candidates=1))
    body = body_of_pose(START, 200, choreographer.network.usual_bones.double().numpy())
    found = steadiness(dance, body)
    assert found.limbs < 0.01
    assert found.outside < 0.01
    assert np.isfinite(dance.landmarks).all()
    assert np.abs(dance.landmarks[..., :2]).max() < 400


def test_the_best_of_several_is_one_of_them(choreographer: Choreographer):
    several = compose(choreographer.network, ORDER, dance_config(steps=3, candidates=3)).landmarks
    assert several.shape == (120, 33, 4)
    assert np.array_equal(several[0], START)


def test_it_dances_without_music_and_like_a_clip(choreographer: Choreographer):
    silent = replace(ORDER, beats=None)
    free = compose(choreographer.network, silent, QUICK).landmarks
    style = np.zeros((20, choreographer.network.mean.shape[0])) + choreographer.network.mean.numpy()
    like = compose(choreographer.network, replace(silent, style=style), QUICK).landmarks
    assert np.abs(np.diff(free, axis=0)).max() > 0.1
    assert np.abs(like - free).max() > 0.01


def test_a_dance_like_no_named_clip_is_like_one_that_was_learnt(
    choreographer: Choreographer,
):
    learnt, untold = (
        compose(choreographer.network, ORDER, QUICK.model_copy(update=settings)).landmarks
        for settings in ({}, {"learnt_style": False})
    )
    assert np.abs(learnt - untold).max() > 0.01
    styles = choreographer.network.styles
    assert len(styles.unique(dim=0)) > 2
    assert styles.any(1).all()


def test_a_song_that_is_faster_makes_a_faster_pulse(choreographer: Choreographer):
    slow, fast = (
        compose(choreographer.network, replace(ORDER, beats=np.arange(0, 5, step)), QUICK).landmarks
        for step in (0.6, 0.4)
    )
    assert np.abs(slow - fast).max() > 1


def test_a_start_without_a_body_is_refused(choreographer: Choreographer):
    lost = START.copy()
    lost[23] = np.nan
    with pytest.raises(PoseError, match="lacks a main joint"):
        compose(choreographer.network, replace(ORDER, start=lost), QUICK)


def test_runs_of_another_kind_or_layout_are_refused_in_one_sentence(
    trained: Path, run: Path, choreographer: Choreographer
):
    with pytest.raises(RunError, match="makes no dances: train one by `longdance train choreographer`"):
        Choreographer.open(trained)
    with pytest.raises(RunError, match="is a choreographer and makes no pictures"):
        Run.open(run)
    with pytest.raises(RunError, match="another layout of landmarks \\(17 joints"):
        network_of({**network_record(choreographer.network), "joints": 17})


def test_a_wrong_setting_of_a_dance_is_one_sentence():
    with pytest.raises(ConfigError, match="candidates"):
        dance_config(candidates=0)


def test_it_is_small(run: Path):
    from model.choreography.config import DancerNetworkConfig
    from model.choreography.network import ChoreographerNetwork

    network = ChoreographerNetwork(DancerNetworkConfig())
    assert sum(parameter.numel() for parameter in network.parameters()) < 1_000_000  # 4 MB
    assert RunFolder(run).record.is_file()


def test_another_process_makes_the_same_bytes(run: Path, tmp_path: Path):
    np.save(tmp_path / "start.npy", START)
    command = [sys.executable, "-m", "flows.cli", "choreograph", "--run", str(run), "--pose-start"]
    more = [str(tmp_path / "start.npy"), "--size", "200x200", "--frames", "60", "--set", "steps=3", "--out"]
    for name in ("a.npy", "b.npy"):
        subprocess.run([*command, *more, str(tmp_path / name)], check=True, capture_output=True)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()

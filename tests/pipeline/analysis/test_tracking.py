"""Who is the dancer: never swapped, never delayed, unknown where nobody was seen for long."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.analysis.pose import LEFT_ANKLE, LEFT_WRIST, MAIN, PoseFinder, pelvis
from pipeline.analysis.source_pass import analyse
from pipeline.analysis.tracking import choose, link, main_joints_inside, overlap, smooth, switches, trajectory
from pipeline.config import AnalysisConfig
from pipeline.synthetic.synth import SynthVideo, write_video
from pipeline.video.ffmpeg import open_source
from pipeline.video.probe import probe
from tests.pipeline.people import dance, person
from tests.pipeline.videos import LIMITS

SHAPE = (720, 1280)
RATE = 6.0


def crossing(samples: int, gap: slice | None = None) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """(detections in random order, A's, B's true landmarks): B, smaller, walks past A's front; some are missed."""
    rng = np.random.default_rng(0)
    a = np.stack([person(600 + 4 * t, 650, 420) for t in range(samples)])
    b = np.stack([person(1150 - 36 * t, 600, 330) for t in range(samples)])
    people = []
    for t in range(samples):
        found = [a[t] + rng.normal(0, 2, (33, 4)) * [1, 1, 1, 0], b[t] + rng.normal(0, 2, (33, 4)) * [1, 1, 1, 0]]
        if gap and t in range(*gap.indices(samples)):
            found = found[:1]
        people.append(np.stack([found[i] for i in rng.permutation(len(found))]))
    return people, a, b


@pytest.mark.parametrize("gap", [None, slice(14, 17)])
def test_two_people_who_cross_are_not_swapped(gap: slice | None) -> None:
    people, a, b = crossing(30, gap)
    tracks = link(people, max_gap=6)
    assert gap is not None or len(tracks) == 2
    for track in tracks:
        distances = [
            max(np.linalg.norm(found[MAIN, :2] - truth[t][MAIN, :2], axis=1).mean() for t, found in
                zip(track.samples, track.landmarks, strict=True))
            for truth in (a, b)
        ]  # fmt: skip
        assert min(distances) < 15, "this track is nobody all the way"


def test_the_dancer_is_the_longest_largest_most_central_track() -> None:
    people, a, _ = crossing(30)
    chosen = choose(link(people, max_gap=6), SHAPE)
    assert chosen is not None
    assert np.abs(pelvis(np.stack(chosen.landmarks)) - pelvis(a[chosen.samples])).max() < 10
    assert choose([], SHAPE) is None


def test_somebody_far_away_is_somebody_else() -> None:
    people = [person(300, 650, 400)[None]] * 5 + [person(1000, 650, 400)[None]] * 5
    assert [len(track.samples) for track in link(people, max_gap=6)] == [5, 5]


def test_a_track_ends_at_a_gap_that_is_too_long() -> None:
    nobody = np.empty((0, 33, 4))
    seen = person(300, 650, 400)[None]
    people = [seen] * 5 + [nobody] * 4 + [seen] * 5
    assert [len(track.samples) for track in link(people, max_gap=3)] == [5, 5]
    assert [len(track.samples) for track in link(people, max_gap=5)] == [10]


def test_only_somebody_who_could_be_taken_for_the_dancer_counts_as_a_switch() -> None:
    alone = np.stack([person(600, 650, 420)] * 10)
    far, near = person(1100, 650, 420), person(610, 652, 415)
    people = [np.stack([p, far if t != 6 else near]) for t, p in enumerate(alone)]
    track = choose(link(people, 6), SHAPE)
    assert track is not None
    assert switches(track, people) == [6]
    assert switches(track, [p[:1] for p in people]) == []


def test_somebody_who_stands_where_the_dancer_was_lost_is_a_switch_that_may_have_been() -> None:
    alone = [person(600 + 2 * t, 650, 420)[None] for t in range(12)]
    people = [*alone[:4], person(640, 660, 380)[None], *alone[5:]]
    (track,) = link([p if t != 4 else np.empty((0, 33, 4)) for t, p in enumerate(people)], 6)
    assert switches(track, people) == [4]
    assert switches(track, [p if t != 4 else person(1100, 650, 400)[None] for t, p in enumerate(people)]) == []


def test_two_who_became_one_detection_are_both_let_go_and_no_track_holds_both() -> None:
    """B, behind A, is missed for a while and A moves to where B was last seen: nobody can say who that is."""
    a = [person(500 + 15 * t, 650, 400) for t in range(20)]
    b = [person(710 - 15 * t, 645, 380) for t in range(20)]
    people = [np.stack([a[t], b[t]]) if t < 5 or t > 16 else a[t][None] for t in range(20)]
    tracks = link(people, max_gap=12)
    for track in tracks:
        whose = {np.array_equal(found, a[t]) for t, found in zip(track.samples, track.landmarks, strict=True)}
        assert len(whose) == 1
    assert sorted(t for track in tracks for t in track.samples) == sorted([*range(20), *range(5), *range(17, 20)])


def test_gaps_are_interpolated_and_long_ones_are_unknown() -> None:
    times = np.arange(60) / RATE
    at = np.arange(300) / 30
    seen = [t for t in range(60) if t not in (10, 11) and not 30 <= t < 42]
    people = [person(300 + 10 * t, 650, 400)[None] if t in seen else np.empty((0, 33, 4)) for t in range(60)]
    (track,) = link(people, max_gap=13)
    landmarks, known = trajectory(times, track, at, max_gap_s=1.0)
    assert landmarks.shape == (300, 33, 4)
    assert known[(at < 29 / RATE)].all(), "a gap of half a second is bridged"
    assert not known[(at > 29.01 / RATE) & (at < 41.99 / RATE)].any()
    assert known[(at > 42.01 / RATE) & (at <= 59 / RATE)].all()
    truth = 300 + 10 * at * RATE
    inner = (at > 0.5) & (at < 4.5)
    assert np.abs(pelvis(landmarks)[inner, 0] - truth[inner]).max() < 3


def test_before_and_after_the_track_nothing_is_known() -> None:
    times = np.arange(60) / RATE
    people = [person(300, 650, 400)[None] if 20 <= t < 40 else np.empty((0, 33, 4)) for t in range(60)]
    (track,) = link(people, max_gap=6)
    at = np.arange(300) / 30
    landmarks, known = trajectory(times, track, at, max_gap_s=1.0)
    step = 1 / RATE
    assert known[(at > 20 / RATE) & (at < 39 / RATE)].all()
    assert not known[(at < 20 / RATE - 1.01 * step) | (at > 39 / RATE + 1.01 * step)].any()
    assert np.allclose(landmarks[0], landmarks[50], atol=1)


def test_one_detection_is_known_only_around_itself() -> None:
    people = [person(300, 650, 400)[None] if t == 10 else np.empty((0, 33, 4)) for t in range(30)]
    (track,) = link(people, max_gap=3)
    at = np.arange(150) / 30
    landmarks, known = trajectory(np.arange(30) / RATE, track, at, max_gap_s=1.0)
    assert np.allclose(landmarks, person(300, 650, 400))
    assert np.allclose(at[known].mean(), 10 / RATE, atol=0.02)
    assert known.sum() in (30, 31)


@pytest.mark.parametrize("hertz", [0.7, 1.5, 2.0])
def test_smoothing_delays_nothing_and_keeps_a_dances_movement(hertz: float) -> None:
    at = np.arange(300) / 30
    moving = np.stack([person(600, 650, 400)] * 300)
    wave = 60 * np.sin(2 * np.pi * hertz * at)
    moving[:, LEFT_WRIST, 1] += wave
    noisy = moving + np.random.default_rng(0).normal(0, 4, moving.shape) * [1, 1, 0, 0]
    smoothed = smooth(noisy, at)
    got = smoothed[30:-30, LEFT_WRIST, 1] - 650 + 0.49 * 400
    lags = range(-8, 9)
    fits = [float(np.dot(got[10:-10], wave[30 + 10 + lag : 270 - 10 + lag])) for lag in lags]
    assert lags[int(np.argmax(fits))] == 0
    assert np.ptp(got) > 0.85 * np.ptp(wave)
    assert smoothed[30:-30, LEFT_ANKLE, 0].std() < 0.7 * noisy[30:-30, LEFT_ANKLE, 0].std()


def test_visibility_is_not_smoothed_and_short_sequences_are_left_alone() -> None:
    noisy = dance(40, 600, 650, 400) + np.random.default_rng(1).normal(0, 5, (40, 33, 4))
    assert np.array_equal(smooth(noisy, np.arange(40) / 30)[..., 3], noisy[..., 3])
    assert np.array_equal(smooth(noisy[:10], np.arange(10) / 30), noisy[:10])


def test_boxes_overlap_between_nothing_and_wholly() -> None:
    box = np.array([0.0, 0, 10, 10])
    assert overlap(box, box) == 1
    assert overlap(box, box + 5) == pytest.approx(25 / 175)
    assert overlap(box, box + 10) == 0


def test_joints_on_the_border_are_inside_and_beyond_it_are_not() -> None:
    landmarks = np.zeros((1, 33, 4))
    landmarks[0, MAIN[0], :2] = (100, 50)
    landmarks[0, MAIN[1], :2] = (100.1, 50)
    inside = main_joints_inside(landmarks, np.zeros(2), np.array([100.0, 50.0]))
    assert inside[0].tolist() == [True, False, *[True] * (len(MAIN) - 2)]


def test_the_same_of_two_drawn_dancers_is_followed_all_the_way(tmp_path: Path, finder: PoseFinder) -> None:
    """Against the truth of a drawn video: the followed person's pelvis is one dancer's in every detection."""
    spec = SynthVideo(
        name="two", seed=5, width=640, height=480, frames=150, fps="25", fault="two_dancers", standing=0.5
    )
    path = write_video(spec, tmp_path)
    joints = np.array(json.loads(path.with_suffix(".json").read_text())["joints"])[..., :2]  # (frames, 2, 33, 2)
    descriptor = open_source(bytes(path))
    try:
        config = AnalysisConfig()
        analysis = analyse(descriptor, probe(descriptor, LIMITS), finder, config, LIMITS)
    finally:
        os.close(descriptor)
    people = [analysis.people(d) for d in range(len(analysis.pose_frames))]
    assert max(len(found) for found in people) == 2
    track = choose(link(people, 12), (480, 640))
    assert track is not None
    assert len(track.samples) > 0.8 * len(people)
    frames = analysis.pose_frames[track.samples]
    away = np.linalg.norm(pelvis(np.stack(track.landmarks))[:, None] - pelvis(joints[frames]), axis=-1)
    who = away.argmin(1)
    assert away.min(1).max() < 25
    assert len(set(who.tolist())) == 1

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import PlanError, UnknownNameError
from model.network.conditioning import HINT_NOISE
from model.plans.plan import MAX_WINDOW, PLANS, Call, make_plan
from model.plans.stages import (
    CALL_STAGES,
    ORIGIN_STARTER_WINDOW,
    STAGES,
    WITHOUT_POSE,
    Window,
    call_window,
    draw_window,
    random_window,
    training_windows,
)

stages = st.sampled_from(CALL_STAGES)
any_stage = st.sampled_from(sorted(STAGES))
positions = st.integers(0, 10**9)


def relative(call: Call) -> tuple[tuple[int, ...], tuple[int, ...]]:
    start = call.frames[0]
    return tuple(h - start for h in call.hints), tuple(t - start for t in call.targets)


@settings(deadline=None, max_examples=60)
@given(stages, positions, positions, st.integers(0, 5))
def test_every_training_window_is_a_call_of_the_plan_shifted(stage: str, position: int, group: int, seed: int) -> None:
    window = draw_window(stage, seed=seed, position=position, group=group)
    calls = [call for call in make_plan("origin", 181) if call.stage == stage]
    if stage == "starter":
        calls.append(ORIGIN_STARTER_WINDOW)
    start = window.frames[0]
    assert (tuple(h - start for h in window.hints), tuple(t - start for t in window.targets)) in map(relative, calls)


@pytest.mark.parametrize("plan", sorted(PLANS))
def test_every_call_of_every_plan_that_fits_a_clip_is_trained_on(plan: str) -> None:
    calls = [call for call in make_plan(plan, 181) if call_window(call).span <= 181]
    stages = {call.stage for call in calls}
    trained = {stage: {window for window, _ in training_windows(stage, plans=(plan,))} for stage in stages}
    for call in calls:
        window = call_window(call)
        assert window.shifted(-window.frames[0]) in trained[call.stage]


@settings(deadline=None, max_examples=60)
@given(any_stage, positions, positions, st.integers(40, 400))
def test_hints_and_targets_are_disjoint_and_inside_the_clip(stage: str, position: int, group: int, clip: int) -> None:
    window = draw_window(stage, seed=0, position=position, group=group, clip_frames=clip, random_share=0.5)
    assert set(window.hints).isdisjoint(window.targets)
    assert sorted(window.hints + window.targets) == list(window.frames)
    assert window.frames[0] >= 0
    assert window.frames[-1] < clip
    assert window.first is None or window.first in window.hints


@settings(deadline=None, max_examples=60)
@given(any_stage, positions, positions)
def test_a_window_is_a_pure_function_of_its_position(stage: str, position: int, group: int) -> None:
    draws = {draw_window(stage, seed=7, position=position, group=group) for _ in range(3)}
    assert len(draws) == 1


def test_windows_of_one_group_stack_and_those_of_many_cover_every_kind_and_shift() -> None:
    kinds, shifts, sizes = Counter[Window](), set(), Counter[tuple[int, int]]()
    for position in range(4000):
        window = draw_window("starter", seed=0, position=position, group=position // 8)
        kinds[window.shifted(-window.frames[0])] += 1
        shifts.add(window.frames[0])
        sizes[position // 8, len(window.frames)] += 1
    assert set(sizes.values()) == {8}
    assert set(kinds) == {window for window, _ in training_windows("starter")}
    assert {len(window.frames) for window in kinds} == {4, 7}
    assert all(0.4 < count / 4000 < 0.6 for count in kinds.values())
    assert len(shifts) > 170
    assert shifts <= set(range(178))


def test_another_seed_gives_other_windows() -> None:
    one, other = ([draw_window("extrapolation", seed=seed, position=n, group=0) for n in range(50)] for seed in (0, 1))
    assert one != other


def test_calls_are_drawn_as_often_as_the_plan_makes_them() -> None:
    counts = dict(training_windows("interpolation"))
    assert sorted(counts.values()) == [1, 22]
    drawn = Counter(len(draw_window("interpolation", seed=0, position=n, group=n).frames) for n in range(2000))
    assert 30 < drawn[5] < 150


def test_extrapolation_keeps_frame_0_of_the_sequence_as_a_hint_however_far_away() -> None:
    windows = [window for window, _ in training_windows("extrapolation")]
    assert len(windows) == 14  # the 15th spans 187 frames
    assert all(window.first == 0 == window.hints[0] for window in windows)
    assert max(window.span for window in windows) == 175
    assert all(window.first is None for window, _ in training_windows("interpolation"))


def test_a_window_knows_which_hint_is_frame_0_wherever_it_is_shifted() -> None:
    window = call_window(Call("extrapolation", (0, 10, 14, 18), (22, 26, 30))).shifted(5)
    assert window == Window((5, 15, 19, 23), (27, 31, 35), first=5)


def test_the_stages_hint_noises_exist() -> None:
    assert {stage.hint_noise for stage in STAGES.values()} <= set(HINT_NOISE)


def test_unknown_stages_and_clips_too_short_are_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"stage 'finisher'.*any, extrapolation, interpolation, star, starter"):
        training_windows("finisher")
    with pytest.raises(PlanError, match="clip of 12 frames"):
        training_windows("extrapolation", clip_frames=12)


def test_stage_any_is_trained_on_every_call_of_every_plan_and_on_each_stage_of_each_plan_alike() -> None:
    weights = dict(training_windows("any"))
    total = sum(weights.values())
    for plan in WITHOUT_POSE:
        calls = [call_window(call) for call in make_plan(plan, 181)]
        fitting = [w.shifted(-w.frames[0]) for w in calls if w.span <= 181]
        assert set(fitting) <= set(weights)
    openings = sum(weight for window, weight in weights.items() if window.hints == (0,))
    assert openings / total == pytest.approx(
        3 / 8
    )  # three plans' starters among eight stages; a tree extrapolates never


def test_windows_of_one_step_stack_with_random_ones_among_them_in_the_share_that_was_asked_for() -> None:
    planned = {window for window, _ in training_windows("any")}
    sizes, others = set(), 0
    for position in range(2000):
        window = draw_window("any", seed=0, position=position, group=position // 4, random_share=0.4)
        sizes.add((position // 4, len(window.frames)))
        others += window.shifted(-window.frames[0]) not in planned
    assert len(sizes) == 500
    assert 0.35 < others / 2000 < 0.45


def test_random_windows_reach_from_dense_to_the_whole_clip_and_begin_with_frame_0_only_if_it_is_a_hint() -> None:
    windows = [random_window(0, position, 7, 181) for position in range(2000)]
    spans = [window.span for window in windows]
    assert min(spans) == 7
    assert max(spans) > 170
    assert all(window.first is None or window.first == window.hints[0] == window.frames[0] for window in windows)
    assert 0.1 < sum(window.first is not None for window in windows) / 2000 < 0.4
    assert {len(window.hints) for window in windows} == {1, 2, 3, 4, 5, 6}


def test_a_stage_can_be_trained_on_other_plans_than_the_origins() -> None:
    both = {window for window, _ in training_windows("interpolation", plans=("origin", "streaming"))}
    assert {window for window, _ in training_windows("interpolation")} < both
    with pytest.raises(PlanError, match="No extrapolation call of plan 'tree'"):
        training_windows("extrapolation", plans=("tree",))


@given(positions, st.integers(MAX_WINDOW, 181))
def test_a_star_window_is_made_from_any_other_frame_of_its_clip(position: int, frames: int) -> None:
    window = draw_window("star", seed=1, position=position, group=position // 4, clip_frames=frames)
    assert window == draw_window("star", seed=1, position=position, group=7, clip_frames=frames)
    assert len(window.frames) == MAX_WINDOW
    assert window.hints == (window.first,)
    assert window.targets == tuple(range(window.targets[0], window.targets[0] + MAX_WINDOW - 1))
    assert 0 <= window.frames[0] <= window.frames[-1] < frames


def test_star_windows_reach_every_frame_from_before_and_from_behind() -> None:
    windows = [draw_window("star", seed=0, position=n, group=0) for n in range(2000)]
    assert {frame for window in windows for frame in window.targets} == set(range(181))
    before = sum(window.hints[0] < window.targets[0] for window in windows) / len(windows)
    assert 0.4 < before < 0.6
    with pytest.raises(PlanError, match="No star call fits a clip of 8 frames"):
        draw_window("star", seed=0, position=0, group=0, clip_frames=8)

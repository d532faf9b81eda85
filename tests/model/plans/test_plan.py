from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import PlanError, UnknownNameError
from model.plans.plan import MAX_WINDOW, PLANS, Call, depth_per_frame, make_plan, origin_plan, plan_length, validate

lengths = st.integers(2, 10_000)


def test_the_origin_starts_with_the_calls_it_published() -> None:
    plan = origin_plan(181)
    from_one = [([h + 1 for h in c.hints], [t + 1 for t in c.targets]) for c in plan]
    assert from_one[:3] == [
        ([1], [2, 3, 4, 5, 6, 7]),
        ([1, 2, 3, 7], [11, 15, 19]),
        ([1, 11, 15, 19], [23, 27, 31]),
    ]
    assert from_one[16] == ([7, 11, 15], [8, 9, 10, 12, 13, 14])


def test_the_origin_at_181_frames_makes_187_in_39_calls_of_depth_17() -> None:
    plan = origin_plan(181)
    stages = [call.stage for call in plan]
    assert stages == ["starter"] + ["extrapolation"] * 15 + ["interpolation"] * 23
    assert plan_length(plan) == 187
    assert max(depth_per_frame(plan).values()) == 17
    assert plan[-1] == Call("interpolation", (182, 186), (183, 184, 185))


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(sorted(PLANS)), lengths)
def test_every_frame_is_made_once_from_frames_already_there(name: str, frames: int) -> None:
    plan = make_plan(name, frames)
    validate(plan, frames)
    made = sorted(target for call in plan for target in call.targets)
    assert len(set(made)) == len(made)
    assert made[: frames - 1] == list(range(1, frames))
    assert all(len(call.frames) <= MAX_WINDOW for call in plan)
    assert {call.stage for call in plan} <= {"starter", "extrapolation", "interpolation", "star"}


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(sorted(PLANS)), lengths)
def test_a_stages_name_says_where_its_hints_lie(name: str, frames: int) -> None:
    for call in make_plan(name, frames):
        first, last = call.targets[0], call.targets[-1]
        sides = {
            "starter": call.hints == (0,),
            "star": call.hints == (0,),
            "extrapolation": len(call.hints) > 1 and call.hints[-1] < first,
            "interpolation": call.hints[0] < first and last < call.hints[-1],
        }
        assert sides[call.stage]


@pytest.mark.parametrize(("name", "depth"), [("origin", 17), ("streaming", 8), ("tree", 3)])
def test_depth_at_181_frames(name: str, depth: int) -> None:
    depths = depth_per_frame(make_plan(name, 181))
    assert max(depths[frame] for frame in range(181)) == depth


@settings(deadline=None, max_examples=40)
@given(lengths)
def test_no_plan_in_windows_of_nine_is_shallower_than_the_tree(frames: int) -> None:
    depth = max(depth_per_frame(make_plan("tree", frames)).values())
    # A gap between two given frames gets at most 7 new ones, the open end at first 8.
    assert 8 ** (depth - 1) < frames - 1 <= 8**depth or depth == 1


@settings(deadline=None, max_examples=40)
@given(lengths)
def test_streaming_finishes_a_stretch_before_it_begins_the_next(frames: int) -> None:
    plan = make_plan("streaming", frames)
    there = {0}
    for call in plan:
        if call.stage == "extrapolation" and len(there) > 7:
            assert there == set(range(max(there) + 1))
        there.update(call.targets)


@settings(deadline=None, max_examples=40)
@given(lengths)
def test_the_origin_runs_over_by_less_than_one_loop_and_its_depth_is_loops_plus_two(frames: int) -> None:
    plan = origin_plan(frames)
    assert 0 <= plan_length(plan) - max(frames, 7) < 12
    loops = sum(call.stage == "extrapolation" for call in plan)
    assert max(depth_per_frame(plan).values()) == (loops + 2 if loops else 1)


def test_depth_counts_calls_in_series() -> None:
    plan = [Call("a", (0,), (4,)), Call("b", (0, 4), (2,)), Call("c", (0, 2), (1,))]
    assert depth_per_frame(plan) == {0: 0, 4: 1, 2: 2, 1: 3}


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ([Call("a", (0,), (2,)), Call("b", (1, 2), (3,))], r"Call 1 is given frames \[1\]"),
        ([Call("a", (0,), (1, 2)), Call("b", (0,), (2, 3))], r"Call 1 makes frames \[2\] a second time"),
        ([Call("a", (0,), (1, 1, 2, 3))], "a second time"),
        ([Call("a", (0,), (1, 3))], r"never makes frames \[2\]"),
        ([Call("a", (0,), tuple(range(1, 10)))], "sees 10 frames"),
        ([Call("a", (), (1, 2, 3))], "0 hints"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(plan: list[Call], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        validate(plan, 4)


@pytest.mark.parametrize("frames", [0, 1, 10_001])
def test_lengths_that_no_plan_makes_are_refused(frames: int) -> None:
    with pytest.raises(PlanError, match="2 to 10000"):
        origin_plan(frames)


def test_an_unknown_plan_is_named_in_the_error() -> None:
    with pytest.raises(UnknownNameError, match=r"plan 'spiral'.*origin"):
        make_plan("spiral", 181)


@pytest.mark.parametrize("frames", [2, 9, 10, 181, 724])
def test_star_calls_need_frame_0_alone_so_that_none_waits_for_another(frames: int) -> None:
    plan = make_plan("star", frames)
    assert {call.hints for call in plan} == {(0,)}
    assert set(depth_per_frame(plan).values()) == {0, 1}
    assert plan_length(plan) == frames
    assert all(call.targets == tuple(range(call.targets[0], call.targets[-1] + 1)) for call in plan)
